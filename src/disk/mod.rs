//! Everything that is written: three operations, each durable when it returns.
//!
//! | operation | steps |
//! | --- | --- |
//! | [`Disk::create`] | temporary in the scratch folder, write, fsync, rename without replacing, fsync of the folder |
//! | [`Disk::rewrite`] | temporary, write, fsync, rename to a name that tells both files, exchange with the old file, fsync of the folder, unlink of the old one |
//! | [`Disk::shift`] | rename without replacing, fsync of the new folder |
//!
//! Where a file system lacks renames of these two kinds, a hard link and the
//! unlink of the old name take the place of the first, and a look and a plain
//! rename that of the second: what somebody else does in between can then be lost.
//!
//! **Invariants.** A file is never written in place. A name never stands for a
//! half-written file. What changes in content while it moves is created under
//! the new name first and unlinked under the old one afterwards, so that a crash
//! leaves one too many and never one too few.
//! What is only for others to read, and may be lost, is made by [`publish()`], or by
//! [`Disk::publish`] if it is private.
//!
//! **Failure.** Every error names the path and what was being done with it.
//! After a failed fsync the temporary is given up: a second fsync of the same
//! file may report a success that is none. For the same reason a folder whose fsync
//! failed is suspect, and nothing is removed from it, until a name was made in it
//! and an fsync succeeded after that.

mod accounts;
#[cfg(test)]
pub(crate) mod counting;
mod follow;
pub(crate) mod fs;
pub(crate) mod guard;
mod hold;
mod holder;
pub(crate) mod input;
pub(crate) mod leftover;
#[cfg(test)]
pub(crate) mod model;
mod publish;
mod real;
mod rename;
mod shortage;
mod stray;
mod suspects;
#[cfg(test)]
mod tests;
mod visit;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use follow::Followed;
#[cfg(test)]
pub(crate) use fs::Safeguard;
pub(crate) use fs::{Entry, Fs, FsFile, Kind, Lock, Meta, Space, Stamp};
pub(crate) use hold::{Hold, Identity, Named};
pub(crate) use holder::wait_until_free;
pub(crate) use publish::{check_place, publish};
pub(crate) use real::RealFs;
pub(crate) use rename::Survey;
pub(crate) use shortage::{LACKING, is_passing};
use suspects::Suspects;

/// A call to the file system that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub(crate) struct DiskError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl DiskError {
    /// Returns what kind of failure it was.
    pub(crate) fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// Gives an error of the file system its path.
pub(crate) trait Context<T> {
    /// Says what was being done with `path`, as in "cannot `doing` `path`".
    fn context(self, doing: &'static str, path: &Path) -> Result<T, DiskError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, doing: &'static str, path: &Path) -> Result<T, DiskError> {
        self.map_err(|source| DiskError { doing, path: path.to_owned(), source })
    }
}

/// How the temporaries of a daemon begin: at its next start they are nobody's.
pub(crate) const DAEMON_PREFIX: &str = "runner";
/// How the temporaries of a command that a person typed begin.
pub(crate) const HAND_PREFIX: &str = "hand";
/// A name that is made in a folder to see whether its changes become durable again.
const SIGN: &str = ".sync";

/// The file system, with a folder for what is not finished.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    fs: Arc<dyn Fs>,
    scratch: PathBuf,
    prefix: &'static str,
    next: Arc<AtomicU64>,
    suspects: Suspects,
    /// Temporaries that could not be removed.
    litter: Arc<Mutex<Vec<PathBuf>>>,
}

/// What was found in the place of a file that was to be rewritten.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what was displaced is somebody else's"]
pub(crate) enum Rewritten {
    /// The file that was known, which is gone now.
    Known,
    /// Another file, which is at this path of the scratch folder now.
    Displaced(PathBuf),
}

impl Disk {
    /// Returns a disk whose temporaries are made in `scratch`, on the device of all that it writes,
    /// with names that begin with `prefix`.
    pub(crate) fn new(fs: Arc<dyn Fs>, scratch: PathBuf, prefix: &'static str) -> Disk {
        let next = Arc::new(AtomicU64::new(0));
        let (suspects, litter) = (Suspects::default(), Arc::default());
        Disk { fs, scratch, prefix, next, suspects, litter }
    }

    /// Creates a file with `bytes` as its content; `AlreadyExists` if the name is taken.
    pub(crate) fn create(&self, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        let temporary = self.temporary(bytes)?;
        if let Err(error) = self.rename(&temporary, path) {
            self.abandon(&temporary);
            return Err(error).context("create", path);
        }
        self.sync_parent(path)
    }

    /// Replaces the content of a file; `NotFound` if it was moved away meanwhile. `known` is the
    /// inode that it should have: another file is kept, in the scratch folder.
    pub(crate) fn rewrite(
        &self,
        path: &Path,
        known: Option<u64>,
        bytes: &[u8],
    ) -> Result<Rewritten, DiskError> {
        let mut temporary = self.temporary(bytes)?;
        if let Some(known) = known {
            temporary = self.mark(&temporary, path, known)?;
        }
        if let Err(error) = self.exchange(&temporary, path, known) {
            self.abandon(&temporary);
            return Err(error).context("rewrite", path);
        }
        let synced = self.sync_parent(path);
        let old = self.find(&temporary)?.map(|meta| meta.stamp.inode);
        if old.is_some() && known.is_some() && old != known {
            return synced.map(|()| Rewritten::Displaced(temporary));
        }
        self.abandon(&temporary);
        synced.map(|()| Rewritten::Known)
    }

    /// Moves a file, unchanged; `AlreadyExists` if the new name is taken, `NotFound` if the old one is gone.
    pub(crate) fn shift(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.rename(from, to).context("move", from)?;
        self.sync_parent(to)
    }

    /// Moves a file to a name that nobody else would choose; `NotFound` if the old one is gone.
    /// At no moment has it two names, whatever the file system lacks.
    pub(crate) fn shift_to_own(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.rename_to_own(from, to).context("move", from)?;
        self.sync_parent(to)
    }

    /// Removes a name. It may come back if the machine loses power before its folder is synced.
    pub(crate) fn unlink(&self, path: &Path) -> Result<(), DiskError> {
        if let Some(parent) = parent(path).filter(|parent| self.suspects.has(parent)) {
            self.sync_folder(parent)?;
        }
        self.fs.unlink(path).context("remove", path)
    }

    /// Replaces a file, or makes it, as [`publish()`] does: it is whole at every moment, and need not
    /// outlive a crash. Only its owner can read it.
    pub(crate) fn publish(&self, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        let (temporary, mut file) = self.begin_temporary()?;
        let written = file.append(bytes).and_then(|()| self.fs.replace(&temporary, path));
        if written.is_err() {
            self.abandon(&temporary);
        }
        written.context("write", path)
    }

    /// Makes a folder, private to its owner, durably; that it exists already is no error.
    pub(crate) fn make_folder(&self, path: &Path) -> Result<(), DiskError> {
        match self.fs.make_folder(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error).context("make folder", path),
            Ok(()) => self.sync_parent(path),
        }
    }

    /// Removes a folder if it is empty; tells whether it was.
    pub(crate) fn remove_folder(&self, path: &Path) -> Result<bool, DiskError> {
        match self.fs.remove_folder(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) => Err(error).context("remove folder", path),
        }
    }

    /// Makes a folder and those above it as far as they are missing, durably.
    pub(crate) fn make_folders(&self, path: &Path) -> Result<(), DiskError> {
        if self.find(path)?.is_some() {
            // A process that died may have made it and not synced it.
            return match self.sync_parent(path) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                synced => synced,
            };
        }
        if let Some(parent) = parent(path) {
            self.make_folders(parent)?;
        }
        self.make_folder(path)
    }

    /// Makes a symbolic link at `path` that says `target`, durably; that the name is taken is no error.
    pub(crate) fn link(&self, target: &Path, path: &Path) -> Result<(), DiskError> {
        match self.fs.link(target, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.context("make link", path)?,
        }
        self.sync_parent(path)
    }

    /// Makes the names in a folder durable.
    pub(crate) fn sync_folder(&self, path: &Path) -> Result<(), DiskError> {
        if !self.suspects.has(path) {
            return self.sync_names(path);
        }
        // Only a success after a new change says anything.
        let sign = path.join(SIGN);
        match self.fs.create(&sign) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).context("create", &sign);
            }
            _ => self.fs.unlink(&sign).context("remove", &sign)?,
        }
        self.sync_names(path)
    }

    /// Tells whether the last fsync of a folder failed.
    pub(crate) fn has_suspects(&self) -> bool {
        !self.suspects.all().is_empty()
    }

    /// Tries to make those folders durable whose last fsync failed.
    pub(crate) fn mend_suspects(&self) {
        for folder in self.suspects.all() {
            if self.sync_folder(&folder).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
            {
                // It was removed with all that may not have been durable.
                self.suspects.note(&folder, false);
            }
        }
    }

    /// Tells how much is free where `path` is.
    pub(crate) fn space(&self, path: &Path) -> Result<Space, DiskError> {
        self.fs.space(path).context("look at the space of", path)
    }

    /// Tells whether a safeguard is in force.
    #[cfg(test)]
    pub(crate) fn keeps(&self, safeguard: Safeguard) -> bool {
        self.fs.keeps(safeguard)
    }

    /// Makes a new file and opens it for writing at its end.
    pub(crate) fn begin(&self, path: &Path) -> Result<Box<dyn FsFile>, DiskError> {
        self.fs.create(path).context("create", path)
    }

    /// Opens an existing file for writing at its end.
    pub(crate) fn resume(&self, path: &Path) -> Result<Box<dyn FsFile>, DiskError> {
        self.fs.open(path).context("open", path)
    }

    /// Reads a regular file of at most `limit` bytes; `FileTooLarge` if it has more.
    pub(crate) fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, DiskError> {
        let fs = self.fs.as_ref();
        read(fs, path, limit).map_err(|error| guard::explain(fs, path, error)).context("read", path)
    }

    /// Opens a regular file for reading piece by piece.
    pub(crate) fn reader(&self, path: &Path) -> Result<Box<dyn Read + Send>, DiskError> {
        self.fs.reader(path).context("read", path)
    }

    /// Lists a folder, by name.
    pub(crate) fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError> {
        let mut entries = self.fs.list(path).context("list", path)?;
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Returns what is known of a name, `None` if it is not there; a link is not followed.
    pub(crate) fn find(&self, path: &Path) -> Result<Option<Meta>, DiskError> {
        match self.fs.meta(path) {
            Ok(meta) => Ok(Some(meta)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("look at", path),
        }
    }

    /// Locks a file or folder as long as the answer lives; `WouldBlock` if another process holds it.
    pub(crate) fn lock(&self, path: &Path) -> Result<Lock, DiskError> {
        self.fs.lock(path).context("lock", path)
    }

    /// Writes a file of the scratch folder and makes its content durable.
    fn temporary(&self, bytes: &[u8]) -> Result<PathBuf, DiskError> {
        let litter =
            std::mem::take(&mut *self.litter.lock().unwrap_or_else(PoisonError::into_inner));
        litter.iter().for_each(|temporary| self.abandon(temporary));
        let (path, mut file) = self.begin_temporary()?;
        let written = file.append(bytes).and_then(|()| file.sync());
        if written.is_err() {
            self.abandon(&path);
        }
        written.context("write", &path)?;
        Ok(path)
    }

    /// Makes a file of the scratch folder. One of a process that died may have its name, because
    /// numbers of processes come again.
    fn begin_temporary(&self) -> Result<(PathBuf, Box<dyn FsFile>), DiskError> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{}-{number}", self.prefix, std::process::id());
            let path = self.scratch.join(name);
            match self.fs.create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return Ok((path.clone(), made.context("create", &path)?)),
            }
        }
    }

    /// Removes a temporary that nobody wants. That it cannot be removed is not worth an error of its
    /// own: it is tried again with the next one, and at the next start the scratch folder is swept.
    fn abandon(&self, temporary: &Path) {
        match self.fs.unlink(temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.litter
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(temporary.to_owned());
            }
            _ => {}
        }
    }

    fn sync_parent(&self, path: &Path) -> Result<(), DiskError> {
        parent(path).map_or(Ok(()), |parent| self.sync_names(parent))
    }

    fn sync_names(&self, folder: &Path) -> Result<(), DiskError> {
        let synced = self.fs.sync_folder(folder);
        self.suspects.note(folder, synced.is_err());
        synced.context("sync folder", folder)
    }
}

/// Returns the folder that a name is in: that of a bare name is the working folder.
fn parent(path: &Path) -> Option<&Path> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Reads a regular file of at most `limit` bytes; `FileTooLarge` if it has more.
///
/// # Errors
/// As of the file system, without the path.
pub(crate) fn read(fs: &dyn Fs, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs.reader(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size <= limit) {
        return Ok(bytes);
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("over {limit} bytes")))
}
