//! A place to run the programs in: an empty home, a key, a runner's directory, and an end to it all.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests look behind the program's back")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long a test waits for what should come at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    /// Its exit status, -1 if a signal ended it.
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Runs a command to its end.
    pub(crate) fn by(command: &mut Command) -> Said {
        let Output { status, stdout, stderr } = command.output().unwrap();
        Said {
            exit: status.code().unwrap_or(-1),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }
}

/// An empty home with what a test puts into it. Processes that it started end with it.
#[derive(Debug)]
pub(crate) struct Home {
    folder: tempfile::TempDir,
    children: Vec<Child>,
}

impl Home {
    /// Returns an empty home; its path is short enough for the sockets of gpg-agent.
    pub(crate) fn new() -> Home {
        let folder = tempfile::Builder::new().prefix("r").tempdir_in("/tmp").unwrap();
        Home { folder, children: Vec::new() }
    }

    /// Returns a home with a runner's directory as `init` lays it out, a client's configuration
    /// that names an API nobody serves, and its key.
    pub(crate) fn installed() -> Home {
        let rig = Home::new();
        assert_eq!(rig.run(&["init", "runner"]).exit, 0);
        let key = rig.key();
        rig.client(&key, "http://127.0.0.1:9/api/v1/");
        rig
    }

    /// Returns the path of something in the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, private to its owner, with the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.chmod(name, 0o600);
    }

    /// Returns the text of a file.
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

    /// Makes a key without a passphrase and returns its fingerprint.
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

    /// Runs GnuPG on the home's keys.
    pub(crate) fn gpg(&self, arguments: &[&str]) -> Output {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]);
        gpg.arg("--homedir").arg(self.path("g")).args(arguments).output().unwrap()
    }

    /// Returns a command of this program with nothing in its environment but the home.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_mig-runner"), arguments)
    }

    /// Returns a command of any program, as [`Home::command`].
    pub(crate) fn command_of(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("HOME", self.folder.path()).env("TZ", "UTC").env("PATH", "/usr/bin:/bin");
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        Said::by(&mut self.command(arguments))
    }

    /// Runs a command with the installed runner's configuration.
    pub(crate) fn with_config(&self, arguments: &[&str]) -> Said {
        self.run(&[&["-c", "runner/runner.cfg"], arguments].concat())
    }

    /// Kills the command that was started first, as a crash would.
    pub(crate) fn kill_first(&mut self) {
        let mut child = self.children.remove(0);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts a command that goes on, and returns the lines that it writes.
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

/// What a command that goes on writes.
#[derive(Debug)]
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    /// Waits for a line that contains `text`, and returns it.
    pub(crate) fn until(&self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
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
