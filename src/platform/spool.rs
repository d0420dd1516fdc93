//! The scheduler's spool: each action and each command is a file, and its folder shows its state.
//!
//! The folders are those of MIG's own documentation; the original scheduler lacks two of them
//! (`command/ready`, `command/done`). A file is named after its action, `ACTIONID.json`, or after
//! action and command, `ACTIONID-COMMANDID.json`. No file is written in place: each is created
//! complete, or moved.
//!
//! **Invariants.** Only one scheduler uses a spool: it holds the lock until it ends, and neither
//! reads nor writes a spool that was replaced. A folder that contains files but not this platform's
//! lock file is rejected.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::data::Id;
use crate::disk::ignored_names::is_ignored;
use crate::disk::{DAEMON_PREFIX, Disk, DiskError, Fs, PathLock};

/// The content of the lock file, which identifies a spool of this program.
const MARK: &[u8] = b"mig-standalone 1\n";
/// Maximum size of a file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Extension of a file that was set aside because it cannot be parsed.
const SET_ASIDE: &str = "fail";

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    #[error("another platform uses spool {}", path.display())]
    Locked { path: PathBuf },
    /// The folder belongs to another program.
    #[error("{} is not empty and is not a spool of mig-standalone: choose another folder", path.display())]
    Foreign { path: PathBuf },
    #[error("cannot use spool {}", path.display())]
    Disk { path: PathBuf, source: DiskError },
}

/// A folder of the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SpoolFolder {
    /// Actions that were accepted.
    ActionNew,
    /// Actions that were sent.
    ActionInflight,
    /// Actions whose commands have all ended.
    ActionDone,
    /// Actions that cannot be sent.
    ActionInvalid,
    /// Commands that were created.
    CommandReady,
    /// Commands that are sent, or will be.
    CommandInflight,
    /// Commands that were answered or have expired.
    CommandReturned,
    /// Commands whose answer is in the database.
    CommandDone,
}

impl SpoolFolder {
    pub(super) const ALL: [SpoolFolder; 8] = [
        SpoolFolder::ActionNew,
        SpoolFolder::ActionInflight,
        SpoolFolder::ActionDone,
        SpoolFolder::ActionInvalid,
        SpoolFolder::CommandReady,
        SpoolFolder::CommandInflight,
        SpoolFolder::CommandReturned,
        SpoolFolder::CommandDone,
    ];

    pub(super) fn path(self) -> &'static str {
        match self {
            SpoolFolder::ActionNew => "action/new",
            SpoolFolder::ActionInflight => "action/inflight",
            SpoolFolder::ActionDone => "action/done",
            SpoolFolder::ActionInvalid => "action/invalid",
            SpoolFolder::CommandReady => "command/ready",
            SpoolFolder::CommandInflight => "command/inflight",
            SpoolFolder::CommandReturned => "command/returned",
            SpoolFolder::CommandDone => "command/done",
        }
    }
}

impl fmt::Display for SpoolFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

/// The action or the command that a file of the spool belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EntryName {
    pub(crate) action: Id,
    /// `None` for an action.
    pub(crate) command: Option<Id>,
}

impl EntryName {
    pub(crate) fn action(action: Id) -> EntryName {
        EntryName { action, command: None }
    }

    pub(crate) fn command(action: Id, command: Id) -> EntryName {
        EntryName { action, command: Some(command) }
    }

    fn parse(name: &OsStr) -> Option<EntryName> {
        let name = name.to_str()?;
        let stem = name.strip_suffix(".json")?;
        let id = |text: &str| text.parse().ok().map(Id::new);
        let parsed = match stem.split_once('-') {
            Some((action, command)) => EntryName::command(id(action)?, id(command)?),
            None => EntryName::action(id(stem)?),
        };
        // A sign or a leading zero would allow two names for one entry.
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command {
            Some(command) => write!(f, "{}-{command}.json", self.action),
            None => write!(f, "{}.json", self.action),
        }
    }
}

/// The spool of a scheduler, locked.
#[derive(Debug)]
pub(crate) struct Spool {
    root: PathBuf,
    disk: Disk,
    hold: PathLock,
}

impl Spool {
    /// Opens the spool at `root`, creates missing folders, and locks it.
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
        // Ignored names are skipped: on a network file system, a removed file that is still open
        // has such a name, and cannot be removed.
        let temporaries = disk.list(&scratch).map_err(fail)?.into_iter();
        for entry in temporaries.filter(|entry| !is_ignored(&entry.name)) {
            disk.unlink(&scratch.join(entry.name)).map_err(fail)?;
        }
        for folder in SpoolFolder::ALL {
            disk.make_folders(&root.join(folder.path())).map_err(fail)?;
        }
        Ok(Spool { root: root.to_owned(), disk, hold })
    }

    fn path(&self, folder: SpoolFolder, name: EntryName) -> PathBuf {
        self.root.join(folder.path()).join(name.to_string())
    }

    /// Returns whether an entry is in a folder.
    pub(crate) fn has(&self, folder: SpoolFolder, name: EntryName) -> Result<bool, DiskError> {
        Ok(self.disk.find(&self.path(folder, name))?.is_some())
    }

    /// Creates a file; returns `false` if it exists already.
    pub(crate) fn create(
        &self,
        folder: SpoolFolder,
        name: EntryName,
        text: &str,
    ) -> Result<bool, DiskError> {
        self.hold.check(&self.disk)?;
        match self.disk.create(&self.path(folder, name), text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            created => created.map(|()| true),
        }
    }

    /// Moves a file. If it exists in both folders, because of a crash between two steps, the one in
    /// the later folder counts.
    pub(crate) fn shift(
        &self,
        name: EntryName,
        from: SpoolFolder,
        to: SpoolFolder,
    ) -> Result<(), DiskError> {
        self.hold.check(&self.disk)?;
        match self.disk.rename(&self.path(from, name), &self.path(to, name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.remove(from, name),
            shifted => shifted,
        }
    }

    /// Renames a file that cannot be parsed, so that scans ignore it.
    pub(crate) fn set_aside(&self, folder: SpoolFolder, name: EntryName) -> Result<(), DiskError> {
        self.hold.check(&self.disk)?;
        let path = self.path(folder, name);
        self.disk.rename(&path, &path.with_extension(format!("json.{SET_ASIDE}")))
    }

    /// Removes a file, if it exists.
    pub(crate) fn remove(&self, folder: SpoolFolder, name: EntryName) -> Result<(), DiskError> {
        self.hold.check(&self.disk)?;
        match self.disk.unlink(&self.path(folder, name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Removes the files of a folder that were written before `end`, and returns their number. In
    /// `returned`, removes only files that were set aside: the other answers are not stored yet.
    pub(crate) fn prune(&self, folder: SpoolFolder, end: Timestamp) -> Result<usize, DiskError> {
        self.hold.check(&self.disk)?;
        let path = self.root.join(folder.path());
        let mut removed = 0;
        for entry in self.disk.list(&path)? {
            let path = path.join(&entry.name);
            let is_expired = match EntryName::parse(&entry.name) {
                Some(_) => folder != SpoolFolder::CommandReturned,
                None => Path::new(&entry.name).extension() == Some(OsStr::new(SET_ASIDE)),
            };
            if is_expired && self.disk.find(&path)?.is_some_and(|meta| meta.modified < end) {
                self.disk.unlink(&path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    pub(crate) fn read(&self, folder: SpoolFolder, name: EntryName) -> Result<Vec<u8>, DiskError> {
        self.disk.read(&self.path(folder, name), FILE_BYTES_MAX)
    }

    /// Returns the entries of a folder, sorted; other files are ignored.
    pub(crate) fn list(&self, folder: SpoolFolder) -> Result<Vec<EntryName>, DiskError> {
        self.hold.check(&self.disk)?;
        let entries = self.disk.list(&self.root.join(folder.path()))?;
        let mut names: Vec<EntryName> =
            entries.iter().filter_map(|entry| EntryName::parse(&entry.name)).collect();
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
    fn new_spool_has_the_documented_folders() {
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
    fn spool_cannot_be_opened_twice() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path()).unwrap();
        assert!(matches!(open(folder.path()), Err(SpoolError::Locked { .. })));
        drop(spool);
        let open = || open(folder.path());
        let is_locked = |error: &SpoolError| matches!(error, SpoolError::Locked { .. });
        assert!(crate::testing::retried(open, is_locked).is_ok());
    }

    #[test]
    fn replaced_spool_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let (root, away) = (folder.path().join("spool"), folder.path().join("away"));
        let spool = open(&root).unwrap();
        let name = EntryName::action(Id::new(7));
        assert!(spool.create(SpoolFolder::ActionNew, name, "{}").unwrap());
        RealFs.rename(&root, &away).unwrap();
        let other = open(&root).unwrap();
        assert!(other.create(SpoolFolder::ActionNew, name, "other").unwrap());
        let is_refused = [
            spool.list(SpoolFolder::ActionNew).is_err(),
            spool.create(SpoolFolder::CommandReady, name, "{}").is_err(),
            spool.shift(name, SpoolFolder::ActionNew, SpoolFolder::ActionInflight).is_err(),
            spool.set_aside(SpoolFolder::ActionNew, name).is_err(),
            spool.remove(SpoolFolder::ActionNew, name).is_err(),
            spool.prune(SpoolFolder::ActionNew, Timestamp::MAX).is_err(),
        ];
        assert_eq!(is_refused, [true; 6]);
        assert_eq!(other.read(SpoolFolder::ActionNew, name).unwrap(), b"other");
        drop(other);
        RealFs.rename(&root, &folder.path().join("other")).unwrap();
        RealFs.rename(&away, &root).unwrap();
        spool.shift(name, SpoolFolder::ActionNew, SpoolFolder::ActionInflight).unwrap();
    }

    #[test]
    fn folder_of_another_program_is_rejected() {
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
    fn leftovers_of_file_systems_and_operators_are_ignored() {
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
        assert_eq!(spool.list(SpoolFolder::CommandReady).unwrap(), []);
        drop(spool);
        let open = || open(root);
        let is_locked = |error: &SpoolError| matches!(error, SpoolError::Locked { .. });
        drop(crate::testing::retried(open, is_locked).unwrap());
        assert!(root.join(".tmp/.nfs0001").exists());
    }

    #[test]
    fn entry_names_are_numbers() {
        let parse = |name: &str| EntryName::parse(OsStr::new(name));
        assert_eq!(parse("7.json"), Some(EntryName::action(Id::new(7))));
        assert_eq!(parse("7-8.json"), Some(EntryName::command(Id::new(7), Id::new(8))));
        for bad in
            ["7", ".json", "07.json", "+7.json", "7-.json", "7-8-9.json", "x.json", "7.json.fail"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn entry_in_two_folders_counts_in_the_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path()).unwrap();
        let name = EntryName::action(Id::new(7));
        assert!(spool.create(SpoolFolder::ActionNew, name, "new").unwrap());
        assert!(spool.create(SpoolFolder::ActionInflight, name, "inflight").unwrap());
        assert!(!spool.create(SpoolFolder::ActionInflight, name, "again").unwrap());
        spool.shift(name, SpoolFolder::ActionNew, SpoolFolder::ActionInflight).unwrap();
        assert!(!spool.has(SpoolFolder::ActionNew, name).unwrap());
        assert_eq!(spool.read(SpoolFolder::ActionInflight, name).unwrap(), b"inflight");
    }
}
