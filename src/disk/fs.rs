//! The calls to the file system that everything else is made of.
//!
//! They stand behind one trait so that a test can put a model in their place: a
//! file system that forgets what was not synced, or that fails at a given call.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// What kind of thing has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    /// A device, socket or named pipe.
    Special,
}

/// What identifies a state of a file: as long as it is the same, so is the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) inode: u64,
    /// The size in bytes.
    pub(crate) size: u64,
    /// When the inode last changed.
    pub(crate) changed: Timestamp,
}

/// What is known of a file without opening it; links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) kind: Kind,
    /// Inode, size and time of change.
    pub(crate) stamp: Stamp,
    /// When the content was last written.
    pub(crate) modified: Timestamp,
    /// The number of the device it is on.
    pub(crate) device: u64,
    /// The user id of the owner.
    pub(crate) owner: u32,
    /// The group id of the group.
    pub(crate) group: u32,
    pub(crate) mode: u32,
    /// Whether an access control list may let more users write. It is looked up only if the group bits
    /// allow writing; otherwise they mask the list.
    pub(crate) has_acl: bool,
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name in the folder.
    pub(crate) name: OsString,
    pub(crate) kind: Kind,
}

/// A lock that is held as long as this value lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _held: Box<dyn fmt::Debug + Send + Sync>,
}

impl Lock {
    /// Returns a lock that ends when `held` is dropped.
    pub(super) fn new(held: impl fmt::Debug + Send + Sync + 'static) -> Lock {
        Lock { _held: Box::new(held) }
    }
}

/// How much of a file system is free, as parts of the whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Space {
    /// Of its bytes.
    pub(crate) bytes: f64,
    /// Of the files that it can have; all, where it has no such limit.
    pub(crate) files: f64,
}

/// A step that the safety of all runs rests on, for the tests that show what happens without it.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safeguard {
    /// The fsync of a file's content.
    FileSync,
    /// The fsync of the folder that a new name is in.
    FolderSync,
    /// The fsyncs of all folders at start.
    StartSync,
    /// The look for the file that counts before something is done with a run.
    Counting,
}

/// A file opened for writing.
pub(crate) trait FsFile: fmt::Debug + Send {
    /// Writes all of `bytes` at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes the content durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the content to `size` bytes.
    fn cut(&mut self, size: u64) -> io::Result<()>;
}

pub(crate) trait Fs: fmt::Debug + Send + Sync {
    /// Makes a new file, mode 0600, and opens it for writing; fails if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// Opens an existing regular file for writing at its end.
    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// Opens a regular file for reading; a link is not followed.
    fn reader(&self, path: &Path) -> io::Result<Box<dyn io::Read + Send>>;
    /// Gives a file or folder another name, which must be free.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file or folder another name, which stands for it alone from then on.
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file one more name, which must be free.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Exchanges what two names stand for; both must exist.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()>;
    /// Removes a name that is no folder's.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder, mode 0700; its parent must exist.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder, which must be empty.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes a symbolic link at `path` that says `target`.
    fn link(&self, target: &Path, path: &Path) -> io::Result<()>;
    /// Returns the path that a symbolic link says.
    fn link_target(&self, path: &Path) -> io::Result<PathBuf>;
    /// Lists a folder, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Gives each name in a folder to `each`, in no order, without keeping any of them.
    fn visit(&self, path: &Path, each: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
        self.list(path)?.iter().for_each(|entry| each(&entry.name));
        Ok(())
    }
    /// Tells what is known of a name; a link is not followed.
    fn meta(&self, path: &Path) -> io::Result<Meta>;
    /// Locks a file or a folder for this process, without waiting; `WouldBlock` if another holds it.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
    /// Tells how much is free where `path` is.
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// Tells whether a safeguard is in force.
    #[cfg(test)]
    fn keeps(&self, _safeguard: Safeguard) -> bool {
        true
    }
}
