//! A lock on the file at a path, and whether the path still refers to that file.
//!
//! A lock belongs to a file, not to a path. When another file system is mounted over the path, or
//! the folder is moved away, the lock no longer protects the path: another process can lock the
//! file that is now there.

use std::io;
use std::path::{Path, PathBuf};

use super::{Context, Disk, DiskError, FileKind, Lock};

/// The fault of a path that no longer refers to the locked file.
#[cfg(any(test, feature = "platform"))]
const REPLACED: &str = "it is no longer the locked file: another file system is mounted over it, or it was moved or removed";
/// Maximum number of attempts if the path changes while it is being locked.
const ATTEMPTS_MAX: u32 = 5;

/// Identifies a file or folder independently of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn new(device: u64, inode: u64) -> FileId {
        FileId { device, inode }
    }
}

/// What a path refers to, compared with the locked file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathState {
    Unchanged,
    /// It refers to another file.
    Replaced,
    Missing,
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct PathLock {
    path: PathBuf,
    file_id: FileId,
    _lock: Lock,
}

impl PathLock {
    /// Locks a file; `WouldBlock` if another process holds the lock.
    pub(crate) fn acquire(disk: &Disk, path: &Path) -> Result<PathLock, DiskError> {
        for _ in 0..ATTEMPTS_MAX {
            let before = disk.file_id(path)?;
            let lock = disk.lock(path)?;
            // The path may have been replaced between the two calls; then another file is locked.
            if let Some(file_id) = disk.file_id(path)?.filter(|after| Some(*after) == before) {
                return Ok(PathLock { path: path.to_owned(), file_id, _lock: lock });
            }
        }
        Err(io::Error::from(io::ErrorKind::ResourceBusy)).context("lock", path)
    }

    /// Checks that the path still refers to the locked file.
    #[cfg(any(test, feature = "platform"))]
    pub(crate) fn check(&self, disk: &Disk) -> Result<(), DiskError> {
        match self.state(disk)? {
            PathState::Unchanged => Ok(()),
            PathState::Replaced | PathState::Missing => {
                let error = io::Error::new(io::ErrorKind::StaleNetworkFileHandle, REPLACED);
                Err(error).context("use", &self.path)
            }
        }
    }

    pub(crate) fn state(&self, disk: &Disk) -> Result<PathState, DiskError> {
        Ok(match disk.file_id(&self.path)? {
            Some(file_id) if file_id == self.file_id => PathState::Unchanged,
            Some(_) => PathState::Replaced,
            None => PathState::Missing,
        })
    }
}

impl Disk {
    /// Returns the identity of the file at a path, links followed; `None` if it does not exist.
    pub(crate) fn file_id(&self, path: &Path) -> Result<Option<FileId>, DiskError> {
        let mut found = self.find(path)?;
        if found.as_ref().is_some_and(|meta| meta.kind == FileKind::Link) {
            // Another file system may be mounted over the target of the link.
            found = match self.resolve(path, None) {
                Ok(followed) => followed.map(|followed| followed.meta),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        Ok(found.map(|meta| FileId::new(meta.device, meta.stamp.inode)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::{DAEMON_PREFIX, Fs, RealFs};

    #[test]
    fn path_that_refers_to_another_file_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), DAEMON_PREFIX);
        let (path, other) = (folder.path().join("lock"), folder.path().join("other"));
        assert_eq!(PathLock::acquire(&disk, &path).unwrap_err().kind(), io::ErrorKind::NotFound);
        disk.create(&path, b"").unwrap();
        let hold = PathLock::acquire(&disk, &path).unwrap();
        assert_eq!(hold.state(&disk).unwrap(), PathState::Unchanged);
        hold.check(&disk).unwrap();
        assert_eq!(PathLock::acquire(&disk, &path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        // Both exist at once, so that they have different inodes.
        disk.create(&other, b"").unwrap();
        disk.unlink(&path).unwrap();
        assert_eq!(hold.state(&disk).unwrap(), PathState::Missing);
        RealFs.rename(&other, &path).unwrap();
        assert_eq!(hold.state(&disk).unwrap(), PathState::Replaced);
        let error = hold.check(&disk).unwrap_err();
        let text = std::error::Error::source(&error).unwrap().to_string();
        assert!(text.contains("no longer the locked file: another"), "{text}");
        assert_eq!(
            PathLock::acquire(&disk, &path).unwrap().state(&disk).unwrap(),
            PathState::Unchanged
        );
    }

    #[test]
    fn link_to_another_folder_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), DAEMON_PREFIX);
        let path = |name: &str| folder.path().join(name);
        for name in ["jobs", "others"] {
            disk.make_folder(&path(name)).unwrap();
            disk.create_lock_file(&path(name).join("lock")).unwrap();
        }
        std::os::unix::fs::symlink("jobs", path("link")).unwrap();
        let hold = PathLock::acquire(&disk, &path("link/lock")).unwrap();
        assert_eq!(hold.state(&disk).unwrap(), PathState::Unchanged);
        // As a mount over the folder does, this leaves the link as it is.
        RealFs.rename(&path("jobs"), &path("away")).unwrap();
        assert_eq!(hold.state(&disk).unwrap(), PathState::Missing);
        RealFs.rename(&path("others"), &path("jobs")).unwrap();
        assert_eq!(hold.state(&disk).unwrap(), PathState::Replaced);
    }
}
