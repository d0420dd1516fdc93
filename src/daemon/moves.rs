//! Making moves: those that a stage decided upon, and those that follow from what
//! a worker brought back.
//!
//! **Failure.** What a stage decided upon and the disk refused is decided upon
//! again. What a worker brought back is known nowhere else: it is held and written
//! later.

use std::time::Duration;

use jiff::Timestamp;
use slog::{info, warn};

use super::engine::Engine;
use super::index::Key;
use super::trouble::Place;
use crate::api::backoff;
use crate::chain::Chain;
use crate::clock::after;
use crate::spool::{Folder, Record, Run, SpoolError, Transition};
use crate::stage::{Move, collect, deliver};

/// What the log says of an outcome that is held.
const HOLDS: &str = "cannot write down an outcome, it is held";

/// A move that could not be made yet.
#[derive(Debug)]
pub(super) struct PendingOutcome {
    pub(super) key: Key,
    moved: Move,
    record: Record,
    pub(super) at: Timestamp,
    pub(super) failures: u32,
}

impl PendingOutcome {
    /// Returns whether the move only prepares the next piece of work, as that of a signature does.
    pub(super) fn begins_work(&self) -> bool {
        self.moved.then.is_some()
    }
}

impl Engine {
    /// Makes a move that a stage decided upon.
    pub(super) fn make(&mut self, key: &Key, moved: &Move, now: Timestamp) {
        let made = match self.current(key) {
            Ok(Some(run)) => self.follow(key, run, moved, now),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = made {
            self.unmade(key, &error, now);
        }
    }

    /// Makes a move that follows from what a worker brought back; it is held until it can be made.
    pub(super) fn make_or_hold(&mut self, key: &Key, moved: Move, record: Record, now: Timestamp) {
        let mut tried = self.try_outcome(key, &moved, &record, now);
        if let Err(SpoolError::Gone { .. } | SpoolError::Taken { .. }) = tried {
            // Somebody moved the entry while it was read: where it is now decides.
            tried = self.try_outcome(key, &moved, &record, now);
        }
        if let Err(error) = tried {
            self.troubled(HOLDS, Place::Run(key.1.clone()), &error);
            self.mark_busy(key, true);
            let at = after(now, backoff::delay(1, crate::random::jitter(), None));
            self.pending.push(PendingOutcome { key: key.clone(), moved, record, at, failures: 1 });
            self.retry_reporter.failed();
        }
    }

    fn try_outcome(
        &mut self,
        key: &Key,
        moved: &Move,
        record: &Record,
        now: Timestamp,
    ) -> Result<(), SpoolError> {
        if let Some(run) = self.current(key)?
            && moved.transition.begins_in(run.folder())
        {
            return self.follow(key, run, moved, now);
        }
        if moved.transition == Transition::Accepted && self.is_recorded(key, moved, record)? {
            // The move was made, and only an fsync after it had failed.
            return Ok(());
        }
        if moved.transition != Transition::Accepted {
            info!(self.parts.log, "outcome dropped: the entry was moved away";
                "run" => %key.1, "outcome" => ?moved.transition);
            return Ok(());
        }
        // Whatever a person did with the entry meanwhile, the action runs on the fleet.
        warn!(self.parts.log, "action was accepted though its entry was moved away";
            "run" => %key.1);
        let run = Run::departed(Folder::New, record.clone());
        self.follow(key, run, moved, now)?;
        self.parts.spool.settle(&key.1, key.0).map(drop)
    }

    /// Tells whether the file of a run that counts has the action that was accepted for it.
    fn is_recorded(&self, key: &Key, moved: &Move, record: &Record) -> Result<bool, SpoolError> {
        let mut accepted = record.clone();
        if let Some(edit) = &moved.edit {
            edit(&mut accepted);
        }
        let counts = self.parts.spool.settle(&key.1, key.0)?;
        Ok(counts.is_some_and(|run| run.record().action_id == accepted.action_id))
    }

    /// Keeps a run from being worked on as long as an outcome of it is held.
    fn mark_busy(&mut self, key: &Key, busy: bool) {
        if let Some(tries) = self.index.tries(key) {
            tries.busy = busy;
        }
    }

    pub(super) fn retry_held(&mut self, now: Timestamp) {
        for mut held in std::mem::take(&mut self.pending) {
            if held.at > now {
                self.pending.push(held);
                continue;
            }
            // The move may begin the next piece of work, which then has the run.
            self.mark_busy(&held.key, false);
            match self.try_outcome(&held.key, &held.moved, &held.record, now) {
                Ok(()) => {
                    info!(self.parts.log, "held outcome written"; "run" => %held.key.1);
                    self.troubles.over(&Place::Run(held.key.1.clone()));
                    self.index.schedule(&held.key, Some(now));
                }
                Err(error) => {
                    self.mark_busy(&held.key, true);
                    held.failures = held.failures.saturating_add(1);
                    let delay = backoff::delay(held.failures, crate::random::jitter(), None);
                    self.troubled(HOLDS, Place::Run(held.key.1.clone()), &error);
                    held.at = after(now, delay);
                    self.pending.push(held);
                }
            }
        }
        let waiting: Vec<Key> = self.pending.iter().map(|held| held.key.clone()).collect();
        for key in waiting {
            self.mark_busy(&key, true);
        }
    }

    fn follow(
        &mut self,
        key: &Key,
        run: Run,
        moved: &Move,
        now: Timestamp,
    ) -> Result<(), SpoolError> {
        let spool = &self.parts.spool;
        let edit = |record: &mut Record| {
            if let Some(edit) = &moved.edit {
                edit(record);
            }
        };
        if moved.transition == Transition::Collected {
            let mut record = run.record().clone();
            edit(&mut record);
            spool.make_ready(record)?;
        }
        let transition = match (moved.transition, &moved.edit) {
            (Transition::Delivered | Transition::Finished, Some(edit)) => {
                let mut record = run.record().clone();
                edit(&mut record);
                deliver::transition(&record)
            }
            (transition, _) => transition,
        };
        let run = match moved.edit {
            Some(_) => spool.follow(run, transition, edit)?,
            None => spool.pass(run, transition)?,
        };
        self.told(&run, transition);
        self.measure_move(&run, transition, now);
        let record = moved.then.as_ref().map(|_| run.record().clone());
        if moved.transition == Transition::Accepted {
            let first = collect::first_poll(run.record(), now);
            self.remember(run);
            if let Some(tries) = self.index.tries(key) {
                tries.not_before = first;
            }
        } else {
            self.remember(run);
        }
        if moved.transition == Transition::Collected
            && let Some(run) = self.parts.spool.take(Folder::Ready, &key.1)?
        {
            self.remember(run);
        }
        if let (Some(work), Some(record)) = (moved.then.clone(), record) {
            self.index.schedule(key, None);
            self.start_with(key, work, record, now);
        }
        Ok(())
    }

    fn unmade(&mut self, key: &Key, error: &SpoolError, now: Timestamp) {
        match error {
            // The disk is the truth: what is there now is found by looking.
            SpoolError::Gone { .. } | SpoolError::Taken { .. } => {
                info!(self.parts.log, "entry was moved meanwhile"; "run" => %key.1,
                    "error" => Chain(error));
                self.index.schedule(key, Some(after(now, Duration::from_secs(1))));
            }
            _ => {
                self.troubled("cannot move entry", Place::Run(key.1.clone()), error);
                self.put_off(key, now);
            }
        }
    }

    pub(super) fn reject(&mut self, key: &Key, reason: &str, now: Timestamp) {
        let Some(live) = self.index.get(key) else { return };
        let name = key.1.file_name();
        match self.parts.spool.reject(live.folder, name.as_ref(), reason) {
            Ok(()) => self.index.forget(key),
            Err(error) => self.unmade(key, &error, now),
        }
    }
}
