//! The state that scans keep between them: watches, and files that are not in the index.

#[cfg(test)]
use std::path::Path;

use jiff::Timestamp;

use crate::daemon::done_review::DoneReview;
use crate::daemon::settings::Parts;
use crate::daemon::unindexed_files::UnindexedFiles;
use crate::daemon::watches::Watches;
use crate::disk::Stamp;
use crate::job::folders::Depth;
use crate::names::RunId;
use crate::spool::{Folder, Spool, SpoolError};

/// The state that scans keep between them.
#[derive(Debug)]
pub(in crate::daemon) struct ScanState {
    /// Whether everything has been scanned once.
    pub(super) has_started: bool,
    /// When the last full scan began.
    pub(super) last: Timestamp,
    pub(super) unindexed: UnindexedFiles,
    pub(super) done_review: DoneReview,
    pub(super) watches: Watches,
    /// What the next full scan of the jobs includes.
    pub(super) depth: Depth,
    /// The folder whose names are being scanned, and whether it was fsynced since they were listed.
    pub(super) listed: Option<(Folder, bool)>,
}

impl ScanState {
    pub(super) fn new(parts: &Parts) -> ScanState {
        let settings = &parts.settings;
        ScanState {
            has_started: false,
            last: Timestamp::MIN,
            unindexed: UnindexedFiles::default(),
            done_review: DoneReview::new(),
            watches: Watches::new(parts.log.clone(), settings.runners(), settings.check_span),
            depth: Depth::Folders,
            listed: None,
        }
    }

    /// Records that the engine moved a run to `action/done`, so that its event is ignored.
    pub(super) fn expect_own_move(&mut self, id: &RunId, stamp: Stamp) {
        self.done_review.expect_own_move(id, stamp);
    }

    /// Makes another process's rename as durable as the engine's own, before anything irreversible
    /// follows. One fsync suffices for all names that were listed together.
    pub(super) fn make_durable(&mut self, spool: &Spool, folder: Folder) -> Result<(), SpoolError> {
        if self.listed == Some((folder, true)) {
            return Ok(());
        }
        spool.sync_folder(folder)?;
        self.listed =
            self.listed.map(|(listed, is_durable)| (listed, is_durable || listed == folder));
        Ok(())
    }

    /// Returns whether the whole of `action/done` has been reviewed.
    #[cfg(test)]
    pub(in crate::daemon) fn has_reviewed_done(&self) -> bool {
        self.done_review.is_complete()
    }

    /// Returns whether changes in a folder cause events.
    #[cfg(test)]
    pub(in crate::daemon) fn is_watched(&self, folder: &Path) -> bool {
        self.watches.has(folder)
    }

    /// Returns the number of remembered files that are not in the index.
    #[cfg(test)]
    pub(in crate::daemon) fn unindexed(&self) -> usize {
        self.unindexed.len()
    }

    /// Returns the number of remembered files and moves.
    #[cfg(test)]
    pub(in crate::daemon) fn remembered(&self) -> usize {
        self.unindexed.len() + self.done_review.len()
    }
}
