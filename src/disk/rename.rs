//! Renames that replace nothing or that exchange two files, and their substitutes on file systems
//! that lack them.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Context, Disk, DiskError, parent};

/// What a file system supports, and its clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FsProbe {
    /// Whether it supports `RENAME_NOREPLACE` and `RENAME_EXCHANGE`.
    pub(crate) renames: bool,
    /// Whether that was tested, which requires two new files.
    pub(crate) tried: bool,
    /// The time that it gives to new files.
    pub(crate) now: Timestamp,
}

/// Returns whether a rename failed because the file system does not support its kind.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

fn is_disk_full(error: &DiskError) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Disk {
    /// Tests in the scratch folder what the file system supports.
    pub(crate) fn probe(&self) -> Result<FsProbe, DiskError> {
        let (one, other) = match self.two_files() {
            // The runner's own files may have filled the disk, and the runner must start in order
            // to remove them. Each rename detects by itself whether it is unsupported, and with
            // this time no file counts as old.
            Err(error) if is_disk_full(&error) => {
                return Ok(FsProbe { renames: true, tried: false, now: Timestamp::UNIX_EPOCH });
            }
            files => files?,
        };
        let now = self.find(&one)?.map_or(Timestamp::UNIX_EPOCH, |meta| meta.modified);
        let replaces_nothing = match self.fs.rename(&one, &other) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
            Err(error) if is_unsupported(&error) => Ok(false),
            Err(error) => Err(error).context("rename", &one),
            Ok(()) => Ok(false),
        };
        let exchanges = match self.fs.exchange(&one, &other) {
            Ok(()) => Ok(true),
            Err(error) if is_unsupported(&error) => Ok(false),
            // The rename above replaced the other file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).context("exchange", &one),
        };
        self.remove_temporary(&one);
        self.remove_temporary(&other);
        Ok(FsProbe { renames: replaces_nothing? && exchanges?, tried: true, now })
    }

    /// Creates two files in the scratch folder.
    fn two_files(&self) -> Result<(PathBuf, PathBuf), DiskError> {
        let one = self.write_temporary(b"")?;
        match self.write_temporary(b"") {
            Ok(other) => Ok((one, other)),
            Err(error) => {
                self.remove_temporary(&one);
                Err(error)
            }
        }
    }

    /// Renames a file; `AlreadyExists` if the new name is taken.
    pub(super) fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.fs.rename(from, to) {
            Err(error) if is_unsupported(&error) => {}
            done => return done,
        }
        match self.fs.hard_link(from, to) {
            // A folder, or a file system without hard links.
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied || is_unsupported(&error) =>
            {
                self.rename_if_unused(from, to)
            }
            Err(error) => Err(error),
            Ok(()) => {
                // The new name must be durable first: a crash could otherwise lose both.
                if let Some(parent) = parent(to) {
                    self.fs.sync_folder(parent)?;
                }
                self.fs.unlink(from)
            }
        }
    }

    /// Renames a file to a name that no other process would choose; `AlreadyExists` if it is
    /// taken. Without support by the file system this checks the name and then renames.
    pub(super) fn rename_if_unused(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.fs.rename(from, to) {
            Err(error) if is_unsupported(&error) => {}
            done => return done,
        }
        match self.fs.meta(to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.fs.replace(from, to),
            Err(error) => Err(error),
        }
    }

    /// Exchanges a temporary file with the file that it replaces.
    pub(super) fn exchange(
        &self,
        temporary: &Path,
        path: &Path,
        expected: Option<u64>,
    ) -> io::Result<()> {
        match self.fs.exchange(temporary, path) {
            Err(error) if is_unsupported(&error) => {}
            done => return done,
        }
        let found = self.fs.meta(path)?.stamp.inode;
        if expected.is_some_and(|expected| expected != found) {
            // Another process has put its own file there: the file to be rewritten is gone.
            return Err(io::ErrorKind::NotFound.into());
        }
        self.fs.replace(temporary, path)
    }
}
