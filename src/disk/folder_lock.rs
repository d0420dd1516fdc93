//! The lock on a folder: a file in it that only its owner can open.
//!
//! Every process that can open a file can lock it. A lock on the folder itself could be held by any
//! user who may read the folder, and the program would not start. The lock file has mode 0600.
//!
//! If this process may not create files in the folder, it locks the folder itself. Then other users
//! who may read the folder can hold the lock, unless the operator takes their access away.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Disk, DiskError, PathLock, PathState};

/// The name of the lock file.
const FILE: &str = ".lock";

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    folder: PathBuf,
    lock: PathLock,
}

impl FolderLock {
    /// Locks a folder, which must exist; `WouldBlock` if another process holds the lock.
    pub(crate) fn acquire(disk: &Disk, folder: &Path) -> Result<FolderLock, DiskError> {
        let lock = PathLock::acquire(disk, &create_file(disk, folder)?)?;
        Ok(FolderLock { folder: folder.to_owned(), lock })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns what the path of the folder refers to. `Replaced` includes a folder whose lock file
    /// was removed, because another process can lock that folder.
    pub(crate) fn state(&self, disk: &Disk) -> Result<PathState, DiskError> {
        Ok(match self.lock.state(disk)? {
            PathState::Missing if disk.file_id(&self.folder)?.is_some() => PathState::Replaced,
            state => state,
        })
    }
}

/// Returns the file whose lock is the lock of a folder: the folder itself if it has no lock file.
pub(crate) fn locked_file(disk: &Disk, folder: &Path) -> Result<PathBuf, DiskError> {
    let file = folder.join(FILE);
    Ok(if disk.find(&file)?.is_some() { file } else { folder.to_owned() })
}

/// Creates the lock file if it does not exist, and returns the file to lock.
fn create_file(disk: &Disk, folder: &Path) -> Result<PathBuf, DiskError> {
    let file = folder.join(FILE);
    match disk.begin(&file) {
        Ok(_) => Ok(file),
        Err(error) => match error.kind() {
            ErrorKind::AlreadyExists => Ok(file),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Ok(folder.to_owned()),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests change files as another process would")]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use super::*;
    use crate::disk::{DAEMON_PREFIX, RealFs};

    fn disk(folder: &Path) -> Disk {
        Disk::new(Arc::new(RealFs), folder.to_owned(), DAEMON_PREFIX)
    }

    fn kind(locked: Result<FolderLock, DiskError>) -> ErrorKind {
        locked.unwrap_err().kind()
    }

    #[test]
    fn lock_held_on_the_folder_by_another_user_has_no_effect() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
        let _hostile = disk.lock(folder.path()).unwrap();
        let lock = FolderLock::acquire(&disk, folder.path()).unwrap();
        assert_eq!(lock.state(&disk).unwrap(), PathState::Unchanged);
        let file = locked_file(&disk, folder.path()).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(kind(FolderLock::acquire(&disk, folder.path())), ErrorKind::WouldBlock);
    }

    #[test]
    fn lock_file_that_others_can_open_becomes_private() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, file) = (disk(folder.path()), folder.path().join(FILE));
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        let _lock = FolderLock::acquire(&disk, folder.path()).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn replaced_folder_is_detected() {
        let parent = tempfile::tempdir().unwrap();
        let (folder, away) = (parent.path().join("jobs"), parent.path().join("away"));
        let disk = disk(parent.path());
        fs::create_dir(&folder).unwrap();
        let lock = FolderLock::acquire(&disk, &folder).unwrap();
        fs::rename(&folder, &away).unwrap();
        assert_eq!(lock.state(&disk).unwrap(), PathState::Missing);
        fs::create_dir(&folder).unwrap();
        assert_eq!(lock.state(&disk).unwrap(), PathState::Replaced);
        let other = FolderLock::acquire(&disk, &folder).unwrap();
        assert_eq!(lock.state(&disk).unwrap(), PathState::Replaced);
        fs::remove_file(folder.join(FILE)).unwrap();
        assert_eq!(other.state(&disk).unwrap(), PathState::Replaced);
    }

    #[test]
    fn folder_that_cannot_be_written_is_locked_itself() {
        if rustix::process::geteuid().is_root() {
            // Root may write into every folder.
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
        fs::set_permissions(folder.path(), Permissions::from_mode(0o500)).unwrap();
        let lock = FolderLock::acquire(&disk, folder.path()).unwrap();
        assert_eq!(locked_file(&disk, folder.path()).unwrap(), folder.path());
        assert_eq!(kind(FolderLock::acquire(&disk, folder.path())), ErrorKind::WouldBlock);
        assert_eq!(lock.state(&disk).unwrap(), PathState::Unchanged);
    }
}
