//! A lock on what a path names, and whether the path still names it.
//!
//! A lock belongs to a file, not to a path. When another file system is mounted over the path, or
//! the folder is moved away, the lock no longer protects the path: another process can lock what
//! is there now.

use std::io;
use std::path::{Path, PathBuf};

use super::{Context, Disk, DiskError, Kind, Lock};

/// What is wrong with a path that names something else.
#[cfg(any(test, feature = "platform"))]
const REPLACED: &str = "it is no longer what was locked: another file system is mounted over it, or it was moved or removed";
/// How often a path may change while it is being locked.
const ATTEMPTS_MAX: u32 = 5;

/// Which file or folder it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

/// What a path names, compared with what was locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// It names what was locked.
    Same,
    /// It names something else.
    Other,
    Nothing,
}

/// A lock that is held as long as this value lives.
#[derive(Debug)]
pub(crate) struct Hold {
    path: PathBuf,
    identity: Identity,
    _lock: Lock,
}

impl Hold {
    /// Locks a file or folder; `WouldBlock` if another process holds it.
    ///
    /// # Errors
    /// It cannot be locked.
    pub(crate) fn take(disk: &Disk, path: &Path) -> Result<Hold, DiskError> {
        for _ in 0..ATTEMPTS_MAX {
            let before = disk.identity(path)?;
            let lock = disk.lock(path)?;
            // What was locked is what the path named only if it named the same before and after.
            if let Some(identity) = disk.identity(path)?.filter(|after| Some(*after) == before) {
                return Ok(Hold { path: path.to_owned(), identity, _lock: lock });
            }
        }
        Err(io::Error::from(io::ErrorKind::ResourceBusy)).context("lock", path)
    }

    /// Returns the path that was locked.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses a path that no longer names what was locked.
    ///
    /// # Errors
    /// It names something else or nothing, or cannot be looked at.
    #[cfg(any(test, feature = "platform"))]
    pub(crate) fn check(&self, disk: &Disk) -> Result<(), DiskError> {
        match self.named(disk)? {
            Named::Same => Ok(()),
            Named::Other | Named::Nothing => {
                let error = io::Error::new(io::ErrorKind::StaleNetworkFileHandle, REPLACED);
                Err(error).context("use", &self.path)
            }
        }
    }

    /// Returns what the path names now.
    pub(crate) fn named(&self, disk: &Disk) -> Result<Named, DiskError> {
        Ok(match disk.identity(&self.path)? {
            Some(identity) if identity == self.identity => Named::Same,
            Some(_) => Named::Other,
            None => Named::Nothing,
        })
    }
}

impl Disk {
    /// Returns which file or folder a path names, links followed, `None` if it names nothing.
    pub(crate) fn identity(&self, path: &Path) -> Result<Option<Identity>, DiskError> {
        let mut found = self.find(path)?;
        if found.as_ref().is_some_and(|meta| meta.kind == Kind::Link) {
            // Another file system may be mounted over what the link leads to.
            found = match self.follow(path, None) {
                Ok(followed) => followed.map(|followed| followed.meta),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        Ok(found.map(|meta| Identity { device: meta.device, inode: meta.stamp.inode }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::{DAEMON_PREFIX, Fs, RealFs};

    #[test]
    fn a_path_that_names_another_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), DAEMON_PREFIX);
        let (path, other) = (folder.path().join("lock"), folder.path().join("other"));
        assert_eq!(Hold::take(&disk, &path).unwrap_err().kind(), io::ErrorKind::NotFound);
        disk.create(&path, b"").unwrap();
        let hold = Hold::take(&disk, &path).unwrap();
        assert_eq!((hold.path(), hold.named(&disk).unwrap()), (path.as_path(), Named::Same));
        hold.check(&disk).unwrap();
        assert_eq!(Hold::take(&disk, &path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        // Both exist at once, so that they have different inodes.
        disk.create(&other, b"").unwrap();
        disk.unlink(&path).unwrap();
        assert_eq!(hold.named(&disk).unwrap(), Named::Nothing);
        RealFs.rename(&other, &path).unwrap();
        assert_eq!(hold.named(&disk).unwrap(), Named::Other);
        let error = hold.check(&disk).unwrap_err();
        let told = std::error::Error::source(&error).unwrap().to_string();
        assert!(told.contains("no longer what was locked: another"), "{told}");
        assert_eq!(Hold::take(&disk, &path).unwrap().named(&disk).unwrap(), Named::Same);
    }
    #[test]
    fn a_link_that_leads_to_another_folder_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), DAEMON_PREFIX);
        let path = |name: &str| folder.path().join(name);
        disk.make_folder(&path("jobs")).unwrap();
        disk.make_folder(&path("others")).unwrap();
        std::os::unix::fs::symlink("jobs", path("link")).unwrap();
        let hold = Hold::take(&disk, &path("link")).unwrap();
        assert_eq!(hold.named(&disk).unwrap(), Named::Same);
        // As a mount over the folder does, this leaves the link as it is.
        RealFs.rename(&path("jobs"), &path("away")).unwrap();
        assert_eq!(hold.named(&disk).unwrap(), Named::Nothing);
        RealFs.rename(&path("others"), &path("jobs")).unwrap();
        assert_eq!(hold.named(&disk).unwrap(), Named::Other);
    }
}
