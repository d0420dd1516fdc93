//! The thread that makes the stored pages durable while the lanes read the next ones.
//!
//! An fsync of a page takes about as long as the page takes to arrive. The lanes need not wait for it:
//! if the machine loses power meanwhile, the pages are requested again.

use std::thread::{Builder, Scope};

use super::shared::Shared;
use crate::disk::{Context, Disk, FsFile};

/// A running syncer, which ends when this is dropped.
pub(super) struct Syncer<'s>(&'s Shared);

impl<'s> Syncer<'s> {
    /// Starts the syncer; `None` if the system cannot. Then the lanes must sync the pages.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        disk: &Disk,
        shared: &'s Shared,
    ) -> Option<Syncer<'s>>
    where
        's: 'scope,
    {
        let file = disk.resume(&shared.path).ok()?;
        let named = Builder::new().name("sync".to_owned());
        let synced = shared.begin_syncing();
        let syncer = Syncer(shared);
        named.spawn_scoped(scope, move || sync_pages(shared, synced, file)).ok().map(|_| syncer)
    }
}

impl Drop for Syncer<'_> {
    fn drop(&mut self) {
        self.0.end_syncing();
    }
}

/// Syncs the pages that are stored after the first `synced` ones.
fn sync_pages(shared: &Shared, mut synced: u64, mut file: Box<dyn FsFile>) {
    while let Some(stored) = shared.wait_for_pages(synced) {
        if let Err(error) = file.sync().context("write", &shared.path) {
            return shared.fail(stored, error.into());
        }
        synced = stored;
    }
}
