//! Everything that is written: three operations, each durable when it returns.
//!
//! | operation | steps |
//! | --- | --- |
//! | [`Disk::create`] | temporary in the scratch folder, write, fsync, rename without replacing, fsync of the folder |
//! | [`Disk::rewrite`] | temporary, write, fsync, exchange with the old file, unlink of the old one, fsync of the folder |
//! | [`Disk::shift`] | rename without replacing, fsync of the new folder |
//!
//! **Invariants.** A file is never written in place. A name never stands for a
//! half-written file. What changes in content while it moves is created under
//! the new name first and unlinked under the old one afterwards, so that a crash
//! leaves one too many and never one too few.
//! What is only for others to read, and may be lost, is [`publish`]ed.
//!
//! **Failure.** Every error names the path and what was being done with it.
//! After a failed fsync the temporary is given up: a second fsync of the same
//! file may report a success that is none.

#[cfg(test)]
pub(crate) mod counting;
pub(crate) mod fs;
pub(crate) mod guard;
mod holder;
mod publish;
mod real;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use fs::{Entry, Fs, FsFile, Kind, Lock, Meta, Stamp};
pub(crate) use holder::wait_until_free;
pub(crate) use publish::publish;
pub(crate) use real::RealFs;

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

/// The file system, with a folder for what is not finished.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    fs: Arc<dyn Fs>,
    scratch: PathBuf,
    prefix: &'static str,
    next: Arc<AtomicU64>,
}

impl Disk {
    /// Returns a disk whose temporaries are made in `scratch`, on the device of all that it writes,
    /// with names that begin with `prefix`.
    pub(crate) fn new(fs: Arc<dyn Fs>, scratch: PathBuf, prefix: &'static str) -> Disk {
        Disk { fs, scratch, prefix, next: Arc::new(AtomicU64::new(0)) }
    }

    /// Creates a file with `bytes` as its content; `AlreadyExists` if the name is taken.
    pub(crate) fn create(&self, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        let temporary = self.temporary(bytes)?;
        if let Err(error) = self.fs.rename(&temporary, path) {
            self.abandon(&temporary);
            return Err(error).context("create", path);
        }
        self.sync_parent(path)
    }

    /// Replaces the content of a file; `NotFound` if it was moved away meanwhile.
    pub(crate) fn rewrite(&self, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        let temporary = self.temporary(bytes)?;
        let exchanged = self.fs.exchange(&temporary, path);
        // The temporary now holds the old content, or the new one that nobody wants.
        self.abandon(&temporary);
        exchanged.context("rewrite", path)?;
        self.sync_parent(path)
    }

    /// Moves a file, unchanged; `AlreadyExists` if the new name is taken, `NotFound` if the old one is gone.
    pub(crate) fn shift(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.fs.rename(from, to).context("move", from)?;
        self.sync_parent(to)
    }

    /// Removes a name. It may come back if the machine loses power before its folder is synced.
    pub(crate) fn unlink(&self, path: &Path) -> Result<(), DiskError> {
        self.fs.unlink(path).context("remove", path)
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

    /// Makes a folder and those above it as far as they are missing.
    pub(crate) fn make_folders(&self, path: &Path) -> Result<(), DiskError> {
        if self.find(path)?.is_some() {
            return Ok(());
        }
        if let Some(parent) = parent(path) {
            self.make_folders(parent)?;
        }
        self.make_folder(path)
    }

    /// Makes a symbolic link at `path` that says `target`; that the name is taken is no error.
    pub(crate) fn link(&self, target: &Path, path: &Path) -> Result<(), DiskError> {
        match self.fs.link(target, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made.context("make link", path),
        }
    }

    /// Makes the names in a folder durable.
    pub(crate) fn sync_folder(&self, path: &Path) -> Result<(), DiskError> {
        self.fs.sync_folder(path).context("sync folder", path)
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
        read(self.fs.as_ref(), path, limit).context("read", path)
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
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.scratch.join(format!("{}-{}-{number}", self.prefix, std::process::id()));
        let mut file = self.begin(&path)?;
        let written = file.append(bytes).and_then(|()| file.sync());
        if written.is_err() {
            self.abandon(&path);
        }
        written.context("write", &path)?;
        Ok(path)
    }

    /// Removes a temporary that nobody wants. That it cannot be removed is not worth
    /// an error of its own: the scratch folder is swept at the next start.
    fn abandon(&self, temporary: &Path) {
        self.fs.unlink(temporary).ok();
    }

    fn sync_parent(&self, path: &Path) -> Result<(), DiskError> {
        parent(path).map_or(Ok(()), |parent| self.sync_folder(parent))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> (tempfile::TempDir, Disk) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().join("tmp"), HAND_PREFIX);
        (folder, disk)
    }

    #[test]
    fn a_name_that_is_taken_stays_what_it_is() {
        let (folder, disk) = disk();
        let path = folder.path().join("a");
        disk.create(&path, b"one").unwrap();
        assert_eq!(disk.create(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(disk.read(&path, 9).unwrap(), b"one");
        assert_eq!(disk.list(&folder.path().join("tmp")).unwrap(), []);
    }

    #[test]
    fn what_was_moved_away_is_not_rewritten() {
        let (folder, disk) = disk();
        let path = folder.path().join("a");
        assert_eq!(disk.rewrite(&path, b"x").unwrap_err().kind(), io::ErrorKind::NotFound);
        disk.create(&path, b"one").unwrap();
        disk.rewrite(&path, b"two").unwrap();
        assert_eq!(disk.read(&path, 9).unwrap(), b"two");
        assert_eq!(disk.list(&folder.path().join("tmp")).unwrap(), []);
    }

    #[test]
    fn a_move_replaces_nothing() {
        let (folder, disk) = disk();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        disk.create(&a, b"a").unwrap();
        disk.create(&b, b"b").unwrap();
        assert_eq!(disk.shift(&a, &b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        disk.unlink(&b).unwrap();
        disk.shift(&a, &b).unwrap();
        assert_eq!(disk.find(&a).unwrap(), None);
    }

    #[test]
    fn reads_are_bounded_and_follow_no_link() {
        let (folder, disk) = disk();
        let path = folder.path().join("a");
        disk.create(&path, b"four").unwrap();
        assert_eq!(disk.read(&path, 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        let link = folder.path().join("link");
        disk.link(&path, &link).unwrap();
        assert!(disk.read(&link, 9).is_err());
        assert_eq!(disk.find(&link).unwrap().unwrap().kind, Kind::Link);
    }

    #[test]
    fn a_bare_name_is_in_the_working_folder() {
        assert_eq!(parent(Path::new("a")), Some(Path::new(".")));
        assert_eq!(parent(Path::new("a/b")), Some(Path::new("a")));
        assert_eq!(parent(Path::new("/a")), Some(Path::new("/")));
        assert_eq!(parent(Path::new("/")), None);
    }

    #[test]
    fn files_and_folders_are_private() {
        let (folder, disk) = disk();
        disk.make_folders(&folder.path().join("x/y")).unwrap();
        disk.create(&folder.path().join("x/y/z"), b"").unwrap();
        assert_eq!(disk.find(&folder.path().join("x/y")).unwrap().unwrap().mode, 0o700);
        assert_eq!(disk.find(&folder.path().join("x/y/z")).unwrap().unwrap().mode, 0o600);
    }
}
