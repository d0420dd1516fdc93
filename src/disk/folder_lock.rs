//! The lock on a folder: a file in it that only its owner can open.
//!
//! Every process that can open a file can lock it. A lock on the folder itself could be held by any
//! user who may read the folder, and the program would not start. Therefore only the lock file is
//! ever locked. A program that may not create it refuses to start, and names the command with which
//! root creates it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::trust::own_user;
use super::{Context, Disk, DiskError, PathLock, PathState, check_writable, real};

/// The name of the lock file.
const FILE: &str = ".lock";

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    folder: PathBuf,
    lock: PathLock,
}

impl FolderLock {
    /// Returns the file whose lock is the lock of a folder.
    pub(crate) fn file(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Locks a folder, which must exist; `WouldBlock` if another process holds the lock.
    pub(crate) fn acquire(disk: &Disk, folder: &Path) -> Result<FolderLock, DiskError> {
        let file = FolderLock::file(folder);
        disk.create_lock_file(&file).map_err(|error| explained(error, &file))?;
        let lock = PathLock::acquire(disk, &file)?;
        Ok(FolderLock { folder: folder.to_owned(), lock })
    }

    /// Checks that this process could lock a folder, which must exist, if no other process has
    /// locked it. Nothing is written, and no lock is taken.
    pub(crate) fn check(disk: &Disk, folder: &Path) -> Result<(), DiskError> {
        let file = FolderLock::file(folder);
        match disk.find(&file)? {
            Some(meta) => real::check_lock_file(&file, &meta).context("lock", &file),
            None => check_writable(&file)
                .context("create", &file)
                .map_err(|error| explained(error, &file)),
        }
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

/// Adds the remedy to the error of a lock file that cannot be created.
fn explained(error: DiskError, file: &Path) -> DiskError {
    let (user, kind) = (own_user(), error.kind());
    let command = format!("`install -m 600 -o {user} /dev/null {}`", file.display());
    let text = match kind {
        ErrorKind::PermissionDenied => {
            format!("user {user} may not write to its folder: as root, run {command}")
        }
        ErrorKind::ReadOnlyFilesystem => format!(
            "its file system is read-only: mount it read-write once, and as root run {command}"
        ),
        _ => return error,
    };
    DiskError { source: io::Error::new(kind, text), ..error }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests change files as another process would")]
mod tests {
    use std::error::Error;
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;
    use std::sync::Arc;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::disk::trust::ROOT;
    use crate::disk::{DAEMON_PREFIX, RealFs, wait_until_free};
    use crate::testing::{as_nobody, is_root, skip};

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
        let hostile = File::open(folder.path()).unwrap();
        fs2::FileExt::try_lock_exclusive(&hostile).unwrap();
        let lock = FolderLock::acquire(&disk, folder.path()).unwrap();
        assert_eq!(lock.state(&disk).unwrap(), PathState::Unchanged);
        let file = FolderLock::file(folder.path());
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

    /// Returns the cause of an error.
    fn cause(error: &DiskError) -> String {
        error.source().unwrap().to_string()
    }

    #[test]
    fn folder_that_cannot_be_written_is_refused_until_root_creates_the_lock_file() {
        if own_user() == ROOT {
            // Root may write into every folder.
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (disk, file) = (disk(folder.path()), FolderLock::file(folder.path()));
        FolderLock::check(&disk, folder.path()).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o500)).unwrap();
        let remedy = format!("run `install -m 600 -o {} /dev/null {}`", own_user(), file.display());
        for error in [
            FolderLock::check(&disk, folder.path()).unwrap_err(),
            FolderLock::acquire(&disk, folder.path()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(cause(&error).ends_with(&remedy), "{}", cause(&error));
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        fs::write(&file, "").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o500)).unwrap();
        FolderLock::check(&disk, folder.path()).unwrap();
        let _lock = FolderLock::acquire(&disk, folder.path()).unwrap();
        assert_eq!(kind(FolderLock::acquire(&disk, folder.path())), ErrorKind::WouldBlock);
        // So that the folder can be removed.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn folder_of_root_is_refused_until_root_creates_the_lock_file_as_root() {
        if !is_root("it becomes another user") {
            return;
        }
        let name = "folder_that_cannot_be_written_is_refused_until_root_creates_the_lock_file";
        as_nobody(&format!("disk::folder_lock::tests::{name}"), &[]);
        as_nobody("disk::folder_lock::tests::lock_file_is_opened_for_writing", &[]);
    }

    #[test]
    fn folder_of_a_read_only_file_system_needs_its_lock_file_as_root() {
        if !is_root("it mounts a file system") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let mount = |arguments: &[&str]| {
            let status = Command::new("mount").args(arguments).arg(folder.path()).status();
            status.is_ok_and(|status| status.success())
        };
        if !mount(&["-t", "tmpfs", "-o", "ro", "tmpfs"]) {
            return skip("this process may not mount file systems");
        }
        let (disk, file) = (disk(folder.path()), FolderLock::file(folder.path()));
        let refused = FolderLock::acquire(&disk, folder.path()).unwrap_err();
        let remounted = mount(&["-o", "remount,rw"]) && fs::write(&file, "").is_ok();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let remounted = remounted && mount(&["-o", "remount,ro"]);
        let locked = FolderLock::acquire(&disk, folder.path());
        let locked_twice = FolderLock::acquire(&disk, folder.path());
        locked.map(drop).unwrap();
        assert!(
            Command::new("umount").arg("--lazy").arg(folder.path()).status().unwrap().success()
        );
        assert!(remounted);
        let remedy = format!("/dev/null {}`", file.display());
        let text = cause(&refused);
        assert!(text.contains("mount it read-write once") && text.ends_with(&remedy), "{text}");
        assert_eq!(kind(locked_twice), ErrorKind::WouldBlock);
    }

    #[test]
    fn lock_file_is_opened_for_writing() {
        let folder = tempfile::tempdir().unwrap();
        let file = FolderLock::file(folder.path());
        fs::write(&file, "").unwrap();
        let open = real::open_lock_file(&file).unwrap();
        let flags = rustix::fs::fcntl_getfl(&open).unwrap();
        assert_eq!(flags & rustix::fs::OFlags::RWMODE, rustix::fs::OFlags::RDWR);
        // This user owns the file but may not write to it; it can be locked nevertheless.
        fs::set_permissions(&file, Permissions::from_mode(0o400)).unwrap();
        FolderLock::acquire(&disk(folder.path()), folder.path()).unwrap();
    }

    #[test]
    fn lock_file_with_another_name_is_refused_and_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, file) = (disk(folder.path()), FolderLock::file(folder.path()));
        let victim = folder.path().join("victim");
        fs::write(&victim, "").unwrap();
        fs::set_permissions(&victim, Permissions::from_mode(0o644)).unwrap();
        fs::hard_link(&victim, &file).unwrap();
        for error in [
            FolderLock::check(&disk, folder.path()).unwrap_err(),
            FolderLock::acquire(&disk, folder.path()).unwrap_err(),
        ] {
            assert!(cause(&error).starts_with("it has 2 names (hard links)"), "{error:?}");
        }
        assert_eq!(fs::metadata(&victim).unwrap().permissions().mode() & 0o777, 0o644);
    }

    #[test]
    fn lock_file_of_another_user_is_refused_as_root() {
        if own_user() != ROOT {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (disk, file) = (disk(folder.path()), FolderLock::file(folder.path()));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
        for error in [
            FolderLock::check(&disk, folder.path()).unwrap_err(),
            FolderLock::acquire(&disk, folder.path()).unwrap_err(),
        ] {
            assert!(cause(&error).contains("belongs to user 65534: run `chown 0 "), "{error:?}");
        }
    }

    #[test]
    fn pipe_or_link_in_place_of_a_lock_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, file) = (disk(folder.path()), FolderLock::file(folder.path()));
        fs::write(folder.path().join("other"), "").unwrap();
        for kind in ["pipe", "link", "folder"] {
            match kind {
                "pipe" => mknodat(CWD, &file, FileType::Fifo, Mode::RWXU, 0).unwrap(),
                "link" => std::os::unix::fs::symlink("other", &file).unwrap(),
                _ => fs::create_dir(&file).unwrap(),
            }
            for error in [
                FolderLock::check(&disk, folder.path()).unwrap_err(),
                FolderLock::acquire(&disk, folder.path()).unwrap_err(),
            ] {
                assert_eq!(cause(&error), "it is not a regular file: remove it");
            }
            assert!(wait_until_free(&file).is_err());
            fs::remove_file(&file).or_else(|_| fs::remove_dir(&file)).unwrap();
        }
    }

    #[test]
    fn pipe_in_place_of_a_folder_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let error = disk(folder.path()).sync_folder(&pipe).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotADirectory);
    }
}
