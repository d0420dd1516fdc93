//! Pending outcomes: results of work that the disk refused to record, kept in memory and written
//! later.
//!
//! **Invariant.** A pending outcome exists nowhere else. It is lost only with the process, and the
//! next start then finds out on the platform what happened.

use jiff::Timestamp;

use super::index::Key;
use crate::spool::Record;
use crate::stage::Move;

/// A move that could not be made yet.
#[derive(Debug)]
pub(super) struct PendingOutcome {
    pub(super) key: Key,
    pub(super) moved: Move,
    /// The record, as it was when the work began.
    pub(super) record: Record,
    /// When writing it is retried.
    pub(super) next_attempt: Timestamp,
    pub(super) failures: u32,
}

/// The pending outcomes, in the order in which they arrived.
#[derive(Debug, Default)]
pub(super) struct PendingOutcomes(Vec<PendingOutcome>);

impl PendingOutcomes {
    pub(super) fn push(&mut self, outcome: PendingOutcome) {
        self.0.push(outcome);
    }

    pub(super) fn take_all(&mut self) -> Vec<PendingOutcome> {
        std::mem::take(&mut self.0)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PendingOutcome> {
        self.0.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns when the next attempt to write an outcome is due.
    pub(super) fn next_attempt(&self) -> Option<Timestamp> {
        self.0.iter().map(|outcome| outcome.next_attempt).min()
    }

    /// Makes all attempts due at `now`, also those that are overdue.
    pub(super) fn retry_at(&mut self, now: Timestamp) {
        self.0.iter_mut().for_each(|outcome| outcome.next_attempt = now);
    }

    /// Drops outcomes that only prepare the next piece of work, as a signature prepares a POST.
    pub(super) fn drop_preparations(&mut self) {
        self.0.retain(|outcome| outcome.moved.then.is_none());
    }

    /// Returns the number of pending outcomes.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
