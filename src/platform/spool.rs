//! The scheduler's spool: each action and each command is a file, and its folder
//! tells how far it is.
//!
//! The folders are those of MIG's own document, two of which the real scheduler
//! lacks (`command/ready`, `command/done`). A file is named for its action,
//! `ACTIONID.json`, or for action and command, `ACTIONID-COMMANDID.json`. Nothing is
//! ever written in place: a file is created whole or moved as it is.
//!
//! **Invariant.** One scheduler: the lock is held for life, and a spool that was replaced is neither
//! read nor written. A folder that has files
//! but not our lock is somebody else's and is refused.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::data::Id;
use crate::disk::ignored_names::is_ignored;
use crate::disk::{DAEMON_PREFIX, Disk, DiskError, Fs, PathLock};

/// What the lock file holds: whose spool it is.
const MARK: &[u8] = b"mig-standalone 1\n";
/// The most that is read of a file.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// How the name of a file ends that cannot be read.
const SET_ASIDE: &str = "fail";

/// A spool that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    /// Another platform uses it.
    #[error("another platform uses spool {}", path.display())]
    Locked { path: PathBuf },
    /// It is not ours.
    #[error("{} is not empty and no spool of this platform: choose another folder", path.display())]
    Foreign { path: PathBuf },
    /// It cannot be read or written.
    #[error("cannot use spool {}", path.display())]
    Disk { path: PathBuf, source: DiskError },
}

/// A folder of the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Actions that were taken up.
    ActionNew,
    /// Actions that were sent.
    ActionInflight,
    /// Actions of which every command is done.
    ActionDone,
    /// Actions that will not be sent.
    ActionInvalid,
    /// Commands that an agent is to get.
    CommandReady,
    /// Commands that an agent has.
    CommandInflight,
    /// Commands that were answered, or that nobody answered in time.
    CommandReturned,
    /// Commands whose answer is in the database.
    CommandDone,
}

impl Place {
    const ALL: [Place; 8] = [
        Place::ActionNew,
        Place::ActionInflight,
        Place::ActionDone,
        Place::ActionInvalid,
        Place::CommandReady,
        Place::CommandInflight,
        Place::CommandReturned,
        Place::CommandDone,
    ];

    fn path(self) -> &'static str {
        match self {
            Place::ActionNew => "action/new",
            Place::ActionInflight => "action/inflight",
            Place::ActionDone => "action/done",
            Place::ActionInvalid => "action/invalid",
            Place::CommandReady => "command/ready",
            Place::CommandInflight => "command/inflight",
            Place::CommandReturned => "command/returned",
            Place::CommandDone => "command/done",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

/// What a file of the spool stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) action: Id,
    /// The command, if it is one.
    pub(crate) command: Option<Id>,
}

impl Name {
    /// Returns what an action's file is called.
    pub(crate) fn action(action: Id) -> Name {
        Name { action, command: None }
    }

    /// Returns what a command's file is called.
    pub(crate) fn command(action: Id, command: Id) -> Name {
        Name { action, command: Some(command) }
    }

    fn parse(name: &OsStr) -> Option<Name> {
        let name = name.to_str()?;
        let stem = name.strip_suffix(".json")?;
        let id = |text: &str| text.parse().ok().map(Id::new);
        let parsed = match stem.split_once('-') {
            Some((action, command)) => Name::command(id(action)?, id(command)?),
            None => Name::action(id(stem)?),
        };
        // A sign or a zero in front would make two files of one.
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command {
            Some(command) => write!(f, "{}-{command}.json", self.action),
            None => write!(f, "{}.json", self.action),
        }
    }
}

/// The folders of a scheduler.
#[derive(Debug)]
pub(crate) struct Spool {
    root: PathBuf,
    disk: Disk,
    hold: PathLock,
}

impl Spool {
    /// Opens the spool at `root`, makes what is missing, and locks it.
    pub(crate) fn open(fs: Arc<dyn Fs>, root: &Path) -> Result<Spool, SpoolError> {
        let fail = |source: DiskError| match source.kind() {
            io::ErrorKind::WouldBlock => SpoolError::Locked { path: root.to_owned() },
            _ => SpoolError::Disk { path: root.to_owned(), source },
        };
        let scratch = root.join(".tmp");
        let disk = Disk::new(fs, scratch.clone(), DAEMON_PREFIX);
        disk.make_folders(root).map_err(fail)?;
        let mark = root.join(".lock");
        if disk.find(&mark).map_err(fail)?.is_none() {
            let entries = disk.list(root).map_err(fail)?;
            if entries.iter().any(|entry| entry.name != ".tmp" && !is_ignored(&entry.name)) {
                return Err(SpoolError::Foreign { path: root.to_owned() });
            }
            disk.make_folder(&scratch).map_err(fail)?;
            disk.create(&mark, MARK).map_err(fail)?;
        }
        let is_ours = disk.read(&mark, FILE_BYTES_MAX).map_err(fail)? == MARK;
        if !is_ours {
            return Err(SpoolError::Foreign { path: root.to_owned() });
        }
        let hold = PathLock::acquire(&disk, &mark).map_err(fail)?;
        disk.make_folder(&scratch).map_err(fail)?;
        // A file that is still open on a network file system, for one, cannot be removed.
        let temporaries = disk.list(&scratch).map_err(fail)?.into_iter();
        for entry in temporaries.filter(|entry| !is_ignored(&entry.name)) {
            disk.unlink(&scratch.join(entry.name)).map_err(fail)?;
        }
        for place in Place::ALL {
            disk.make_folders(&root.join(place.path())).map_err(fail)?;
        }
        Ok(Spool { root: root.to_owned(), disk, hold })
    }

    fn path(&self, place: Place, name: Name) -> PathBuf {
        self.root.join(place.path()).join(name.to_string())
    }

    /// Tells whether a file is in a folder.
    pub(crate) fn has(&self, place: Place, name: Name) -> Result<bool, DiskError> {
        Ok(self.disk.find(&self.path(place, name))?.is_some())
    }

    /// Creates a file; tells whether it was not there yet.
    pub(crate) fn create(&self, place: Place, name: Name, text: &str) -> Result<bool, DiskError> {
        self.hold.check(&self.disk)?;
        match self.disk.create(&self.path(place, name), text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            created => created.map(|()| true),
        }
    }

    /// Moves a file. If both names are taken, a crash came between two steps, and the later one counts.
    pub(crate) fn shift(&self, name: Name, from: Place, to: Place) -> Result<(), DiskError> {
        self.hold.check(&self.disk)?;
        match self.disk.rename(&self.path(from, name), &self.path(to, name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.remove(from, name),
            shifted => shifted,
        }
    }

    /// Sets a file aside that cannot be read, under a name that no scan takes.
    pub(crate) fn set_aside(&self, place: Place, name: Name) -> Result<(), DiskError> {
        self.hold.check(&self.disk)?;
        let path = self.path(place, name);
        self.disk.rename(&path, &path.with_extension(format!("json.{SET_ASIDE}")))
    }

    /// Removes a file; that it is not there is no error.
    pub(crate) fn remove(&self, place: Place, name: Name) -> Result<(), DiskError> {
        self.hold.check(&self.disk)?;
        match self.disk.unlink(&self.path(place, name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Removes the files of a folder that were written before `end`; returns how many. Of
    /// `returned`, those alone that were set aside: the others are still owed.
    pub(crate) fn prune(&self, place: Place, end: Timestamp) -> Result<usize, DiskError> {
        self.hold.check(&self.disk)?;
        let folder = self.root.join(place.path());
        let mut removed = 0;
        for entry in self.disk.list(&folder)? {
            let path = folder.join(&entry.name);
            let is_over = match Name::parse(&entry.name) {
                Some(_) => place != Place::CommandReturned,
                None => Path::new(&entry.name).extension() == Some(OsStr::new(SET_ASIDE)),
            };
            if is_over && self.disk.find(&path)?.is_some_and(|meta| meta.modified < end) {
                self.disk.unlink(&path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    pub(crate) fn read(&self, place: Place, name: Name) -> Result<Vec<u8>, DiskError> {
        self.disk.read(&self.path(place, name), FILE_BYTES_MAX)
    }

    /// Returns what the files of a folder stand for; others are left alone.
    pub(crate) fn list(&self, place: Place) -> Result<Vec<Name>, DiskError> {
        self.hold.check(&self.disk)?;
        let entries = self.disk.list(&self.root.join(place.path()))?;
        let mut names: Vec<Name> =
            entries.iter().filter_map(|entry| Name::parse(&entry.name)).collect();
        names.sort_by_key(|name| (name.action, name.command));
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealFs;

    fn open(root: &Path) -> Result<Spool, SpoolError> {
        Spool::open(Arc::new(RealFs), root)
    }

    #[test]
    fn the_folders_are_those_of_the_document() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("spool");
        let _spool = open(&root).unwrap();
        let folders = |path: &Path| {
            let mut names: Vec<String> = std::fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| !name.starts_with('.'))
                .collect();
            names.sort_unstable();
            names
        };
        assert_eq!(folders(&root), ["action", "command"]);
        assert_eq!(folders(&root.join("action")), ["done", "inflight", "invalid", "new"]);
        assert_eq!(folders(&root.join("command")), ["done", "inflight", "ready", "returned"]);
    }

    #[test]
    fn two_platforms_cannot_share_a_spool() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path()).unwrap();
        assert!(matches!(open(folder.path()), Err(SpoolError::Locked { .. })));
        drop(spool);
        let open = || open(folder.path());
        let is_locked = |error: &SpoolError| matches!(error, SpoolError::Locked { .. });
        assert!(crate::testing::retried(open, is_locked).is_ok());
    }

    #[test]
    fn a_spool_that_is_replaced_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (root, away) = (folder.path().join("spool"), folder.path().join("away"));
        let spool = open(&root).unwrap();
        let name = Name::action(Id::new(7));
        assert!(spool.create(Place::ActionNew, name, "{}").unwrap());
        RealFs.rename(&root, &away).unwrap();
        let other = open(&root).unwrap();
        assert!(other.create(Place::ActionNew, name, "other").unwrap());
        let is_refused = [
            spool.list(Place::ActionNew).is_err(),
            spool.create(Place::CommandReady, name, "{}").is_err(),
            spool.shift(name, Place::ActionNew, Place::ActionInflight).is_err(),
            spool.set_aside(Place::ActionNew, name).is_err(),
            spool.remove(Place::ActionNew, name).is_err(),
            spool.prune(Place::ActionNew, Timestamp::MAX).is_err(),
        ];
        assert_eq!(is_refused, [true; 6]);
        assert_eq!(other.read(Place::ActionNew, name).unwrap(), b"other");
        drop(other);
        RealFs.rename(&root, &folder.path().join("other")).unwrap();
        RealFs.rename(&away, &root).unwrap();
        spool.shift(name, Place::ActionNew, Place::ActionInflight).unwrap();
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("action")).unwrap();
        assert!(matches!(open(folder.path()), Err(SpoolError::Foreign { .. })));
        let folder = tempfile::tempdir().unwrap();
        let disk =
            Disk::new(Arc::new(RealFs), folder.path().to_owned(), crate::disk::COMMAND_PREFIX);
        disk.create(&folder.path().join(".lock"), b"mig-runner 1\n").unwrap();
        assert!(matches!(open(folder.path()), Err(SpoolError::Foreign { .. })));
    }

    #[test]
    fn what_file_systems_and_people_leave_behind_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["lost+found", ".snapshots", ".tmp/lost+found"] {
            crate::testing::make_private(&root.join(name));
        }
        for name in ["README", "x~", ".nfs0001", ".tmp/.nfs0001"] {
            crate::testing::write_private(&root.join(name), "x");
        }
        let spool = open(root).unwrap();
        crate::testing::make_private(&root.join("command/ready/lost+found"));
        assert_eq!(spool.list(Place::CommandReady).unwrap(), []);
        drop(spool);
        let open = || open(root);
        let is_locked = |error: &SpoolError| matches!(error, SpoolError::Locked { .. });
        drop(crate::testing::retried(open, is_locked).unwrap());
        assert!(root.join(".tmp/.nfs0001").exists());
    }

    #[test]
    fn names_are_numbers() {
        let parse = |name: &str| Name::parse(OsStr::new(name));
        assert_eq!(parse("7.json"), Some(Name::action(Id::new(7))));
        assert_eq!(parse("7-8.json"), Some(Name::command(Id::new(7), Id::new(8))));
        for bad in
            ["7", ".json", "07.json", "+7.json", "7-.json", "7-8-9.json", "x.json", "7.json.fail"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_file_that_was_moved_twice_is_where_it_was_moved_last() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path()).unwrap();
        let name = Name::action(Id::new(7));
        assert!(spool.create(Place::ActionNew, name, "new").unwrap());
        assert!(spool.create(Place::ActionInflight, name, "inflight").unwrap());
        assert!(!spool.create(Place::ActionInflight, name, "again").unwrap());
        spool.shift(name, Place::ActionNew, Place::ActionInflight).unwrap();
        assert!(!spool.has(Place::ActionNew, name).unwrap());
        assert_eq!(spool.read(Place::ActionInflight, name).unwrap(), b"inflight");
    }
}
