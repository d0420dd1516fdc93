//! Folders: creating, listing and syncing them.
//!
//! A folder whose last fsync failed is remembered as unsynced: the names that it shows may never
//! become durable. The fsync is retried after a new name has been created in the folder, because
//! without a new change, a success proves nothing.
//!
//! A folder that exists may have been created by a process that died before it synced the folder's
//! name. Its name is synced once by each process, not for every file that is created in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Context, Disk, DiskError, Entry, Meta, parent};

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

/// Maximum number of folders that are remembered as having durable names: more than are in use at
/// once.
const NAMED_FOLDERS_MAX: usize = 4096;

/// The folders whose names are durable, each with its device and inode; shared by all clones of a
/// disk.
#[derive(Debug, Clone, Default)]
pub(super) struct NamedFolders(Arc<Mutex<BTreeMap<PathBuf, (u64, u64)>>>);

impl NamedFolders {
    fn contains(&self, folder: &Path, meta: &Meta) -> bool {
        self.lock().get(folder) == Some(&(meta.device, meta.stamp.inode))
    }

    fn insert(&self, folder: &Path, meta: &Meta) {
        let mut named = self.lock();
        if named.len() >= NAMED_FOLDERS_MAX {
            // The names of those in use are only synced once more.
            named.clear();
        }
        named.insert(folder.to_owned(), (meta.device, meta.stamp.inode));
    }

    fn remove(&self, folder: &Path) {
        self.lock().remove(folder);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, (u64, u64)>> {
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
        if let Some(meta) = self.find(path)? {
            return self.sync_name(path, &meta);
        }
        if let Some(parent) = parent(path) {
            self.make_folders(parent)?;
        }
        self.make_folder(path)
    }

    /// Makes the name of an existing folder durable, unless this process has done so. A process that
    /// died may have created the folder without syncing its name.
    fn sync_name(&self, path: &Path, meta: &Meta) -> Result<(), DiskError> {
        if self.named.contains(path, meta) {
            return Ok(());
        }
        let is_proof = parent(path).is_none_or(|parent| !self.unsynced.contains(parent));
        match self.sync_parent(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                if is_proof {
                    self.named.insert(path, meta);
                }
                Ok(())
            }
        }
    }

    /// Removes a folder if it is empty; returns whether it was.
    pub(crate) fn remove_folder(&self, path: &Path) -> Result<bool, DiskError> {
        self.named.remove(path);
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
