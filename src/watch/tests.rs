//! Hints from real folders.

#![expect(clippy::disallowed_methods, reason = "tests look behind the disk's back")]

use std::fs;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use notify::event::{CreateKind, DataChange, Flag, RemoveKind};

use super::*;

/// Longer than any event takes, even on a busy machine.
const AMPLE: Duration = Duration::from_secs(60);

struct Rig {
    folder: tempfile::TempDir,
    watcher: Watcher,
    hints: Receiver<Hint>,
}

impl Rig {
    fn new() -> Rig {
        let (hear, hints) = channel();
        let log = Logger::root(slog::Discard, slog::o!());
        let watcher = Watcher::start(&log, move |hint| hear.send(hint).unwrap_or_default());
        let mut rig =
            Rig { folder: tempfile::tempdir().unwrap(), watcher: watcher.unwrap(), hints };
        for name in ["new", "done"] {
            fs::create_dir(rig.path(name)).unwrap();
        }
        rig.watch("new");
        rig
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn watch(&mut self, name: &str) {
        let path = self.path(name);
        self.watcher.watch(&path).unwrap();
    }

    /// Writes a file that is closed when this returns: by another process, for one that
    /// another test forks from this one keeps what is open here.
    fn put(&self, name: &str) {
        let mut writer = Command::new("sh");
        let written = writer.args(["-c", "printf x >\"$0\""]).arg(self.path(name)).status();
        assert!(written.unwrap().success());
    }

    /// Returns the hints up to now: events come in order, so a last one ends them.
    fn heard(&self) -> Vec<Hint> {
        let mark = self.path("new/.mark");
        fs::create_dir(&mark).unwrap();
        let mut heard = Vec::new();
        loop {
            match self.hints.recv_timeout(AMPLE).unwrap() {
                Hint::Path(path) if path == mark => break,
                hint => heard.push(hint),
            }
        }
        fs::remove_dir(&mark).unwrap();
        while self.hints.recv_timeout(AMPLE).unwrap() != Hint::Path(mark.clone()) {}
        heard
    }

    fn at(&self, names: &[&str]) -> Vec<Hint> {
        names.iter().map(|name| Hint::Path(self.path(name))).collect()
    }
}

#[test]
fn names_that_come_and_go_are_told() {
    let rig = Rig::new();
    fs::write(rig.path("done/a"), "x").unwrap();
    assert_eq!(rig.heard(), [], "nobody watches that folder");
    fs::rename(rig.path("done/a"), rig.path("new/a")).unwrap();
    assert_eq!(rig.heard(), rig.at(&["new/a"]));
    fs::rename(rig.path("new/a"), rig.path("new/b")).unwrap();
    assert_eq!(rig.heard(), rig.at(&["new/a", "new/b"]));
    fs::hard_link(rig.path("new/b"), rig.path("new/c")).unwrap();
    assert_eq!(rig.heard(), rig.at(&["new/c"]));
    fs::rename(rig.path("new/b"), rig.path("done/b")).unwrap();
    fs::remove_file(rig.path("new/c")).unwrap();
    assert_eq!(rig.heard(), rig.at(&["new/b", "new/c"]));
}

#[test]
fn what_is_written_is_told_when_it_is_made_and_when_it_is_finished() {
    use std::io::Write;
    let rig = Rig::new();
    let mut file = fs::File::create(rig.path("new/a")).unwrap();
    assert_eq!(rig.heard(), rig.at(&["new/a"]));
    file.write_all(b"half").unwrap();
    file.sync_all().unwrap();
    assert_eq!(rig.heard(), []);
    drop(file);
    // A process that another test has just forked has it open too, until it becomes a program.
    assert_eq!(rig.hints.recv_timeout(AMPLE).unwrap(), Hint::Path(rig.path("new/a")));
    assert_eq!(rig.heard(), []);
}

#[test]
fn rights_that_change_are_told() {
    use std::os::unix::fs::PermissionsExt;
    let rig = Rig::new();
    rig.put("new/a");
    rig.heard();
    fs::set_permissions(rig.path("new/a"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(rig.heard(), rig.at(&["new/a"]));
}

#[test]
fn looking_causes_no_hint() {
    let rig = Rig::new();
    rig.put("new/a");
    rig.heard();
    assert_eq!(fs::read(rig.path("new/a")).unwrap(), b"x");
    assert_eq!(fs::read_dir(rig.path("new")).unwrap().count(), 1);
    fs::File::open(rig.path("new")).unwrap().sync_all().unwrap();
    assert_eq!(rig.heard(), []);
}

#[test]
fn a_watched_folder_that_is_lost_makes_everything_suspect() {
    let mut rig = Rig::new();
    rig.watch("done");
    fs::remove_dir(rig.path("done")).unwrap();
    assert_eq!(rig.heard(), [Hint::Everything]);
    fs::create_dir(rig.path("done")).unwrap();
    rig.watch("done");
    fs::write(rig.path("done/a"), "x").unwrap();
    assert_eq!(rig.heard(), rig.at(&["done/a", "done/a"]));
    fs::rename(rig.path("done"), rig.path("elsewhere")).unwrap();
    assert_eq!(rig.heard(), [Hint::Everything]);
}

#[test]
fn a_folder_watched_twice_tells_once_and_then_no_more() {
    let mut rig = Rig::new();
    rig.watch("done");
    rig.watch("done");
    fs::create_dir(rig.path("done/a")).unwrap();
    assert_eq!(rig.heard(), rig.at(&["done/a"]));
    let done = rig.path("done");
    rig.watcher.unwatch(&done);
    rig.watcher.unwatch(&done);
    fs::create_dir(rig.path("done/b")).unwrap();
    assert_eq!(rig.heard(), []);
}

#[test]
fn what_is_not_there_cannot_be_watched() {
    let mut rig = Rig::new();
    let path = rig.path("none");
    let error = rig.watcher.watch(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot watch {}", path.display()));
    // It is not reported.
    assert!(error.is_gone());
    let error = WatchError::Folder { path: path.clone(), source: notify::Error::generic("x") };
    assert!(!error.is_gone());
    assert!(lock(&rig.watcher.folders).iter().all(|folder| *folder != path));
}

#[test]
fn lost_events_make_everything_suspect() {
    let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
    assert_eq!(hints(&overflow, &HashSet::new()), [Hint::Everything]);
}

#[test]
fn only_what_is_gone_can_be_a_lost_folder() {
    let folder = PathBuf::from("/spool/new");
    let folders = HashSet::from([folder.clone()]);
    let told = |kind| hints(&Event::new(kind).add_path(folder.clone()), &folders);
    assert_eq!(told(EventKind::Remove(RemoveKind::Folder)), [Hint::Everything]);
    assert_eq!(told(EventKind::Create(CreateKind::Folder)), [Hint::Path(folder.clone())]);
    assert_eq!(told(EventKind::Modify(ModifyKind::Data(DataChange::Any))), []);
}
