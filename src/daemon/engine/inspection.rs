//! Access to the engine's state for tests.

use super::Engine;
use crate::spool::Folder;

use crate::daemon::index::Index;
use crate::daemon::settings::Parts;

impl Engine {
    pub(in crate::daemon) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(in crate::daemon) fn index(&self) -> &Index {
        &self.index
    }

    pub(in crate::daemon) fn scan(&self) -> &super::ScanState {
        &self.scan
    }

    /// Returns whether the runs in a folder of finished runs have been counted.
    pub(in crate::daemon) fn has_counted(&self, folder: Folder) -> bool {
        self.metrics.has_counted(folder)
    }

    /// Returns the number of tasks that run.
    pub(in crate::daemon) fn running_tasks(&self) -> usize {
        self.workers.running()
    }

    /// Returns the number of runs, files and moves that are remembered in any part of the engine.
    pub(in crate::daemon) fn remembered(&self) -> usize {
        let parts = [
            self.index.len(),
            self.scan.remembered(),
            self.breaker.len(),
            self.queues.len(),
            self.pending.len(),
            self.requested.len(),
        ];
        parts.iter().sum()
    }
}
