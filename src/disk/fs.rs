//! The file system calls that all operations of [`super::Disk`] consist of.
//!
//! They are a trait so that a test can substitute a model: a file system that forgets what was not
//! synced, or that fails at a given call.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::watchable::FolderStamp;

/// The permission bit that lets the group write.
pub(super) const GROUP_WRITE: u32 = 0o020;
/// The permission bits of the group. If a file has an access control list, they are its mask.
pub(super) const GROUP_ANY: u32 = 0o070;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    File,
    Folder,
    Link,
    Device,
    /// A socket or named pipe.
    Special,
}

/// Identifies a state of a file: as long as the stamp is the same, so is the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    pub(crate) inode: u64,
    /// The size in bytes.
    pub(crate) size: u64,
    /// When the inode last changed.
    pub(crate) changed: Timestamp,
}

/// The metadata of a file; links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) kind: FileKind,
    pub(crate) stamp: Stamp,
    /// When the content was last written.
    pub(crate) modified: Timestamp,
    pub(crate) device: u64,
    /// The number of names of the file.
    pub(crate) hard_links: u64,
    /// The user id of the owner.
    pub(crate) owner: u32,
    /// The group id of the group.
    pub(crate) group: u32,
    pub(crate) mode: u32,
    /// Whether an access control list may give more users the access that the group bits allow. It is
    /// looked up only if they allow any: they mask the list.
    pub(crate) has_acl: bool,
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) kind: FileKind,
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _held: Box<dyn fmt::Debug + Send + Sync>,
}

impl Lock {
    /// Returns a lock that is released when `held` is dropped.
    pub(super) fn new(held: impl fmt::Debug + Send + Sync + 'static) -> Lock {
        Lock { _held: Box::new(held) }
    }
}

/// The free parts of a file system, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FreeSpace {
    /// The free part of its bytes.
    pub(crate) bytes: f64,
    /// The free part of its inodes; 1 if it has no such limit.
    pub(crate) files: f64,
}

/// A safeguard that no run is lost or posted twice. Tests disable one to show what breaks.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safeguard {
    /// The fsync of a file's content.
    FileSync,
    /// The fsync of the folder of a new name.
    FolderSync,
    /// The fsyncs of all folders at start.
    StartSync,
    /// The check of which file of a run counts, before the run is processed.
    Counting,
}

/// A file opened for writing.
pub(crate) trait FsFile: fmt::Debug + Send {
    /// Writes all of `bytes` at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes the content durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Truncates the content to `size` bytes.
    fn cut(&mut self, size: u64) -> io::Result<()>;
}

pub(crate) trait Fs: fmt::Debug + Send + Sync {
    /// Creates a file with mode 0600 and opens it for writing; fails if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// Opens an existing regular file for appending.
    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// Opens a regular file for reading; a link is not followed.
    fn reader(&self, path: &Path) -> io::Result<Box<dyn io::Read + Send>>;
    /// Renames a file or folder to an unused name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames a file or folder, replacing a file that has the new name.
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file an additional, unused name.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Exchanges the files that two existing names refer to.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()>;
    /// Removes a name that does not refer to a folder.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Returns how many files and folders are worth syncing at the same time.
    fn syncs_at_once(&self) -> usize {
        1
    }
    /// Creates a folder with mode 0700; its parent must exist.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// Creates a symbolic link at `path` that points to `target`.
    fn link(&self, target: &Path, path: &Path) -> io::Result<()>;
    /// Returns the path that a symbolic link points to.
    fn link_target(&self, path: &Path) -> io::Result<PathBuf>;
    /// Lists a folder, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Passes each name in a folder to `each`, in no order, without storing them.
    fn for_each_name(&self, path: &Path, each: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
        self.list(path)?.iter().for_each(|entry| each(&entry.name));
        Ok(())
    }
    /// Returns the metadata of a name; a link is not followed.
    fn meta(&self, path: &Path) -> io::Result<Meta>;
    /// Returns the stamp of a folder, `None` for anything else; takes one system call.
    fn folder_stamp(&self, path: &Path) -> io::Result<Option<FolderStamp>> {
        Ok(FolderStamp::of(&self.meta(path)?))
    }
    /// Locks a regular file without waiting, and makes it private; `WouldBlock` if another process
    /// holds the lock. A link is not followed.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
    /// Returns the free parts of the file system that `path` is on.
    fn free_space(&self, path: &Path) -> io::Result<FreeSpace>;
    /// Returns whether a safeguard is in force.
    #[cfg(test)]
    fn keeps(&self, _safeguard: Safeguard) -> bool {
        true
    }
}
