//! What runs that are over still hold: actions on the platform, and the seconds of their signatures.
//!
//! RSA signatures are deterministic, so two actions of one name that begin in one
//! second could not be told apart, and a search for the one would find the other.
//! The index knows the runs that are not over; this knows the rest.
//!
//! **Invariant.** What ended in the last hour is known from the start on, which is
//! enough to date a new action; all of it is read before the first search.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::names::{ActionId, RunId};
use crate::spool::{Folder, Record, Seen, Spool, SpoolError};

/// What runs that are over hold.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: BTreeMap<RunId, Entry>,
    complete: bool,
}

/// What a run holds.
#[derive(Debug)]
struct Entry {
    action_name: String,
    valid_from: Option<Timestamp>,
    action_id: Option<ActionId>,
}

impl Ledger {
    /// Notes what a run holds that is over.
    pub(crate) fn note(&mut self, record: &Record) {
        let request = &record.request;
        if request.valid_from.is_none() && record.action_id.is_none() {
            return;
        }
        let entry = Entry {
            action_name: request.action_name.clone(),
            valid_from: request.valid_from,
            action_id: record.action_id,
        };
        self.entries.insert(record.id.clone(), entry);
    }

    /// Reads what ended since a time.
    pub(crate) fn read(&mut self, spool: &Spool, since: Timestamp) -> Result<(), SpoolError> {
        for folder in [Folder::ActionDone, Folder::Invalid] {
            for name in spool.names(folder)? {
                let stamp = spool.stamp(folder, &name)?;
                if stamp.is_some_and(|stamp| stamp.changed >= since)
                    && let Seen::Run(run) = spool.see(folder, &name)?
                {
                    self.note(run.record());
                }
            }
        }
        Ok(())
    }

    /// Reads all that was not read yet.
    pub(crate) fn complete(&mut self, spool: &Spool) -> Result<(), SpoolError> {
        if !self.complete {
            self.read(spool, Timestamp::MIN)?;
            self.complete = true;
        }
        Ok(())
    }

    /// Tells whether an action of another run has this name and begins in this second.
    pub(crate) fn is_dated(&self, action_name: &str, valid_from: Timestamp, id: &RunId) -> bool {
        self.entries.iter().any(|(other, entry)| {
            other != id && entry.valid_from == Some(valid_from) && entry.action_name == action_name
        })
    }

    /// Returns the actions that runs other than this one hold.
    pub(crate) fn action_ids(&self, id: &RunId) -> impl Iterator<Item = ActionId> {
        let others = self.entries.iter().filter(move |(other, _)| *other != id);
        others.filter_map(|(_, entry)| entry.action_id)
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
        over.request.valid_from = Some(Timestamp::UNIX_EPOCH);
        let run = spool.adopt(over.clone()).unwrap();
        drop(spool.pass(run, crate::spool::Edge::SentOnly).unwrap());
        let mut ledger = Ledger::default();
        ledger.read(&spool, Timestamp::MAX).unwrap();
        let other = "job.20261122T130000Z".parse().unwrap();
        assert_eq!(ledger.action_ids(&other).count(), 0);
        ledger.complete(&spool).unwrap();
        let name = "mig-runner: job";
        assert!(ledger.is_dated(name, Timestamp::UNIX_EPOCH, &other));
        assert!(!ledger.is_dated("another", Timestamp::UNIX_EPOCH, &other));
        assert!(!ledger.is_dated(name, Timestamp::UNIX_EPOCH, &over.id));
        assert_eq!(ledger.action_ids(&other).collect::<Vec<_>>(), [ActionId(7)]);
        assert_eq!(ledger.action_ids(&over.id).count(), 0);
    }
}
