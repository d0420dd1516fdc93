//! Renames that replace nothing and that exchange, and what stands in where they are missing.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Context, Disk, DiskError, parent};

/// What a file system can do, and what time it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Survey {
    /// Whether it has the renames that replace nothing and that exchange.
    pub(crate) renames: bool,
    /// Whether that was tried, which takes two files.
    pub(crate) tried: bool,
    /// The time that it gives to files now.
    pub(crate) now: Timestamp,
}

/// Tells whether a rename failed because there is none of its kind.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// Returns whether a disk failed because it is full.
fn is_full(error: &DiskError) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Disk {
    /// Tries in the scratch folder what the file system can do.
    pub(crate) fn survey(&self) -> Result<Survey, DiskError> {
        let (one, other) = match self.two_files() {
            // The runner's own files may have filled the disk, and it has to run to remove them. Each
            // rename finds out by itself what is missing, and no file is taken for an old one.
            Err(error) if is_full(&error) => {
                return Ok(Survey { renames: true, tried: false, now: Timestamp::UNIX_EPOCH });
            }
            files => files?,
        };
        let now = self.find(&one)?.map_or(Timestamp::UNIX_EPOCH, |meta| meta.modified);
        let replaces_nothing = match self.fs.rename(&one, &other) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error).context("rename", &one),
            Ok(()) => Ok(false),
        };
        let exchanges = match self.fs.exchange(&one, &other) {
            Ok(()) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            // The rename above took the name away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).context("exchange", &one),
        };
        self.abandon(&one);
        self.abandon(&other);
        Ok(Survey { renames: replaces_nothing? && exchanges?, tried: true, now })
    }

    /// Makes two files in the scratch folder.
    fn two_files(&self) -> Result<(PathBuf, PathBuf), DiskError> {
        let one = self.temporary(b"")?;
        match self.temporary(b"") {
            Ok(other) => Ok((one, other)),
            Err(error) => {
                self.abandon(&one);
                Err(error)
            }
        }
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.fs.rename(from, to) {
            Err(error) if is_missing(&error) => {}
            done => return done,
        }
        match self.fs.hard_link(from, to) {
            // A folder, or a file system without hard links.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied || is_missing(&error) => {
                self.rename_to_own(from, to)
            }
            Err(error) => Err(error),
            Ok(()) => {
                // Else the old name could be gone for good before the new one is there for good.
                if let Some(parent) = parent(to) {
                    self.fs.sync_folder(parent)?;
                }
                self.fs.unlink(from)
            }
        }
    }

    /// Renames to a name that nobody else would choose.
    pub(super) fn rename_to_own(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.fs.rename(from, to) {
            Err(error) if is_missing(&error) => {}
            done => return done,
        }
        match self.fs.meta(to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.fs.replace(from, to),
            Err(error) => Err(error),
        }
    }

    /// Exchanges a temporary with the file that it takes the place of.
    pub(super) fn exchange(
        &self,
        temporary: &Path,
        path: &Path,
        known: Option<u64>,
    ) -> io::Result<()> {
        match self.fs.exchange(temporary, path) {
            Err(error) if is_missing(&error) => {}
            done => return done,
        }
        let found = self.fs.meta(path)?.stamp.inode;
        if known.is_some_and(|known| known != found) {
            // Somebody put another file there: the one that is to be rewritten is gone.
            return Err(io::ErrorKind::NotFound.into());
        }
        self.fs.replace(temporary, path)
    }
}
