//! Commands that root runs in the folder of a user who exchanges names meanwhile.
//!
//! A thread with the rights of the user exchanges a name with a link to a folder of root, as fast as
//! it can, while root runs a command. The folder of root has the same layout as the user's, so that
//! a command that follows the link finds what it looks for. No file of root may change.
//!
//! The gate runs [`ROUNDS`] rounds of each attack; `MIG_TEST_FULL=1` runs [`ROUNDS_FULL`], which is
//! one of the long checks.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the tests prepare and inspect files directly")]

mod shared;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::home::{CommandOutput, Home};

/// The user and group id of the unprivileged user `nobody`.
const NOBODY: u32 = 65534;
const ROUNDS: usize = 50;
const ROUNDS_FULL: usize = 1000;
/// A run that `retry` and `cancel` find.
const RUN: &str = "setuid.20310101T000000Z";

/// A folder of a user, and one of root with the same content.
struct Folders {
    home: Home,
    root_folder: tempfile::TempDir,
}

/// A file or folder of root: path, owner, group, mode, inode, content.
type State = (PathBuf, u32, u32, u32, u64, Vec<u8>);

impl Folders {
    /// Returns the folders with a runner's directory in each; `None` unless root runs the test.
    fn new() -> Option<Folders> {
        if !is_root("it attacks commands of root") {
            return None;
        }
        let home = Home::new();
        assert_eq!(home.run(&["init", "runner"]).exit, 0);
        fs::create_dir(home.path("new")).unwrap();
        fs::create_dir(home.path("data")).unwrap();
        let root_folder = tempfile::tempdir().unwrap();
        for name in ["runner", "new", "data"] {
            copy(&home.path(name), &root_folder.path().join(name));
        }
        // The worst case: the user can enter root's folders.
        change(Command::new("chmod").args(["-R", "go=u,go-w"]).arg(root_folder.path()));
        change(Command::new("chown").args(["-R", "65534:65534"]).arg(home.path("")));
        Some(Folders { home, root_folder })
    }

    /// Returns the state of all files of root.
    fn state(&self) -> Vec<State> {
        let mut found = Vec::new();
        let mut ahead = vec![self.root_folder.path().to_owned()];
        while let Some(path) = ahead.pop() {
            let meta = path.symlink_metadata().unwrap();
            let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            if meta.is_dir() {
                ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            found.push((path, meta.uid(), meta.gid(), meta.mode(), meta.ino(), content));
        }
        found.sort();
        found
    }

    /// Runs `command` while the user exchanges `name` with a link to root's folder of that name;
    /// returns the number of exchanges as well.
    fn attack(&self, name: &str, command: &mut Command) -> (CommandOutput, usize) {
        let (path, decoy) = (self.home.path(name), self.home.path("decoy"));
        let target = self.root_folder.path().join(name);
        let has_ended = AtomicBool::new(false);
        let (path, decoy, has_ended) = (&path, &decoy, &has_ended);
        std::thread::scope(|scope| {
            let (ready, is_ready) = channel();
            let attacker = scope.spawn(move || {
                become_nobody();
                symlink(target, decoy).unwrap();
                let exchange = || renameat_with(CWD, path, CWD, decoy, RenameFlags::EXCHANGE);
                ready.send(()).unwrap();
                let mut exchanges = 0;
                while !has_ended.load(Ordering::Relaxed) {
                    exchange().unwrap();
                    exchanges += 1;
                }
                if path.symlink_metadata().unwrap().is_symlink() {
                    exchange().unwrap();
                }
                fs::remove_file(decoy).unwrap();
                exchanges
            });
            is_ready.recv().unwrap();
            let output = CommandOutput::of(command);
            has_ended.store(true, Ordering::Relaxed);
            (output, attacker.join().unwrap())
        })
    }

    /// Runs the rounds of an attack. `prepare` returns the command of a round; each round exchanges
    /// one of the names.
    fn attack_often(&self, names: &[&str], prepare: impl Fn(&Folders, usize) -> Command) {
        let before = self.state();
        let (mut exchanges, mut succeeded) = (0, 0);
        for round in 0..rounds() {
            let name = names[round % names.len()];
            let (output, exchanged) = self.attack(name, &mut prepare(self, round));
            assert_eq!(self.state(), before, "round {round}, {name}: {output:?}");
            exchanges += exchanged;
            succeeded += usize::from(output.exit == 0);
        }
        println!("{exchanges} exchanges; {succeeded} commands succeeded nevertheless");
        assert!(exchanges >= rounds(), "{exchanges} exchanges in {} rounds", rounds());
        // Without an attack, the command succeeds: it is the attack that it refuses.
        let output = CommandOutput::of(&mut prepare(self, usize::MAX));
        assert_eq!(output.exit, 0, "{output:?}");
        assert_eq!(self.state(), before, "{output:?}");
    }

    /// Checks that all files of the user still belong to the user.
    fn assert_owned_by_user(&self) {
        let mut find = Command::new("find");
        find.arg(self.home.path("")).args(["!", "-user", "65534"]);
        let output = CommandOutput::of(&mut find);
        assert_eq!((output.exit, output.out.as_str()), (0, ""), "{output:?}");
    }

    /// Creates a private file of the user, in place of an earlier one.
    fn write(&self, name: &str, text: &str) {
        self.home.write(name, text);
        std::os::unix::fs::chown(self.home.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// Returns whether root runs the tests; otherwise reports that the current test is skipped and why.
fn is_root(why: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        // The test runner captures what `println!` writes, and shows it only if the test fails.
        writeln!(std::io::stderr(), "skipped: {test}: needs root: {why}").unwrap();
    }
    is_root
}

/// Returns the number of rounds of each attack.
fn rounds() -> usize {
    let is_full = std::env::var_os("MIG_TEST_FULL").is_some();
    if is_full { ROUNDS_FULL } else { ROUNDS }
}

/// Copies a folder with its permissions.
fn copy(from: &Path, to: &Path) {
    change(Command::new("cp").arg("-a").arg(from).arg(to));
}

fn change(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// Takes root's rights from this thread.
fn become_nobody() {
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    set_thread_groups(&[]).unwrap();
    set_thread_res_gid(gid, gid, gid).unwrap();
    set_thread_res_uid(uid, uid, uid).unwrap();
}

/// A command of the runner with the user's configuration, which root runs.
fn runner(folders: &Folders, arguments: &[&str]) -> Command {
    let config = folders.home.path("runner.cfg");
    let config = config.to_str().unwrap();
    folders.home.command(&[&["-c", config], arguments].concat())
}

/// Puts the configuration outside the folder that is exchanged.
fn configured() -> Option<Folders> {
    let folders = Folders::new()?;
    folders.write("runner.cfg", &folders.home.read("runner/runner.cfg"));
    Some(folders)
}

#[test]
fn trigger_changes_no_file_of_root_as_root() {
    let Some(folders) = configured() else { return };
    let names = ["runner/spool/.tmp", "runner/spool/action/new", "runner/spool", "runner"];
    folders.attack_often(&names, |folders, _| runner(folders, &["trigger", "setuid"]));
    folders.assert_owned_by_user();
}

#[test]
fn retry_and_cancel_change_no_file_of_root_as_root() {
    let Some(folders) = configured() else { return };
    let file = |folder: &str| format!("runner/spool/action/{folder}/{RUN}.json");
    for folder in ["new", "invalid"] {
        let path = folders.root_folder.path().join(file(folder));
        fs::write(&path, "{}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let names = ["runner/spool/action/new", "runner/spool/action/invalid", "runner/spool"];
    for (command, from, to) in [("retry", "invalid", "new"), ("cancel", "new", "invalid")] {
        folders.attack_often(&names, |folders, _| {
            fs::remove_file(folders.home.path(&file(to))).ok();
            folders.write(&file(from), "{}");
            runner(folders, &[command, RUN])
        });
        folders.assert_owned_by_user();
    }
}

#[test]
fn init_changes_no_file_of_root_as_root() {
    let Some(folders) = Folders::new() else { return };
    let program = |name: &str| match name {
        "mig-runner" => env!("CARGO_BIN_EXE_mig-runner"),
        #[cfg(feature = "platform")]
        "mig-standalone" => env!("CARGO_BIN_EXE_mig-standalone"),
        _ => "",
    };
    for name in ["mig-runner", "mig-standalone"].map(program) {
        if name.is_empty() {
            continue;
        }
        // The folder itself, or the one in which it is created, with two folders above it.
        for below in ["", "a/b"] {
            folders.attack_often(&["new"], |folders, _| {
                let folder = folders.home.path("new");
                change(Command::new("find").arg(&folder).args(["-mindepth", "1", "-delete"]));
                let folder = folder.join(below);
                folders.home.command_of(name, &["init", folder.to_str().unwrap()])
            });
            folders.assert_owned_by_user();
        }
    }
}

#[test]
#[cfg(feature = "data")]
fn database_commands_change_no_file_of_root_as_root() {
    let Some(folders) = Folders::new() else { return };
    let data = env!("CARGO_BIN_EXE_mig-data");
    let made = |folder: &Path| {
        let url = format!("sqlite:{}", folder.join("mig.db").display());
        CommandOutput::of(&mut folders.home.command_of(data, &["-d", &url, "schema", "init"]))
    };
    assert_eq!(made(&folders.root_folder.path().join("data")).exit, 0);
    assert_eq!(made(&folders.home.path("data")).exit, 0);
    folders.assert_owned_by_user();
    folders.attack_often(&["data"], |folders, round| {
        let url = format!("sqlite:{}", folders.home.path("data/mig.db").display());
        let key = format!("{round:040X}");
        let add = ["-d", &url, "investigator", "add", "--fingerprint", &key, "Eve"];
        folders.home.command_of(data, &add)
    });
    folders.attack_often(&["data"], |folders, round| {
        let name = format!("data/{round}.db");
        let url = format!("sqlite:{}", folders.home.path(&name).display());
        folders.home.command_of(data, &["-d", &url, "schema", "init"])
    });
    folders.assert_owned_by_user();
}

#[test]
fn root_stays_root_only_where_no_user_can_exchange_names_as_root() {
    let Some(folders) = configured() else { return };
    // A spool of root in the folder of a user.
    let spool = folders.home.path("runner/spool");
    change(Command::new("chown").args(["-R", "0:0"]).arg(&spool));
    let said = CommandOutput::of(&mut runner(&folders, &["trigger", "setuid"]));
    assert_eq!(said.exit, 77, "{said:?}");
    let above = spool.ancestors().nth(2).unwrap();
    let reason = format!("because {} belongs to user {NOBODY}", above.display());
    assert!(said.err.contains(&reason), "{said:?}");
    // A folder of a user in a spool of root.
    let root_folder = folders.root_folder.path().join("runner");
    let config = root_folder.join("runner.cfg");
    let text = fs::read_to_string(&config).unwrap();
    let old = folders.home.path("runner");
    fs::write(&config, text.replace(old.to_str().unwrap(), root_folder.to_str().unwrap())).unwrap();
    let arguments = ["-c", config.to_str().unwrap(), "trigger", "setuid"];
    let trigger = || CommandOutput::of(&mut folders.home.command(&arguments));
    assert_eq!(trigger().exit, 0);
    std::os::unix::fs::chown(root_folder.join("spool/.tmp"), Some(NOBODY), Some(NOBODY)).unwrap();
    let said = trigger();
    assert_eq!(said.exit, 77, "{said:?}");
    assert!(said.err.contains(".tmp belongs to user 65534"), "{said:?}");
}

#[test]
fn daemons_of_root_refuse_the_folders_of_a_user_as_root() {
    let Some(folders) = configured() else { return };
    let log = folders.root_folder.path().join("log");
    let config = folders.home.read("runner.cfg");
    let logging = format!("\n[logging]\nmode = file\nfile = {}\n", log.display());
    folders.write("runner.cfg", &(config + &logging));
    let said = CommandOutput::of(&mut runner(&folders, &["run"]));
    assert_eq!(said.exit, 77, "{said:?}");
    assert!(said.err.contains("run `sudo -u '#65534' "), "{said:?}");
    // The user has named the log; it must not be created with root's rights.
    assert!(!log.exists());
}

#[test]
#[cfg(feature = "platform")]
fn platform_of_root_refuses_the_data_of_a_user_as_root() {
    let Some(folders) = Folders::new() else { return };
    let program = env!("CARGO_BIN_EXE_mig-standalone");
    let folder = folders.home.path("new");
    let mut init = folders.home.command_of(program, &["init", folder.to_str().unwrap()]);
    assert_eq!(CommandOutput::of(&mut init).exit, 0);
    let config = folder.join("standalone.cfg");
    let run = ["-c", config.to_str().unwrap(), "run"];
    let said = CommandOutput::of(&mut folders.home.command_of(program, &run));
    assert_eq!(said.exit, 77, "{said:?}");
    assert!(said.err.contains("run this command with `sudo -u '#65534'`"), "{said:?}");
    folders.assert_owned_by_user();
}

#[test]
fn command_of_root_uses_the_home_of_the_owner_as_root() {
    let Some(folders) = configured() else { return };
    // The home of the process contains a client configuration, which is root's.
    let key = folders.home.key();
    folders.home.client(&key, "http://127.0.0.1:9/api/v1/");
    let said = CommandOutput::of(&mut runner(&folders, &["check", "--offline"]));
    assert_eq!(said.exit, 78, "{said:?}");
    assert!(said.out.contains("/nonexistent/.migrc"), "{said:?}");
}
