//! Commands of root that create a folder in a folder of root that all users may write to, such as
//! `/tmp`.
//!
//! A thread with the rights of another user creates the name of the new folder, as a folder and as a
//! link to a folder of root, and removes it again, as fast as it can.

#![expect(clippy::disallowed_methods, reason = "the tests prepare and inspect files directly")]

use std::fs;
#[cfg(feature = "platform")]
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
#[cfg(feature = "platform")]
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

#[cfg(feature = "platform")]
use rustix::process::{Pid, Signal, kill_process};

use super::super::home::{CommandOutput, Home};
use super::{NOBODY, become_nobody, is_root, rounds};

/// A folder of root that all users may write to, and one that they may not.
struct SharedFolder {
    home: Home,
    shared: tempfile::TempDir,
    /// An empty folder of root: a command that follows a link to it could use it.
    target: tempfile::TempDir,
}

/// The approximate length of a path on which a walk takes long.
const PATH_BYTES: usize = 3000;

/// A folder: mode, owner, group, inode, number of entries.
type State = (u32, u32, u32, u64, usize);

fn state(folder: &Path) -> State {
    let meta = folder.symlink_metadata().unwrap();
    let count = fs::read_dir(folder).unwrap().count();
    (meta.mode(), meta.uid(), meta.gid(), meta.ino(), count)
}

impl SharedFolder {
    fn new() -> SharedFolder {
        let folder = |mode| {
            let folder = tempfile::Builder::new().prefix("r").tempdir_in("/tmp").unwrap();
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            folder
        };
        SharedFolder { home: Home::new(), shared: folder(0o1777), target: folder(0o755) }
    }

    fn name(&self) -> PathBuf {
        self.shared.path().join("new")
    }

    /// Runs a command while the user creates and removes the name; returns the number of names that
    /// the user created.
    fn attack(&self, run: impl FnOnce() -> CommandOutput) -> (CommandOutput, usize) {
        let (name, target, has_ended) = (&self.name(), self.target.path(), &AtomicBool::new(false));
        std::thread::scope(|scope| {
            let (ready, is_ready) = channel();
            let attacker = scope.spawn(move || {
                become_nobody();
                ready.send(()).unwrap();
                let mut made = 0;
                while !has_ended.load(Ordering::Relaxed) {
                    made += usize::from(fs::create_dir(name).is_ok());
                    fs::remove_dir(name).ok();
                    made += usize::from(symlink(target, name).is_ok());
                    fs::remove_file(name).ok();
                }
                made
            });
            is_ready.recv().unwrap();
            let output = run();
            has_ended.store(true, Ordering::Relaxed);
            (output, attacker.join().unwrap())
        })
    }

    /// Returns a path of the name on which each walk takes long, so that the name changes more often
    /// between two walks.
    fn long_path(&self) -> PathBuf {
        let detour = self.target.path().join("..").join(self.shared.path().file_name().unwrap());
        let name = self.target.path().file_name().unwrap();
        let mut path = detour.clone();
        while path.as_os_str().len() < PATH_BYTES {
            path.extend([
                "..".as_ref(),
                name,
                "..".as_ref(),
                self.shared.path().file_name().unwrap(),
            ]);
        }
        path.join("new")
    }

    /// Runs the rounds of an attack on a command of root, which gets `path` as the path of the name.
    fn attack_often(&self, rounds: usize, path: &Path, run: impl Fn(&Path) -> CommandOutput) {
        let name = self.name();
        let folders = || [state(self.shared.path()), state(self.target.path())];
        let before = folders();
        let (mut names, mut succeeded) = (0, 0);
        for round in 0..rounds {
            let (output, made) = self.attack(|| run(path));
            names += made;
            succeeded += usize::from(output.exit == 0);
            assert_one_owner(&name);
            Command::new("rm").arg("-rf").arg(&name).status().unwrap();
            assert_eq!(folders(), before, "round {round}: {output:?}");
        }
        println!("the user created {names} names; {succeeded} commands succeeded nevertheless");
        assert!(names >= rounds, "{names} names in {rounds} rounds");
        let output = run(path);
        assert!(name.is_dir(), "{output:?}");
        Command::new("rm").arg("-rf").arg(&name).status().unwrap();
    }
}

/// Runs a command, and ends it by a signal when it has printed something: a trial does so when it has
/// created its folder, and would take seconds more.
#[cfg(feature = "platform")]
fn run_until_first_line(command: &mut Command) -> CommandOutput {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).ok();
    stdout.read_to_string(&mut line).unwrap();
    let ended = child.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    CommandOutput { exit: ended.status.code().unwrap_or(-1), out: line, err }
}

/// Checks that everything in a folder belongs to the owner of the folder: root has created nothing in
/// a folder of the user.
fn assert_one_owner(folder: &Path) {
    let Ok(meta) = folder.symlink_metadata() else { return };
    if meta.is_dir() {
        let mut find = Command::new("find");
        find.arg(folder).args(["!", "-user", &meta.uid().to_string()]);
        let output = CommandOutput::of(&mut find);
        assert_eq!((output.exit, output.out.as_str()), (0, ""), "{output:?}");
    } else {
        assert_eq!(meta.uid(), NOBODY);
    }
}

#[test]
fn init_in_a_shared_folder_changes_no_folder_of_root_as_root() {
    if !is_root("it attacks commands of root") {
        return;
    }
    let folder = SharedFolder::new();
    let init = |program: &str, name: &Path| {
        CommandOutput::of(&mut folder.home.command_of(program, &["init", name.to_str().unwrap()]))
    };
    let path = folder.long_path();
    folder.attack_often(rounds(), &path, |name| init(env!("CARGO_BIN_EXE_mig-runner"), name));
    #[cfg(feature = "platform")]
    folder.attack_often(rounds(), &path, |name| init(env!("CARGO_BIN_EXE_mig-standalone"), name));
}

#[test]
#[cfg(feature = "platform")]
fn try_in_a_shared_folder_changes_no_folder_of_root_as_root() {
    if !is_root("it attacks commands of root") {
        return;
    }
    let folder = SharedFolder::new();
    let trial = env!("CARGO_BIN_EXE_mig-standalone");
    folder.attack_often(rounds().div_ceil(5), &folder.name(), |name| {
        let mut command = folder.home.command_of(trial, &["try", "--keep", name.to_str().unwrap()]);
        run_until_first_line(&mut command)
    });
}
