//! Makes moves: those that a stage decided on, and those that follow from the outcome of a worker.
//!
//! **Failure.** If the disk refuses a move that a stage decided on, the stage decides again later.
//! An outcome of a worker exists nowhere else: it is kept as a pending outcome and written later.

use std::time::Duration;

use jiff::Timestamp;
use slog::{info, warn};

use super::Engine;
use crate::api::backoff;
use crate::chain::Chain;
use crate::clock::after;
use crate::daemon::disk_errors::Subject;
use crate::daemon::index::Key;
use crate::daemon::move_log::log_move;
use crate::daemon::move_queue::{MOVES_MAX, PlannedKind, PlannedMove};
use crate::daemon::pending_outcomes::PendingOutcome;
use crate::spool::{Folder, Record, Run, SpoolError, Transition};
use crate::stage::{Move, collect, deliver};

/// Log message for an outcome that becomes or stays pending.
const NOT_RECORDED: &str = "cannot record outcome; keeping it in memory";

impl Engine {
    /// Makes planned moves, as many as one turn allows.
    pub(super) fn serve_moves(&mut self, now: Timestamp) {
        for _ in 0..MOVES_MAX {
            if self.is_stopping() {
                return;
            }
            let Some((key, PlannedMove { folder, kind })) = self.moves.pop() else { return };
            if !self.index.rests_in(&key, folder) {
                // It was found elsewhere, or it is decided on again.
                continue;
            }
            match kind {
                PlannedKind::Move(moved) => self.make(&key, &moved, now),
                PlannedKind::Reject(reason) => self.reject_unchanged(&key, &reason, now),
            }
        }
    }

    /// Makes a move that a stage decided on.
    pub(super) fn make(&mut self, key: &Key, moved: &Move, now: Timestamp) {
        let made = match self.read_run(key) {
            Ok(Some(run)) => self.apply(key, run, moved, now),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = made {
            self.move_failed(key, &error, now);
        }
    }

    /// Makes a move that follows from an outcome; it stays pending until it can be made.
    pub(super) fn make_or_keep(&mut self, key: &Key, moved: Move, record: Record, now: Timestamp) {
        let mut tried = self.try_outcome(key, &moved, &record, now);
        if let Err(SpoolError::Gone { .. } | SpoolError::Taken { .. }) = tried {
            // Another process moved the entry while it was being read: its new folder counts.
            tried = self.try_outcome(key, &moved, &record, now);
        }
        if let Err(error) = tried {
            self.errors.report(NOT_RECORDED, Subject::Run(key.1.clone()), &error, now);
            // No work may start on the run while an outcome of it is pending.
            self.index.set_busy(key, true);
            let next_attempt = after(now, backoff::delay(1, crate::random::jitter(), None));
            let key = key.clone();
            self.pending.push(PendingOutcome { key, moved, record, next_attempt, failures: 1 });
            self.retry_reporter.note_failure();
        }
    }

    fn try_outcome(
        &mut self,
        key: &Key,
        moved: &Move,
        record: &Record,
        now: Timestamp,
    ) -> Result<(), SpoolError> {
        if let Some(run) = self.read_run(key)?
            && moved.transition.begins_in(run.folder())
        {
            return self.apply(key, run, moved, now);
        }
        if moved.transition == Transition::Accepted && self.is_recorded(key, moved, record)? {
            // The move was made, and only an fsync after it failed.
            return Ok(());
        }
        if moved.transition != Transition::Accepted {
            info!(self.parts.log, "discarding outcome: entry was moved";
                "run" => %key.1, "outcome" => ?moved.transition);
            return Ok(());
        }
        // Whatever the operator did with the entry meanwhile, the action runs on the fleet.
        warn!(self.parts.log, "action was accepted although its entry was moved"; "run" => %key.1);
        let run = Run::departed(Folder::New, record.clone());
        self.apply(key, run, moved, now)?;
        self.parts.spool.settle(&key.1, key.0).map(drop)
    }

    /// Returns whether the file of a run that counts already has the accepted action.
    fn is_recorded(&self, key: &Key, moved: &Move, record: &Record) -> Result<bool, SpoolError> {
        let mut accepted = record.clone();
        if let Some(edit) = &moved.edit {
            edit(&mut accepted);
        }
        let counts = self.parts.spool.settle(&key.1, key.0)?;
        Ok(counts.is_some_and(|run| run.record().action_id == accepted.action_id))
    }

    /// Retries the pending outcomes that are due, at most `limit` of them.
    pub(super) fn retry_pending(&mut self, now: Timestamp, limit: usize) {
        let mut left = limit;
        for mut pending in self.pending.take_all() {
            if left == 0 || pending.next_attempt > now {
                self.pending.push(pending);
                continue;
            }
            left -= 1;
            let subject = Subject::Run(pending.key.1.clone());
            // The move may start the next task, which makes the run busy again.
            self.index.set_busy(&pending.key, false);
            match self.try_outcome(&pending.key, &pending.moved, &pending.record, now) {
                Ok(()) => {
                    info!(self.parts.log, "pending outcome recorded"; "run" => %pending.key.1);
                    self.errors.clear(&subject);
                    self.index.schedule(&pending.key, Some(now));
                }
                Err(error) => {
                    self.index.set_busy(&pending.key, true);
                    pending.failures = pending.failures.saturating_add(1);
                    let delay = backoff::delay(pending.failures, crate::random::jitter(), None);
                    self.errors.report(NOT_RECORDED, subject, &error, now);
                    pending.next_attempt = after(now, delay);
                    self.pending.push(pending);
                }
            }
        }
        // Several outcomes of one run may be pending: it stays busy until the last one is recorded.
        for pending in self.pending.iter() {
            self.index.set_busy(&pending.key, true);
        }
    }

    /// Retries the pending outcomes for the last time, before the runner stops. A signature is
    /// dropped: no POST follows, and its record would say that one may have.
    pub(in crate::daemon) fn record_pending(&mut self) {
        let now = self.parts.clock.now();
        self.pending.drop_preparations();
        self.pending.retry_at(now);
        self.retry_pending(now, usize::MAX);
    }

    /// Makes a move of a run that was just read, and starts the task that follows it.
    fn apply(
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
            Some(_) => spool.apply(run, transition, edit)?,
            None => spool.apply_unchanged(run, transition)?,
        };
        log_move(&self.parts.log, run.record(), transition, &self.parts.calendar);
        self.metrics.count_move(&run, transition, now);
        let record = moved.then.as_ref().map(|_| run.record().clone());
        if moved.transition == Transition::Accepted {
            let first = collect::first_poll(run.record(), now);
            self.track(run);
            if let Some(attempts) = self.index.attempts_mut(key) {
                attempts.not_before = first;
            }
        } else {
            self.track(run);
        }
        if moved.transition == Transition::Collected
            && let Some(run) = self.parts.spool.read_run(Folder::Ready, &key.1)?
        {
            self.track(run);
        }
        if let (Some(kind), Some(record)) = (moved.then.clone(), record) {
            self.index.schedule(key, None);
            self.start_task_with(key, kind, record, now);
        }
        Ok(())
    }

    /// Schedules another attempt after a move could not be made.
    fn move_failed(&mut self, key: &Key, error: &SpoolError, now: Timestamp) {
        match error {
            // The disk is authoritative: the next attempt reads where the entry is now.
            SpoolError::Gone { .. } | SpoolError::Taken { .. } => {
                info!(self.parts.log, "entry was moved by another process"; "run" => %key.1,
                    "error" => Chain(error));
                self.index.schedule(key, Some(after(now, Duration::from_secs(1))));
            }
            _ => {
                let subject = Subject::Run(key.1.clone());
                self.errors.report("cannot move entry", subject, error, now);
                self.put_off(key, now);
            }
        }
    }

    /// Has the results of a run fetched now: the operator moved it to `action/done` before its
    /// action ended.
    pub(super) fn collect_now(&mut self, run: Run) -> Result<(), SpoolError> {
        let now = self.parts.clock.now();
        let mark = |record: &mut Record| {
            record.collected = Some(now);
            if !record.has_results() {
                record.skip_deliveries();
            }
        };
        let id = run.record().id.clone();
        if run.record().action_id.is_none() {
            let reason = "it was never accepted, so there are no results: move it to action/new";
            return self.parts.spool.reject(Folder::ActionDone, id.file_name().as_ref(), reason);
        }
        if run.record().has_results() {
            let mut record = run.record().clone();
            mark(&mut record);
            self.parts.spool.make_ready(record)?;
        }
        let marked = self.parts.spool.apply(run, Transition::Marked, mark)?;
        if self.events.is_some() {
            self.scan.expect_own_move(&id, marked.stamp());
        }
        match self.parts.spool.read_run(Folder::Ready, &id)? {
            Some(run) => self.run_found(run),
            None => Ok(()),
        }
    }

    /// Turns a run into a dead letter if its file is still the one that its stage rejected.
    fn reject_unchanged(&mut self, key: &Key, reason: &str, now: Timestamp) {
        let Some((folder, known)) = self.index.get(key).map(|run| (run.folder, run.stamp)) else {
            return;
        };
        let name = key.1.file_name();
        match self.parts.spool.stamp(folder, name.as_ref()) {
            Ok(stamp) if stamp == Some(known) => self.reject(key, reason, now),
            Ok(_) => self.scan_name(folder, name.as_ref()),
            Err(error) => self.move_failed(key, &error, now),
        }
    }

    /// Turns a run into a dead letter.
    pub(super) fn reject(&mut self, key: &Key, reason: &str, now: Timestamp) {
        let Some(run) = self.index.get(key) else { return };
        let name = key.1.file_name();
        match self.parts.spool.reject(run.folder, name.as_ref(), reason) {
            Ok(()) => self.index.forget(key),
            Err(error) => self.move_failed(key, &error, now),
        }
    }
}
