//! Folders: creating, listing and syncing them.
//!
//! A folder whose last fsync failed is remembered as unsynced: the names that it shows may never
//! become durable. The fsync is retried after a new name has been created in the folder, because
//! without a new change, a success proves nothing.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Context, Disk, DiskError, Entry, parent};

/// A name that is created in an unsynced folder before its fsync is retried.
const SYNC_PROBE: &str = ".sync";

/// The folders whose last fsync failed; shared by all clones of a disk.
#[derive(Debug, Clone, Default)]
pub(super) struct UnsyncedFolders(Arc<Mutex<BTreeSet<PathBuf>>>);

impl UnsyncedFolders {
    /// Records the outcome of an fsync.
    fn record(&self, folder: &Path, failed: bool) {
        if failed {
            self.lock().insert(folder.to_owned());
        } else {
            self.lock().remove(folder);
        }
    }

    pub(super) fn contains(&self, folder: &Path) -> bool {
        self.lock().contains(folder)
    }

    pub(super) fn all(&self) -> Vec<PathBuf> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// Creates a folder, private to its owner, durably. An existing folder is not an error.
    pub(crate) fn make_folder(&self, path: &Path) -> Result<(), DiskError> {
        match self.fs.make_folder(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error).context("create folder", path),
            Ok(()) => self.sync_parent(path),
        }
    }

    /// Creates a folder and all missing folders above it, durably.
    pub(crate) fn make_folders(&self, path: &Path) -> Result<(), DiskError> {
        if self.find(path)?.is_some() {
            // A process that died may have created it without syncing it.
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

    /// Removes a folder if it is empty; returns whether it was.
    pub(crate) fn remove_folder(&self, path: &Path) -> Result<bool, DiskError> {
        match self.fs.remove_folder(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) => Err(error).context("remove folder", path),
        }
    }

    /// Lists a folder, sorted by name.
    pub(crate) fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError> {
        let mut entries = self.fs.list(path).context("list", path)?;
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Passes each name in a folder to `each`, in no order. A folder of a million names takes no
    /// more memory than an empty one.
    ///
    /// # Errors
    /// The folder could not be read to its end; `each` may have received some of the names.
    pub(crate) fn for_each_name(
        &self,
        path: &Path,
        each: &mut dyn FnMut(&OsStr),
    ) -> Result<(), DiskError> {
        self.fs.for_each_name(path, each).context("list", path)
    }

    /// Makes the names in a folder durable.
    pub(crate) fn sync_folder(&self, path: &Path) -> Result<(), DiskError> {
        if !self.unsynced.contains(path) {
            return self.sync_names(path);
        }
        let probe = path.join(SYNC_PROBE);
        match self.fs.create(&probe) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).context("create", &probe);
            }
            _ => self.fs.unlink(&probe).context("remove", &probe)?,
        }
        self.sync_names(path)
    }

    /// Returns whether the last fsync of any folder failed.
    pub(crate) fn has_unsynced_folders(&self) -> bool {
        !self.unsynced.all().is_empty()
    }

    /// Retries the fsync of each folder whose last fsync failed.
    pub(crate) fn retry_folder_syncs(&self) {
        for folder in self.unsynced.all() {
            if self.sync_folder(&folder).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
            {
                // The folder was removed, together with the names that may not have been durable.
                self.unsynced.record(&folder, false);
            }
        }
    }

    /// Makes a name durable.
    pub(super) fn sync_parent(&self, path: &Path) -> Result<(), DiskError> {
        parent(path).map_or(Ok(()), |parent| self.sync_names(parent))
    }

    pub(super) fn sync_names(&self, folder: &Path) -> Result<(), DiskError> {
        let synced = self.fs.sync_folder(folder);
        self.unsynced.record(folder, synced.is_err());
        synced.context("sync folder", folder)
    }
}
