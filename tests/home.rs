//! A temporary home folder in which tests run the programs, with a key and a runner's directory.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests access files directly")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Time limit for an expected line of output.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The output and the exit status of a command.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    /// The exit status, -1 if a signal ended the command.
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl CommandOutput {
    /// Runs a command and waits for its end.
    pub(crate) fn of(command: &mut Command) -> CommandOutput {
        let Output { status, stdout, stderr } = command.output().unwrap();
        CommandOutput {
            exit: status.code().unwrap_or(-1),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }
}

/// A home folder. Processes that it started are ended with it.
#[derive(Debug)]
pub(crate) struct Home {
    folder: tempfile::TempDir,
    children: Vec<Child>,
}

impl Home {
    /// Returns an empty home, with a path that is short enough for the sockets of gpg-agent.
    pub(crate) fn new() -> Home {
        let folder = tempfile::Builder::new().prefix("r").tempdir_in("/tmp").unwrap();
        Home { folder, children: Vec::new() }
    }

    /// Returns a home with a runner's directory as created by `init`, a key, and a client configuration
    /// with the address of an API that does not exist.
    pub(crate) fn installed() -> Home {
        let rig = Home::new();
        assert_eq!(rig.run(&["init", "runner"]).exit, 0);
        let key = rig.key();
        rig.client(&key, "http://127.0.0.1:9/api/v1/");
        rig
    }

    /// Returns a path in the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that is private to its owner, and creates the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.chmod(name, 0o600);
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Writes `.migrc`.
    pub(crate) fn client(&self, key: &str, url: &str) {
        let home = self.path("g");
        let text = format!("[api]\nurl = {url}\n[gpg]\nhome = {}\nkeyid = {key}\n", home.display());
        self.write(".migrc", &text);
    }

    /// Generates a key without a passphrase and returns its fingerprint.
    pub(crate) fn key(&self) -> String {
        fs::create_dir_all(self.path("g")).unwrap();
        self.chmod("g", 0o700);
        let made =
            self.gpg(&["--quick-gen-key", "Test <test@localhost>", "rsa2048", "sign", "never"]);
        assert!(made.status.success(), "{made:?}");
        let listed = self.gpg(&["--list-secret-keys", "--with-colons"]);
        let listed = String::from_utf8(listed.stdout).unwrap();
        let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    /// Runs GnuPG with the keys of the home.
    pub(crate) fn gpg(&self, arguments: &[&str]) -> Output {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]);
        gpg.arg("--homedir").arg(self.path("g")).args(arguments).output().unwrap()
    }

    /// Returns a command of the runner with a minimal environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_mig-runner"), arguments)
    }

    /// Returns a command of any program with a minimal environment.
    pub(crate) fn command_of(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("HOME", self.folder.path()).env("TZ", "UTC").env("PATH", "/usr/bin:/bin");
        command
    }

    /// Runs a command and waits for its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> CommandOutput {
        CommandOutput::of(&mut self.command(arguments))
    }

    /// Runs a command with the configuration of the installed runner.
    pub(crate) fn with_config(&self, arguments: &[&str]) -> CommandOutput {
        self.run(&[&["-c", "runner/runner.cfg"], arguments].concat())
    }

    /// Kills the command that was started first, to simulate a crash.
    pub(crate) fn kill_first(&mut self) {
        let mut child = self.children.remove(0);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts a command in the background, and returns the lines that it writes.
    pub(crate) fn start(&mut self, arguments: &[&str]) -> Lines {
        let mut child = self.command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        self.children.push(child);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Lines(lines)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().ok();
            child.wait().ok();
        }
        let home = self.path("g");
        if home.exists() {
            Command::new("gpgconf")
                .arg("--homedir")
                .arg(home)
                .args(["--kill", "all"])
                .status()
                .ok();
        }
    }
}

/// The output of a command in the background.
#[derive(Debug)]
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    /// Waits for a line that contains `text`, and returns it.
    pub(crate) fn until(&self, text: &str) -> String {
        let end = Instant::now() + TIMEOUT;
        let mut seen = Vec::new();
        while let Ok(line) = self.0.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line.contains(text) {
                return line;
            }
            seen.push(line);
        }
        panic!("no {text:?} in {seen:#?}");
    }
}

/// Returns the names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Returns the fault of a folder of this user that is above a path and that others can write to. The
/// system may need the mode of a folder of root, so that no command is named for it.
pub(crate) fn writable_above(path: &Path) -> String {
    let path = path.display();
    match rustix::process::geteuid().is_root() {
        true => {
            format!("users other than root can write to {path}, and so can replace what is below")
        }
        false => format!("{path} can be written by others: run `chmod go-w {path}`"),
    }
}
