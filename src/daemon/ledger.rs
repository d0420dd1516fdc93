//! The actions that runs hold which are over: no search may take one of them for another run's.
//!
//! The index knows the runs that are not over; this knows the rest. It is read
//! from disk before the first search, which is seldom.

use std::collections::BTreeMap;

use crate::names::{ActionId, RunId};
use crate::spool::{Folder, Record, Seen, Spool, SpoolError};

/// The actions of runs that are over.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: BTreeMap<RunId, ActionId>,
    complete: bool,
}

impl Ledger {
    /// Notes what a run holds that is over.
    pub(crate) fn note(&mut self, record: &Record) {
        if let Some(action) = record.action_id {
            self.entries.insert(record.id.clone(), action);
        }
    }

    /// Reads what was over before this process noted it.
    pub(crate) fn complete(&mut self, spool: &Spool) -> Result<(), SpoolError> {
        if self.complete {
            return Ok(());
        }
        for folder in [Folder::ActionDone, Folder::Invalid] {
            for name in spool.names(folder)? {
                if let Seen::Run(run) = spool.see(folder, &name)? {
                    self.note(run.record());
                }
            }
        }
        self.complete = true;
        Ok(())
    }

    /// Returns the actions that runs other than this one hold.
    pub(crate) fn action_ids(&self, id: &RunId) -> impl Iterator<Item = ActionId> {
        let others = self.entries.iter().filter(move |(other, _)| *other != id);
        others.map(|(_, action)| *action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::testing::{record, spool};

    #[test]
    fn what_is_over_is_known_after_a_restart() {
        let (_folder, spool) = spool();
        let mut over = record("job.20261122T120000Z");
        over.action_id = Some(ActionId(7));
        let run = spool.adopt(over.clone()).unwrap();
        drop(spool.pass(run, crate::spool::Edge::SentOnly).unwrap());
        let mut ledger = Ledger::default();
        let other = "job.20261122T130000Z".parse().unwrap();
        assert_eq!(ledger.action_ids(&other).count(), 0);
        ledger.complete(&spool).unwrap();
        assert_eq!(ledger.action_ids(&other).collect::<Vec<_>>(), [ActionId(7)]);
        assert_eq!(ledger.action_ids(&over.id).count(), 0);
    }
}
