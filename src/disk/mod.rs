//! Durable file operations: every file that a program writes is written here.
//!
//! Three operations are durable when they return. [`Disk::commit`] makes several of them durable
//! together ([`commit`]):
//!
//! | operation | steps |
//! | --- | --- |
//! | [`Disk::create`] | write a temporary file in the scratch folder, fsync it, rename it without replacing, fsync the folder |
//! | [`Disk::rewrite`] | write and fsync a temporary file, rename it to a name that records the inodes of both files, exchange it with the old file, fsync the folder, unlink the old file |
//! | [`Disk::rename`] | rename without replacing, fsync the new folder |
//!
//! Some file systems lack `RENAME_NOREPLACE` and `RENAME_EXCHANGE`. There a hard link and an
//! unlink of the old name replace the first, and a check followed by a plain rename replaces the
//! second. Changes that other processes make between those two steps can then be lost.
//!
//! Files that may be lost, because they only inform other programs, are written by [`publish()`],
//! or by [`Disk::publish`] if they are private.
//!
//! **Invariants.** A file is never written in place. A name never refers to a half-written file.
//! A file whose content changes while it moves is created under the new name first and unlinked
//! under the old one afterwards: a crash leaves one file too many, never one too few.
//!
//! **Failure.** Every error names the path and the operation. After a failed fsync the temporary
//! file is abandoned, because a second fsync of the same file may report success without having
//! written anything. For the same reason a folder whose fsync failed counts as unsynced, and
//! nothing is removed from it, until a new name has been created in it and then an fsync succeeds.

pub(crate) mod accounts;
mod commit;
#[cfg(test)]
pub(crate) mod counting;
pub(crate) mod descent;
mod folder_lock;
mod folders;
pub(crate) mod fs;
pub(crate) mod ignored_names;
pub(crate) mod input_file;
mod lock_holder;
#[cfg(test)]
pub(crate) mod model;
mod namespace;
pub(crate) mod output_file;
mod path_lock;
mod publish;
mod real;
mod rename;
mod symlinks;
mod temporary;
#[cfg(test)]
mod tests;
pub(crate) mod transient;
pub(crate) mod trust;
pub(crate) mod trusted_paths;
mod watchable;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

pub(crate) use commit::{Committed, FileChange};
pub(crate) use folder_lock::FolderLock;
use folders::{NamedFolders, UnsyncedFolders};
#[cfg(test)]
pub(crate) use fs::Safeguard;
pub(crate) use fs::{Entry, FileKind, FreeSpace, Fs, FsFile, Lock, Meta, Stamp};
pub(crate) use lock_holder::wait_until_free;
pub(crate) use path_lock::{FileId, PathLock, PathState};
pub(crate) use publish::{check_folder, check_writable, publish};
pub(crate) use real::RealFs;
pub(crate) use rename::FsProbe;
pub(crate) use symlinks::ResolvedPath;
pub(crate) use watchable::FolderStamp;

/// A call to the file system that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub(crate) struct DiskError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl DiskError {
    /// Returns the same error again.
    fn copy(&self) -> DiskError {
        let DiskError { operation, path, source } = self;
        let copied = source.raw_os_error().map(io::Error::from_raw_os_error);
        let source = copied.unwrap_or_else(|| source.kind().into());
        DiskError { operation, path: path.clone(), source }
    }

    pub(crate) fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl From<DiskError> for io::Error {
    /// Returns the error of the file system.
    fn from(error: DiskError) -> io::Error {
        error.source
    }
}

/// Adds the path and the operation to an error of the file system.
pub(crate) trait Context<T> {
    /// The text of the error is "cannot `operation` `path`".
    fn context(self, operation: &'static str, path: &Path) -> Result<T, DiskError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, DiskError> {
        self.map_err(|source| DiskError { operation, path: path.to_owned(), source })
    }
}

/// Prefix of a daemon's temporary files. The next daemon removes those that it finds at its start.
pub(crate) const DAEMON_PREFIX: &str = "runner";
/// Prefix of the temporary files of a command that the operator runs.
pub(crate) const COMMAND_PREFIX: &str = "hand";

/// A file system with a scratch folder for temporary files.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    fs: Arc<dyn Fs>,
    scratch: PathBuf,
    prefix: &'static str,
    /// The number of the next temporary file.
    next: Arc<AtomicU64>,
    unsynced: UnsyncedFolders,
    named: NamedFolders,
    /// Temporary files that could not be removed.
    unremoved: Arc<Mutex<Vec<PathBuf>>>,
}

impl Disk {
    /// Returns a disk whose temporary files are in `scratch`, with names that begin with `prefix`.
    /// The folder must be on the same device as all files to be written.
    pub(crate) fn new(fs: Arc<dyn Fs>, scratch: PathBuf, prefix: &'static str) -> Disk {
        let next = Arc::new(AtomicU64::new(0));
        let (unsynced, named) = (UnsyncedFolders::default(), NamedFolders::default());
        Disk { fs, scratch, prefix, next, unsynced, named, unremoved: Arc::default() }
    }

    /// Creates a file with `bytes` as its content; `AlreadyExists` if the name is taken.
    pub(crate) fn create(&self, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        let (path, bytes) = (path.to_owned(), bytes.to_owned());
        self.commit_one(FileChange::Create { path, bytes }).map(drop)
    }

    /// Replaces the content of a file; `NotFound` if another process has moved it away.
    ///
    /// If the file at `path` does not have the inode `expected`, it is kept in the scratch folder.
    #[cfg(any(test, feature = "platform"))]
    pub(crate) fn rewrite(
        &self,
        path: &Path,
        expected: Option<u64>,
        bytes: &[u8],
    ) -> Result<Committed, DiskError> {
        let (path, bytes) = (path.to_owned(), bytes.to_owned());
        self.commit_one(FileChange::Rewrite { path, expected, bytes })
    }

    /// Moves a file, unchanged; `AlreadyExists` if the new name is taken, `NotFound` if the old
    /// name does not exist.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.commit_one(FileChange::Rename { from, to }).map(drop)
    }

    /// Moves a file to a name that no other process would choose; `NotFound` if the old name does
    /// not exist. The file never has two names, not even where renames without replacing are
    /// missing.
    pub(crate) fn rename_to_unique(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.rename_if_unused(from, to).context("move", from)?;
        self.sync_parent(to)
    }

    /// Removes a name. It may reappear if the machine loses power before the folder is synced.
    pub(crate) fn unlink(&self, path: &Path) -> Result<(), DiskError> {
        if let Some(parent) = parent(path).filter(|parent| self.unsynced.contains(parent)) {
            self.sync_folder(parent)?;
        }
        self.fs.unlink(path).context("remove", path)
    }

    /// Creates or replaces a file that only its owner can read. As with [`publish()`], a reader
    /// never sees half of it, and it may be lost in a crash.
    pub(crate) fn publish(&self, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        let (temporary, mut file) = self.create_temporary()?;
        let written = file.append(bytes).and_then(|()| self.fs.replace(&temporary, path));
        if written.is_err() {
            self.remove_temporary(&temporary);
        }
        written.context("write", path)
    }

    /// Creates a symbolic link at `path` that points to `target`, durably. A name that is taken is
    /// not an error.
    pub(crate) fn link(&self, target: &Path, path: &Path) -> Result<(), DiskError> {
        match self.fs.link(target, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.context("create link", path)?,
        }
        self.sync_parent(path)
    }

    /// Returns the free parts of the file system that `path` is on.
    pub(crate) fn free_space(&self, path: &Path) -> Result<FreeSpace, DiskError> {
        self.fs.free_space(path).context("determine the free space of", path)
    }

    /// Returns whether a safeguard is in force.
    #[cfg(test)]
    pub(crate) fn keeps(&self, safeguard: Safeguard) -> bool {
        self.fs.keeps(safeguard)
    }

    /// Creates a file and opens it for appending.
    pub(crate) fn begin(&self, path: &Path) -> Result<Box<dyn FsFile>, DiskError> {
        self.fs.create(path).context("create", path)
    }

    /// Changes the mode of a file that this process has created.
    pub(crate) fn set_mode(&self, path: &Path, mode: u32) -> Result<(), DiskError> {
        real::set_mode(path, mode).context("change the permissions of", path)
    }

    /// Opens an existing file for appending.
    pub(crate) fn resume(&self, path: &Path) -> Result<Box<dyn FsFile>, DiskError> {
        self.fs.open(path).context("open", path)
    }

    /// Reads a regular file of at most `limit` bytes; `FileTooLarge` if it has more.
    pub(crate) fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, DiskError> {
        let fs = self.fs.as_ref();
        read(fs, path, limit).map_err(|error| trust::explain(fs, path, error)).context("read", path)
    }

    /// Opens a regular file for reading in pieces.
    pub(crate) fn reader(&self, path: &Path) -> Result<Box<dyn Read + Send>, DiskError> {
        self.fs.reader(path).context("read", path)
    }

    /// Returns the metadata of a name, `None` if it does not exist; a link is not followed.
    pub(crate) fn find(&self, path: &Path) -> Result<Option<Meta>, DiskError> {
        match self.fs.meta(path) {
            Ok(meta) => Ok(Some(meta)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("access", path),
        }
    }

    /// Creates an empty private file to be locked, unless the name is taken.
    pub(crate) fn create_lock_file(&self, path: &Path) -> Result<(), DiskError> {
        match self.begin(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            created => created.map(drop),
        }
    }

    /// Locks a file of this process's user until the lock is dropped; `WouldBlock` if another
    /// process holds it. Other users' access to the file is taken away.
    pub(crate) fn lock(&self, path: &Path) -> Result<Lock, DiskError> {
        self.fs.lock(path).context("lock", path)
    }
}

/// Returns the folder of a name; for a bare name, the working directory.
fn parent(path: &Path) -> Option<&Path> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Reads a regular file of at most `limit` bytes; `FileTooLarge` if it has more. The error does not
/// name the path.
pub(crate) fn read(fs: &dyn Fs, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs.reader(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size <= limit) {
        return Ok(bytes);
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("over {limit} bytes")))
}
