//! Folders whose last fsync failed: what they show may never become durable.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The folders that are suspect; shared by all clones of a disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Suspects(Arc<Mutex<BTreeSet<PathBuf>>>);

impl Suspects {
    /// Notes how an fsync of a folder ended.
    pub(super) fn note(&self, folder: &Path, failed: bool) {
        if failed {
            self.lock().insert(folder.to_owned());
        } else {
            self.lock().remove(folder);
        }
    }

    /// Tells whether the last fsync of a folder failed.
    pub(super) fn has(&self, folder: &Path) -> bool {
        self.lock().contains(folder)
    }

    /// Returns the folders whose last fsync failed.
    pub(super) fn all(&self) -> Vec<PathBuf> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
