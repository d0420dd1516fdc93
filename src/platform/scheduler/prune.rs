//! The step that removes expired files and rows.

use std::time::Duration;

use jiff::Timestamp;

use super::Scheduler;
use crate::chain::Chain;
use crate::clock::{before, elapsed};
use crate::platform::spool::SpoolFolder;

/// Time between two searches for expired files and rows.
const PRUNE_PERIOD: Duration = Duration::from_secs(60);
/// Batch size for deleting actions, to keep table locks short.
const ACTIONS_MAX: i64 = 200;

impl Scheduler {
    /// Removes the files and rows that have exceeded their retention, once per [`PRUNE_PERIOD`].
    pub(super) fn prune(&mut self, now: Timestamp) {
        if self.last_pruned.is_some_and(|last| elapsed(last, now) < PRUNE_PERIOD && last <= now) {
            return;
        }
        self.last_pruned = Some(now);
        if let Some(age) = self.settings.retention.spool {
            self.prune_spool(before(now, age));
        }
        if let Some(age) = self.settings.retention.actions {
            self.prune_tables(before(now, age));
        }
    }

    fn prune_spool(&self, end: Timestamp) {
        for folder in [
            SpoolFolder::ActionDone,
            SpoolFolder::ActionInvalid,
            SpoolFolder::CommandDone,
            SpoolFolder::CommandReturned,
        ] {
            match self.spool.prune(folder, end) {
                Ok(0) => {}
                Ok(files) => {
                    slog::info!(self.log, "removed expired files"; "folder" => %folder, "files" => files);
                }
                Err(error) => {
                    slog::error!(self.log, "cannot remove expired files";
                        "folder" => %folder, "error" => %Chain(&error));
                }
            }
        }
    }

    fn prune_tables(&self, end: Timestamp) {
        match self.store.delete_finished_actions(end, ACTIONS_MAX) {
            Ok(0) => {}
            Ok(actions) => slog::info!(self.log, "removed expired actions"; "actions" => actions),
            Err(error) => {
                slog::error!(self.log, "cannot remove expired actions"; "error" => %Chain(&error));
            }
        }
    }
}
