//! `mig-runner try`: the real programs, as a newcomer starts them.
//!
//! Each test has a home and a folder for temporary files of its own, so that it can
//! tell what a trial has left behind. A proxy that nobody runs is configured: what
//! goes to this host goes to no proxy.

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

/// How long a test waits for what must come; a trial takes less than a minute by its own promise.
const PATIENCE: Duration = Duration::from_secs(60);
const RUNNER: &str = env!("CARGO_BIN_EXE_mig-runner");
const STANDALONE: &str = env!("CARGO_BIN_EXE_mig-standalone");
/// The folders of a spool, as the seed of the project draws them.
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

/// A user who has nothing yet.
struct Newcomer {
    home: tempfile::TempDir,
    temporary: tempfile::TempDir,
}

impl Newcomer {
    fn new() -> Newcomer {
        let folder = || tempfile::Builder::new().prefix("t").tempdir_in("/tmp").unwrap();
        Newcomer { home: folder(), temporary: folder() }
    }

    /// Starts a program, with what every user has in the environment and no more.
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

    /// Types a line into a shell that works in `folder`, with what every user has in the environment.
    fn type_in(&self, folder: &Path, line: &str) -> Program {
        // The shell becomes the program, so that a signal reaches it.
        let script = format!("cd \"$0\" && exec {line}");
        self.start("sh", &["-c", &script, folder.to_str().unwrap()])
    }

    /// Checks that no process has to do with the temporary folder or `folder`, and that nothing is in the former.
    fn check_that_nothing_is_left(&self, folder: Option<&Path>) {
        let left = std::fs::read_dir(self.temporary.path()).unwrap().count();
        assert_eq!(left, 0, "something is left in {}", self.temporary.path().display());
        assert_eq!(std::fs::read_dir(self.home.path()).unwrap().count(), 0);
        for folder in folder.into_iter().chain([self.temporary.path()]) {
            assert_eq!(processes(folder), Vec::<String>::new());
        }
    }
}

/// Returns the command lines of all processes that name a folder, there or in their environment.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        // A process may end while it is looked at; those of others keep their environment to themselves.
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

/// A program that runs, line by line.
struct Program {
    child: Child,
    lines: Receiver<String>,
    /// What it has said so far.
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
        // It holds the writing ends, which must not outlive the program.
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

    /// Waits for a line with `text` in it.
    fn wait_for(&mut self, text: &str) {
        let begun = Instant::now();
        while !self.said.last().is_some_and(|line| line.contains(text)) {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.push(line),
                Err(error) => panic!("no \"{text}\" ({error}) after:\n{}", self.said.join("\n")),
            }
        }
    }

    /// Waits for the end; returns how it was, and all that was said.
    fn end(mut self) -> (ExitStatus, Vec<String>) {
        let begun = Instant::now();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) {
            self.said.push(line);
        }
        assert!(begun.elapsed() < PATIENCE, "no end after:\n{}", self.said.join("\n"));
        (self.child.wait().unwrap(), std::mem::take(&mut self.said))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Program {
    /// Ends what a test that failed has left.
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            kill_process_group(self.pid(), Signal::TERM).unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// Returns a folder in which the programs were built: they are in `target`, which is not in the PATH.
fn built() -> tempfile::TempDir {
    let place = tempfile::Builder::new().prefix("k").tempdir_in("/tmp").unwrap();
    let programs = Path::new(RUNNER).parent().unwrap();
    std::os::unix::fs::symlink(programs, place.path().join("target")).unwrap();
    place
}

/// Returns the folders of a family that a run came into, in that order.
fn moves(said: &[String], family: &str) -> Vec<String> {
    let targets = said.iter().filter_map(|line| line.split_once("→ ")?.1.split("  ").next());
    let of_family = targets.filter_map(|folder| folder.strip_prefix(family));
    of_family.map(|folder| folder.trim_start_matches('/').to_owned()).collect()
}

/// Returns what a command writes, and nothing if it fails.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the SHA-256 of a file as the system's own program has it.
fn sha256(path: &str) -> String {
    output("sha256sum", &["--", path]).trim_start_matches('\\')[..64].to_owned()
}

/// Makes a file that the sample job must find.
fn make_setuid(folder: &Path) -> PathBuf {
    let path = folder.join("suspicious");
    std::fs::File::create(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o4755)).unwrap();
    path
}

/// Returns the files of a report, each with its SHA-256.
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
fn a_newcomer_sees_a_run_from_the_job_to_the_plugin_and_nothing_is_left() {
    let newcomer = Newcomer::new();
    let place = built();
    let (status, said) = newcomer.type_in(place.path(), "target/mig-runner try").end();
    assert!(status.success(), "{status}:\n{}", said.join("\n"));
    assert_eq!(moves(&said, "action"), ["new", "inflight", "done"]);
    assert_eq!(moves(&said, "command"), ["ready", "inflight", "returned", "done"]);
    assert!(said.iter().any(|line| line.ends_with("0 without an answer")), "{said:?}");
    for line in said.iter().filter(|line| !line.contains('→')) {
        assert!(line.chars().count() <= 80, "too wide: {line}");
    }
    newcomer.check_that_nothing_is_left(None);

    // The last two lines name commands that work in this folder.
    let [keep, init] = said.last_chunk().unwrap();
    assert!(keep.ends_with("  target/mig-runner try --keep DIR"), "{said:?}");
    let init = init.split_once(":  ").unwrap().1.replace("DIR", "mine");
    let (status, said) = newcomer.type_in(place.path(), &init).end();
    assert!(status.success() && place.path().join("mine/runner.cfg").exists(), "{said:?}");
}

#[test]
fn whoever_stops_it_gets_everything_cleared_away() {
    for (mark, signal) in
        [("→ action/inflight", Signal::INT), ("key  ", Signal::TERM), ("folder  ", Signal::HUP)]
    {
        let newcomer = Newcomer::new();
        let mut program = newcomer.start(RUNNER, &["try"]);
        program.wait_for(mark);
        kill_process(program.pid(), signal).unwrap();
        let (status, said) = program.end();
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status}:\n{}", said.join("\n"));
        newcomer.check_that_nothing_is_left(None);
    }
}

#[test]
fn what_is_kept_can_be_started_again_by_typing_the_last_lines() {
    let newcomer = Newcomer::new();
    let place = built();
    let suspicious = make_setuid(place.path());
    let folder = place.path().join("it's a trial");
    let typed = r"target/mig-runner try --keep it\'s\ a\ trial";
    let (status, said) = newcomer.type_in(place.path(), typed).end();
    assert!(status.success(), "{status}:\n{}", said.join("\n"));
    newcomer.check_that_nothing_is_left(Some(&folder));

    // What was found is what this host's own programs find.
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

    // The last three lines, each by a shell of its own.
    let [platform, runner, again] = said.last_chunk().unwrap();
    assert!(platform.starts_with("target/mig-standalone -c ") && platform.ends_with(" run"));
    assert!(runner.starts_with("target/mig-runner -c '"), "{runner}");
    let mut platform = newcomer.type_in(place.path(), platform);
    platform.wait_for("platform started");
    let mut runner = newcomer.type_in(place.path(), runner);
    runner.wait_for("ready");
    let (status, said) = newcomer.type_in(place.path(), again).end();
    assert!(status.success(), "{status}:\n{}", said.join("\n"));
    assert_eq!(moves(&said, "action"), ["new", "inflight", "done"]);
    assert_eq!(moves(&said, "command"), ["ready", "inflight", "returned", "done"]);
    assert_eq!(std::fs::read_dir(folder.join("reports")).unwrap().count(), 2);
    assert_eq!(folders(&folder.join("spool")), FOLDERS);
    for program in [runner, platform] {
        kill_process_group(program.pid(), Signal::TERM).unwrap();
        program.end();
    }
    // A runner leaves its agent to its user, here the test.
    let home = folder.join("gnupg");
    output("gpgconf", &["--homedir", home.to_str().unwrap(), "--kill", "gpg-agent"]);
}

/// Returns the only entry of a folder.
fn only_entry(folder: &Path) -> PathBuf {
    let entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries[0].clone()
}

/// Returns the folders that `tree` would show.
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
fn a_folder_that_holds_something_is_refused() {
    let newcomer = Newcomer::new();
    let place = tempfile::tempdir().unwrap();
    std::fs::File::create(place.path().join("mine")).unwrap();
    let keep = ["try", "--keep", place.path().to_str().unwrap()];
    let (status, said) = newcomer.start(RUNNER, &keep).end();
    assert_eq!(status.code(), Some(73), "{said:?}");
    assert!(said.last().unwrap().contains("is not empty"), "{said:?}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    newcomer.check_that_nothing_is_left(None);
}

/// Makes `folder` one where programs are installed, with a copy of this one.
fn install(program: &str, folder: &Path) -> String {
    let place = folder.join(Path::new(program).file_name().unwrap());
    let copy = format!("cp -l {program} {0} 2>/dev/null || cp {program} {0}", place.display());
    assert!(Command::new("sh").args(["-c", &copy]).status().unwrap().success());
    place.to_str().unwrap().to_owned()
}

#[test]
fn a_runner_without_a_platform_says_what_to_install() {
    let newcomer = Newcomer::new();
    let place = tempfile::tempdir().unwrap();
    let alone = install(RUNNER, place.path());
    let (status, said) = newcomer.start(&alone, &["try"]).end();
    assert_eq!(status.code(), Some(69), "{said:?}");
    assert!(said[0].contains("install mig-standalone"), "{said:?}");
}

#[test]
fn a_platform_without_a_runner_says_so_before_anything_is_made() {
    let newcomer = Newcomer::new();
    let place = tempfile::tempdir().unwrap();
    let alone = install(STANDALONE, place.path());
    let (status, said) = newcomer.start(&alone, &["try"]).end();
    assert_eq!((status.code(), said.len()), (Some(69), 1), "{said:?}");
    assert!(said[0].contains("belong into one folder"), "{said:?}");
    newcomer.check_that_nothing_is_left(None);
}

#[test]
fn a_runner_that_fails_is_told_with_the_end_of_its_log() {
    let newcomer = Newcomer::new();
    let place = tempfile::tempdir().unwrap();
    let platform = install(STANDALONE, place.path());
    // By another process: a file that is open for writing in this one cannot be run.
    let script = "printf '#!/bin/sh\\necho it hurts\\nexit 3\\n' > $0 && chmod 700 $0";
    let runner = place.path().join("mig-runner");
    assert!(Command::new("sh").args(["-c", script]).arg(&runner).status().unwrap().success());
    let (status, said) = newcomer.start(&platform, &["try"]).end();
    assert_eq!(status.code(), Some(69), "{said:?}");
    let told = said.iter().position(|line| line.contains("the runner ended by itself")).unwrap();
    assert!(said[told].starts_with("mig-standalone: "), "{said:?}");
    assert!(said[told + 1..].contains(&"  it hurts".to_owned()), "{said:?}");
    newcomer.check_that_nothing_is_left(None);
}
