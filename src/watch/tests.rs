//! Hints from real folders.

#![expect(clippy::disallowed_methods, reason = "tests change folders directly")]

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
        let (sender, hints) = channel();
        let log = Logger::root(slog::Discard, slog::o!());
        let watcher = Watcher::start(&log, move |hint| sender.send(hint).unwrap_or_default());
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

    /// Writes a file that is closed when this returns. Another process writes it, because a process
    /// that another test forks from this one would keep the file open.
    fn put(&self, name: &str) {
        let mut writer = Command::new("sh");
        let written = writer.args(["-c", "printf x >\"$0\""]).arg(self.path(name)).status();
        assert!(written.unwrap().success());
    }

    /// Returns the hints so far. Events arrive in order, so a final event marks the end.
    fn received(&self) -> Vec<Hint> {
        let mark = self.path("new/.mark");
        fs::create_dir(&mark).unwrap();
        let mut received = Vec::new();
        loop {
            match self.hints.recv_timeout(AMPLE).unwrap() {
                Hint::Path(path) if path == mark => break,
                hint => received.push(hint),
            }
        }
        fs::remove_dir(&mark).unwrap();
        while self.hints.recv_timeout(AMPLE).unwrap() != Hint::Path(mark.clone()) {}
        received
    }

    fn at(&self, names: &[&str]) -> Vec<Hint> {
        names.iter().map(|name| Hint::Path(self.path(name))).collect()
    }
}

#[test]
fn new_and_removed_names_cause_hints() {
    let rig = Rig::new();
    fs::write(rig.path("done/a"), "x").unwrap();
    assert_eq!(rig.received(), [], "that folder is not watched");
    fs::rename(rig.path("done/a"), rig.path("new/a")).unwrap();
    assert_eq!(rig.received(), rig.at(&["new/a"]));
    fs::rename(rig.path("new/a"), rig.path("new/b")).unwrap();
    assert_eq!(rig.received(), rig.at(&["new/a", "new/b"]));
    fs::hard_link(rig.path("new/b"), rig.path("new/c")).unwrap();
    assert_eq!(rig.received(), rig.at(&["new/c"]));
    fs::rename(rig.path("new/b"), rig.path("done/b")).unwrap();
    fs::remove_file(rig.path("new/c")).unwrap();
    assert_eq!(rig.received(), rig.at(&["new/b", "new/c"]));
}

#[test]
fn file_causes_hints_when_it_is_created_and_closed() {
    use std::io::Write;
    let rig = Rig::new();
    let mut file = fs::File::create(rig.path("new/a")).unwrap();
    assert_eq!(rig.received(), rig.at(&["new/a"]));
    file.write_all(b"half").unwrap();
    file.sync_all().unwrap();
    assert_eq!(rig.received(), []);
    drop(file);
    // A process that another test has just forked has it open too, until it executes a program.
    assert_eq!(rig.hints.recv_timeout(AMPLE).unwrap(), Hint::Path(rig.path("new/a")));
    assert_eq!(rig.received(), []);
}

#[test]
fn changed_permissions_cause_a_hint() {
    use std::os::unix::fs::PermissionsExt;
    let rig = Rig::new();
    rig.put("new/a");
    rig.received();
    fs::set_permissions(rig.path("new/a"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(rig.received(), rig.at(&["new/a"]));
}

#[test]
fn reading_causes_no_hint() {
    let rig = Rig::new();
    rig.put("new/a");
    rig.received();
    assert_eq!(fs::read(rig.path("new/a")).unwrap(), b"x");
    assert_eq!(fs::read_dir(rig.path("new")).unwrap().count(), 1);
    fs::File::open(rig.path("new")).unwrap().sync_all().unwrap();
    assert_eq!(rig.received(), []);
}

#[test]
fn removed_folder_causes_a_hint_for_everything() {
    let mut rig = Rig::new();
    rig.watch("done");
    fs::remove_dir(rig.path("done")).unwrap();
    assert_eq!(rig.received(), [Hint::Everything]);
    fs::create_dir(rig.path("done")).unwrap();
    rig.watch("done");
    fs::write(rig.path("done/a"), "x").unwrap();
    assert_eq!(rig.received(), rig.at(&["done/a", "done/a"]));
    fs::rename(rig.path("done"), rig.path("elsewhere")).unwrap();
    assert_eq!(rig.received(), [Hint::Everything]);
}

#[test]
fn folder_watched_twice_causes_single_hints_until_unwatched() {
    let mut rig = Rig::new();
    rig.watch("done");
    rig.watch("done");
    fs::create_dir(rig.path("done/a")).unwrap();
    assert_eq!(rig.received(), rig.at(&["done/a"]));
    let done = rig.path("done");
    rig.watcher.unwatch(&done);
    rig.watcher.unwatch(&done);
    fs::create_dir(rig.path("done/b")).unwrap();
    assert_eq!(rig.received(), []);
}

#[test]
fn missing_folder_cannot_be_watched() {
    let mut rig = Rig::new();
    let path = rig.path("none");
    let error = rig.watcher.watch(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot watch {}", path.display()));
    assert!(error.is_gone());
    let error = WatchError::Folder { path: path.clone(), source: notify::Error::generic("x") };
    assert!(!error.is_gone());
    assert!(!lock(&rig.watcher.folders).contains(&path));
}

#[test]
fn lost_events_cause_a_hint_for_everything() {
    let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
    assert_eq!(hints(&overflow, &Folders::default()), [Hint::Everything]);
}

#[test]
fn only_removal_of_a_watched_folder_causes_a_hint_for_everything() {
    let folder = PathBuf::from("/spool/new");
    let mut folders = Folders::default();
    folders.insert(&folder);
    let hints_of = |kind| hints(&Event::new(kind).add_path(folder.clone()), &folders);
    assert_eq!(hints_of(EventKind::Remove(RemoveKind::Folder)), [Hint::Everything]);
    assert_eq!(hints_of(EventKind::Create(CreateKind::Folder)), [Hint::Path(folder.clone())]);
    assert_eq!(hints_of(EventKind::Modify(ModifyKind::Data(DataChange::Any))), []);
}
