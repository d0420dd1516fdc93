//! `mig-runner try` with the installed programs.
//!
//! Each test has its own home and its own folder for temporary files, in which it finds what a
//! trial left behind. The configured proxy does not exist, which shows that requests to this host
//! bypass it.

#![cfg(test)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Time limit for everything that a test waits for.
const TIMEOUT: Duration = Duration::from_secs(60);
const RUNNER: &str = env!("CARGO_BIN_EXE_mig-runner");
const STANDALONE: &str = env!("CARGO_BIN_EXE_mig-standalone");
/// The folders of a spool, sorted.
const FOLDERS: [&str; 10] = [
    "action",
    "action/done",
    "action/inflight",
    "action/invalid",
    "action/new",
    "command",
    "command/done",
    "command/inflight",
    "command/ready",
    "command/returned",
];

/// A user with an empty home.
struct User {
    home: tempfile::TempDir,
    temporary: tempfile::TempDir,
}

impl User {
    fn new() -> User {
        let folder = || tempfile::Builder::new().prefix("t").tempdir_in("/tmp").unwrap();
        User { home: folder(), temporary: folder() }
    }

    /// Starts a program with a minimal environment.
    fn start(&self, program: &str, arguments: &[&str]) -> Program {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("TMPDIR", self.temporary.path())
            .env("http_proxy", "http://127.0.0.1:9");
        Program::start(command)
    }

    /// Runs a line in a shell whose working directory is `folder`, with a minimal environment.
    fn run_line(&self, folder: &Path, line: &str) -> Program {
        // With exec, so that a signal to the shell reaches the program.
        let script = format!("cd \"$0\" && exec {line}");
        self.start("sh", &["-c", &script, folder.to_str().unwrap()])
    }

    /// Checks that the home and the temporary folder are empty, and that no process uses the
    /// temporary folder or `folder`.
    fn check_cleaned_up(&self, folder: Option<&Path>) {
        let left = std::fs::read_dir(self.temporary.path()).unwrap().count();
        assert_eq!(left, 0, "files are left in {}", self.temporary.path().display());
        assert_eq!(std::fs::read_dir(self.home.path()).unwrap().count(), 0);
        for folder in folder.into_iter().chain([self.temporary.path()]) {
            assert_eq!(processes(folder), Vec::<String>::new());
        }
    }
}

/// Returns the command lines of all processes with a folder in their arguments or environment.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        // Fails for processes that have ended, and for the environment of other users' processes.
        let read = |name: &str| {
            let mut bytes = Vec::new();
            if let Ok(mut file) = std::fs::File::open(entry.path().join(name)) {
                file.read_to_end(&mut bytes).ok();
            }
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let line = read("cmdline");
        if line.contains(folder) || read("environ").contains(folder) {
            found.push(line);
        }
    }
    found
}

/// A running program and its output.
struct Program {
    child: Child,
    lines: Receiver<String>,
    /// The lines received so far.
    said: Vec<String>,
}

impl Program {
    fn start(mut command: Command) -> Program {
        let (reader, writer) = std::io::pipe().unwrap();
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        // Closes our copies of the pipe's writing end: the output ends with the program.
        drop(command);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Program { child, lines, said: Vec::new() }
    }

    /// Waits for a line that contains `text`.
    fn wait_for(&mut self, text: &str) {
        let started = Instant::now();
        while !self.said.last().is_some_and(|line| line.contains(text)) {
            let left = TIMEOUT.saturating_sub(started.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.push(line),
                Err(error) => panic!("no \"{text}\" ({error}) after:\n{}", self.said.join("\n")),
            }
        }
    }

    /// Waits for the end of the program; returns its status and its output.
    fn end(mut self) -> (ExitStatus, Vec<String>) {
        let started = Instant::now();
        while let Ok(line) = self.lines.recv_timeout(TIMEOUT.saturating_sub(started.elapsed())) {
            self.said.push(line);
        }
        assert!(started.elapsed() < TIMEOUT, "no end after:\n{}", self.said.join("\n"));
        (self.child.wait().unwrap(), std::mem::take(&mut self.said))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Program {
    /// Stops a program that a failed test left running.
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            kill_process_group(self.pid(), Signal::TERM).unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// Returns a folder with the programs in `target`, which is not in the `PATH`.
fn built() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("k").tempdir_in("/tmp").unwrap();
    let programs = Path::new(RUNNER).parent().unwrap();
    std::os::unix::fs::symlink(programs, folder.path().join("target")).unwrap();
    folder
}

/// Returns the folders of a family that a run entered, in order.
fn moves(said: &[String], family: &str) -> Vec<String> {
    let targets = said.iter().filter_map(|line| line.split_once("→ ")?.1.split("  ").next());
    let of_family = targets.filter_map(|folder| folder.strip_prefix(family));
    of_family.map(|folder| folder.trim_start_matches('/').to_owned()).collect()
}

/// Returns the output of a command.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the SHA-256 of a file, computed by `sha256sum`.
fn sha256(path: &str) -> String {
    output("sha256sum", &["--", path]).trim_start_matches('\\')[..64].to_owned()
}

/// Creates a file that the sample job must find.
fn make_setuid(folder: &Path) -> PathBuf {
    let path = folder.join("suspicious");
    std::fs::File::create(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o4755)).unwrap();
    path
}

/// Returns the files in a report, each with its SHA-256.
fn reported(report: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut file = None;
    for line in report.lines() {
        if let Some(sha) = line.strip_prefix("    sha256 ") {
            files.insert(file.take().expect(line), sha.to_lowercase());
        } else if line.starts_with("  u") || line.starts_with("  g") {
            file = Some(line[line.find('/').unwrap()..].to_owned());
        }
    }
    files
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    std::fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn trial_shows_complete_run_and_cleans_up() {
    let user = User::new();
    let folder = built();
    let (status, said) = user.run_line(folder.path(), "target/mig-runner try").end();
    assert!(status.success(), "{status}:\n{}", said.join("\n"));
    assert_eq!(moves(&said, "action"), ["new", "inflight", "done"]);
    assert_eq!(moves(&said, "command"), ["ready", "inflight", "returned", "done"]);
    assert!(said.iter().any(|line| line.ends_with("0 without an answer")), "{said:?}");
    for line in said.iter().filter(|line| !line.contains('→')) {
        assert!(line.chars().count() <= 80, "too wide: {line}");
    }
    user.check_cleaned_up(None);

    // The commands in the last two lines work in this folder.
    let [keep, init] = said.last_chunk().unwrap();
    assert!(keep.ends_with("  target/mig-runner try --keep DIR"), "{said:?}");
    let init = init.split_once(":  ").unwrap().1.replace("DIR", "mine");
    let (status, said) = user.run_line(folder.path(), &init).end();
    assert!(status.success() && folder.path().join("mine/runner.cfg").exists(), "{said:?}");
}

#[test]
fn signals_stop_trial_and_clean_up() {
    for (mark, signal) in
        [("→ action/inflight", Signal::INT), ("key  ", Signal::TERM), ("folder  ", Signal::HUP)]
    {
        let user = User::new();
        let mut program = user.start(RUNNER, &["try"]);
        program.wait_for(mark);
        kill_process(program.pid(), signal).unwrap();
        let (status, said) = program.end();
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status}:\n{}", said.join("\n"));
        user.check_cleaned_up(None);
    }
}

#[test]
fn kept_trial_can_be_started_again() {
    let user = User::new();
    let parent = built();
    let suspicious = make_setuid(parent.path());
    let folder = parent.path().join("it's a trial");
    let typed = r"target/mig-runner try --keep it\'s\ a\ trial";
    let (status, said) = user.run_line(parent.path(), typed).end();
    assert!(status.success(), "{status}:\n{}", said.join("\n"));
    user.check_cleaned_up(Some(&folder));

    // The findings match those of this host's own programs.
    let report = only_entry(&folder.join("reports"));
    let found = reported(&read(&report));
    assert!(found.contains_key(suspicious.to_str().unwrap()), "{found:?}");
    let document = read(&only_entry(&folder.join("results")));
    for (file, sha) in &found {
        assert_eq!(*sha, sha256(file), "{file}");
        let is_set = output("find", &["-L", file, "-maxdepth", "0", "-perm", "/6000"]);
        assert_eq!(is_set, format!("{file}\n"));
        assert!(document.contains(&sha.to_uppercase()), "{file}");
    }
    for file in output("find", &["/usr", "/opt", "-type", "f", "-perm", "/6000"]).lines() {
        assert!(found.contains_key(file), "{file} is not in {found:?}");
    }

    // The commands in the last three lines, each in its own shell.
    let [platform, runner, again] = said.last_chunk().unwrap();
    assert!(platform.starts_with("target/mig-standalone -c ") && platform.ends_with(" run"));
    assert!(runner.starts_with("target/mig-runner -c '"), "{runner}");
    let mut platform = user.run_line(parent.path(), platform);
    platform.wait_for("platform started");
    let mut runner = user.run_line(parent.path(), runner);
    runner.wait_for("ready");
    let (status, said) = user.run_line(parent.path(), again).end();
    assert!(status.success(), "{status}:\n{}", said.join("\n"));
    assert_eq!(moves(&said, "action"), ["new", "inflight", "done"]);
    assert_eq!(moves(&said, "command"), ["ready", "inflight", "returned", "done"]);
    assert_eq!(std::fs::read_dir(folder.join("reports")).unwrap().count(), 2);
    assert_eq!(folders(&folder.join("spool")), FOLDERS);
    for program in [runner, platform] {
        kill_process_group(program.pid(), Signal::TERM).unwrap();
        program.end();
    }
    // The runner does not stop the GnuPG agent of its user, here the test.
    let home = folder.join("gnupg");
    output("gpgconf", &["--homedir", home.to_str().unwrap(), "--kill", "gpg-agent"]);
}

/// Returns the only entry of a folder.
fn only_entry(folder: &Path) -> PathBuf {
    let entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries[0].clone()
}

/// Returns all folders below `root` that are not hidden, sorted.
fn folders(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let is_shown = !entry.file_name().to_str().unwrap().starts_with('.');
            if is_shown && entry.file_type().unwrap().is_dir() {
                let path = entry.path();
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
                left.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn folder_that_is_not_empty_is_refused() {
    let user = User::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::File::create(folder.path().join("mine")).unwrap();
    let keep = ["try", "--keep", folder.path().to_str().unwrap()];
    let (status, said) = user.start(RUNNER, &keep).end();
    assert_eq!(status.code(), Some(73), "{said:?}");
    assert!(said.last().unwrap().contains("is not empty"), "{said:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    user.check_cleaned_up(None);
}

/// Copies a program into `folder`; returns the path of the copy.
fn install(program: &str, folder: &Path) -> String {
    let target = folder.join(Path::new(program).file_name().unwrap());
    let copy = format!("cp -l {program} {0} 2>/dev/null || cp {program} {0}", target.display());
    assert!(Command::new("sh").args(["-c", &copy]).status().unwrap().success());
    target.to_str().unwrap().to_owned()
}

#[test]
fn runner_without_platform_names_package() {
    let user = User::new();
    let folder = tempfile::tempdir().unwrap();
    let alone = install(RUNNER, folder.path());
    let (status, said) = user.start(&alone, &["try"]).end();
    assert_eq!(status.code(), Some(69), "{said:?}");
    assert!(said[0].contains("install the package mig-standalone"), "{said:?}");
}

#[test]
fn platform_without_runner_creates_nothing() {
    let user = User::new();
    let folder = tempfile::tempdir().unwrap();
    let alone = install(STANDALONE, folder.path());
    let (status, said) = user.start(&alone, &["try"]).end();
    assert_eq!((status.code(), said.len()), (Some(69), 1), "{said:?}");
    assert!(said[0].contains("in the same folder"), "{said:?}");
    user.check_cleaned_up(None);
}

#[test]
fn failure_of_runner_is_reported_with_its_log() {
    let user = User::new();
    let folder = tempfile::tempdir().unwrap();
    let platform = install(STANDALONE, folder.path());
    // Written by another process: a file that is open for writing in this one cannot be executed.
    let script = "printf '#!/bin/sh\\necho it hurts\\nexit 3\\n' > $0 && chmod 700 $0";
    let runner = folder.path().join("mig-runner");
    assert!(Command::new("sh").args(["-c", script]).arg(&runner).status().unwrap().success());
    let (status, said) = user.start(&platform, &["try"]).end();
    assert_eq!(status.code(), Some(69), "{said:?}");
    let message =
        said.iter().position(|line| line.contains("the runner ended unexpectedly")).unwrap();
    assert!(said[message].starts_with("mig-standalone: "), "{said:?}");
    assert!(said[message + 1..].contains(&"  it hurts".to_owned()), "{said:?}");
    user.check_cleaned_up(None);
}
