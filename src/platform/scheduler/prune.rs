//! The step that forgets what has been over for long.

use std::time::Duration;

use jiff::Timestamp;

use super::Scheduler;
use crate::chain::Chain;
use crate::clock::{before, elapsed};
use crate::platform::spool::Place;

/// How often it is looked for what may go.
const PRUNE_SPAN: Duration = Duration::from_secs(60);
/// How many actions go at once, so that nobody waits for the tables for long.
const ACTIONS_MAX: i64 = 200;

impl Scheduler {
    /// Removes the files and the rows that are older than they are kept, if it is time to look.
    pub(super) fn prune(&mut self, now: Timestamp) {
        if self.pruned.is_some_and(|last| elapsed(last, now) < PRUNE_SPAN && last <= now) {
            return;
        }
        self.pruned = Some(now);
        if let Some(age) = self.rules.retention.spool {
            self.prune_spool(before(now, age));
        }
        if let Some(age) = self.rules.retention.actions {
            self.prune_tables(before(now, age));
        }
    }

    fn prune_spool(&self, end: Timestamp) {
        for place in
            [Place::ActionDone, Place::ActionInvalid, Place::CommandDone, Place::CommandReturned]
        {
            match self.spool.prune(place, end) {
                Ok(0) => {}
                Ok(files) => {
                    slog::info!(self.log, "old files removed"; "folder" => %place, "files" => files);
                }
                Err(error) => {
                    slog::error!(self.log, "old files cannot be removed";
                        "folder" => %place, "error" => %Chain(&error));
                }
            }
        }
    }

    fn prune_tables(&self, end: Timestamp) {
        match self.store.delete_finished_actions(end, ACTIONS_MAX) {
            Ok(0) => {}
            Ok(actions) => slog::info!(self.log, "old actions removed"; "actions" => actions),
            Err(error) => {
                slog::error!(self.log, "old actions cannot be removed"; "error" => %Chain(&error));
            }
        }
    }
}
