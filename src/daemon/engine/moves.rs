//! Makes moves: those that a stage decided on, and those that follow from the outcome of a worker.
//!
//! The moves of a turn are requested first and then made together, so that they share the fsyncs.
//! What follows from a move, such as the POST after a signature, begins when it is durable.
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
use crate::spool::{Folder, Record, Run, RunChange, SpoolError, Transition};
use crate::stage::{Move, collect, deliver};

/// Log message for an outcome that becomes or stays pending.
const NOT_RECORDED: &str = "cannot record outcome; keeping it in memory";

/// A move that is made in this turn.
#[derive(Debug)]
pub(super) struct RequestedMove {
    key: Key,
    pub(super) moved: Move,
    source: MoveSource,
    /// Whether the entry was moved away, or removed, while its action was accepted.
    has_departed: bool,
}

/// Where a move comes from, and so what follows if it cannot be made.
#[derive(Debug)]
enum MoveSource {
    /// A stage decided on it, and decides again.
    Stage,
    /// It follows from the outcome of a task on this record, and becomes or stays pending.
    Outcome {
        record: Box<Record>,
        /// Number of attempts that have failed.
        failures: u32,
    },
}

/// A move that could not be made.
type FailedMove = (RequestedMove, SpoolError);

impl RequestedMove {
    fn new(key: Key, moved: Move, source: MoveSource) -> RequestedMove {
        RequestedMove { key, moved, source, has_departed: false }
    }

    /// Returns the change of the run's file, and the transition that it makes.
    fn change(&self, run: Run) -> Result<(Transition, RunChange), SpoolError> {
        let Move { transition, edit, .. } = &self.moved;
        let Some(edit) = edit else {
            return Ok((*transition, RunChange::unchanged(run, *transition)?));
        };
        let mut transition = *transition;
        if let Transition::Delivered | Transition::Finished = transition {
            let mut record = run.record().clone();
            edit(&mut record);
            transition = deliver::transition(&record);
        }
        Ok((transition, RunChange::changed(run, transition, edit)?))
    }

    /// Returns whether another process moved the entry while it was being read: the outcome then
    /// applies to the entry in its new folder.
    fn is_overtaken(&self, error: &SpoolError) -> bool {
        matches!(self.source, MoveSource::Outcome { .. })
            && matches!(error, SpoolError::Gone { .. } | SpoolError::Taken { .. })
    }
}

impl Engine {
    /// Makes planned moves, as many as one turn allows.
    pub(super) fn serve_moves(&mut self, now: Timestamp) {
        for _ in 0..MOVES_MAX {
            if self.is_stopping() {
                break;
            }
            let Some((key, PlannedMove { folder, kind })) = self.moves.pop() else { break };
            if !self.index.rests_in(&key, folder) {
                // It was found elsewhere, or it is decided on again.
                continue;
            }
            match kind {
                PlannedKind::Move(moved) => self.request(key, moved, now),
                PlannedKind::Reject(reason) => self.reject_unchanged(&key, &reason, now),
            }
        }
        self.make_requested(now);
    }

    /// Requests a move that a stage decided on.
    pub(super) fn request(&mut self, key: Key, moved: Move, now: Timestamp) {
        self.add_request(RequestedMove::new(key, moved, MoveSource::Stage), now);
    }

    /// Requests a move that follows from the outcome of a task on `record`.
    pub(super) fn request_outcome(
        &mut self,
        key: Key,
        moved: Move,
        record: Record,
        now: Timestamp,
    ) {
        let source = MoveSource::Outcome { record: Box::new(record), failures: 0 };
        self.add_request(RequestedMove::new(key, moved, source), now);
    }

    fn add_request(&mut self, requested: RequestedMove, now: Timestamp) {
        if self.requested.iter().any(|other| other.key == requested.key) {
            // The second move of a run begins where the first one ends.
            self.make_requested(now);
        }
        self.requested.push(requested);
    }

    /// Makes all requested moves, together.
    pub(in crate::daemon) fn make_requested(&mut self, now: Timestamp) {
        if self.requested.is_empty() {
            return;
        }
        let requested = std::mem::take(&mut self.requested);
        let keys: Vec<Key> = requested.iter().map(|requested| requested.key.clone()).collect();
        let failed = self.make(requested, now);
        let (overtaken, mut failed): (Vec<FailedMove>, Vec<FailedMove>) =
            failed.into_iter().partition(|(requested, error)| requested.is_overtaken(error));
        failed.extend(self.make(overtaken.into_iter().map(|(again, _)| again).collect(), now));
        for (requested, error) in failed {
            self.request_failed(requested, &error, now);
        }
        for key in keys {
            if !self.index.is_busy(&key) {
                // No task has followed: another run may be the probe.
                self.release_probe(&key, now);
            }
        }
    }

    /// Makes moves of different runs, together; returns those that failed.
    fn make(&mut self, moves: Vec<RequestedMove>, now: Timestamp) -> Vec<FailedMove> {
        let (mut located, mut changes, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for mut requested in moves {
            match self.locate(&mut requested) {
                Ok(Some(run)) => located.push((requested, run)),
                Ok(None) => self.request_ended(&requested, now),
                Err(error) => failed.push((requested, error)),
            }
        }
        for (requested, run) in self.make_ready(located, &mut failed) {
            match requested.change(run) {
                Ok((transition, change)) => changes.push(((requested, transition), change)),
                Err(error) => failed.push((requested, error)),
            }
        }
        for ((requested, transition), committed) in self.parts.spool.commit(changes) {
            match committed.and_then(|run| self.moved(&requested, run, transition, now)) {
                Ok(()) => self.request_ended(&requested, now),
                Err(error) => failed.push((requested, error)),
            }
        }
        failed
    }

    /// Returns the run to be moved; `None` if there is nothing to move.
    fn locate(&mut self, requested: &mut RequestedMove) -> Result<Option<Run>, SpoolError> {
        let RequestedMove { key, moved, source, has_departed } = requested;
        let run = self.read_run(key)?;
        let MoveSource::Outcome { record, .. } = source else { return Ok(run) };
        if let Some(run) = run
            && moved.transition.begins_in(run.folder())
        {
            return Ok(Some(run));
        }
        if moved.transition != Transition::Accepted {
            info!(self.parts.log, "discarding outcome: entry was moved";
                "run" => %key.1, "outcome" => ?moved.transition);
            return Ok(None);
        }
        if self.is_recorded(key, moved, record)? {
            // The move was made, and only an fsync after it failed.
            return Ok(None);
        }
        // Whatever the operator did with the entry meanwhile, the action runs on the fleet.
        warn!(self.parts.log, "action was accepted although its entry was moved"; "run" => %key.1);
        *has_departed = true;
        Ok(Some(Run::departed(Folder::New, Record::clone(record))))
    }

    /// Returns whether the file of a run that counts already has the accepted action.
    fn is_recorded(&self, key: &Key, moved: &Move, record: &Record) -> Result<bool, SpoolError> {
        let mut accepted = record.clone();
        moved.edit_record(&mut accepted);
        let counts = self.parts.spool.settle(&key.1, key.0)?;
        Ok(counts.is_some_and(|run| run.record().action_id == accepted.action_id))
    }

    /// Takes note of a move that was made, and starts the task that follows it.
    fn moved(
        &mut self,
        requested: &RequestedMove,
        run: Run,
        transition: Transition,
        now: Timestamp,
    ) -> Result<(), SpoolError> {
        let RequestedMove { key, moved, .. } = requested;
        log_move(&self.parts.log, run.record(), transition, &self.parts.calendar);
        self.metrics.count_move(&run, transition, now);
        let record = moved.then.as_ref().map(|_| run.record().clone());
        if transition == Transition::Accepted {
            let first = collect::first_poll(run.record(), now);
            self.track(run);
            if let Some(attempts) = self.index.attempts_mut(key) {
                attempts.not_before = first;
            }
            if requested.has_departed {
                // Its old file may be in another folder.
                self.parts.spool.settle(&key.1, key.0)?;
            }
        } else {
            self.track(run);
        }
        if transition == Transition::Collected
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

    /// Takes note that nothing is left to do for a move.
    fn request_ended(&mut self, requested: &RequestedMove, now: Timestamp) {
        let RequestedMove { key, source, .. } = requested;
        if let MoveSource::Outcome { failures: 1.., .. } = source {
            info!(self.parts.log, "pending outcome recorded"; "run" => %key.1);
            self.errors.clear(&Subject::Run(key.1.clone()));
            self.index.schedule(key, Some(now));
        }
    }

    /// Schedules another attempt after a move could not be made.
    fn request_failed(&mut self, requested: RequestedMove, error: &SpoolError, now: Timestamp) {
        let RequestedMove { key, moved, source, .. } = requested;
        let MoveSource::Outcome { record, failures } = source else {
            return self.move_failed(&key, error, now);
        };
        self.errors.report(NOT_RECORDED, Subject::Run(key.1.clone()), error, now);
        // No work may start on the run while an outcome of it is pending.
        self.index.set_busy(&key, true);
        if failures == 0 {
            self.retry_reporter.note_failure();
        }
        let failures = failures.saturating_add(1);
        let delay = backoff::delay(failures, crate::random::jitter(), None);
        let next_attempt = after(now, delay);
        self.pending.push(PendingOutcome { key, moved, record: *record, next_attempt, failures });
    }

    /// Schedules another attempt after a stage's move could not be made.
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

    /// Retries the pending outcomes that are due, at most `limit` of them.
    pub(super) fn retry_pending(&mut self, now: Timestamp, limit: usize) {
        let mut left = limit;
        for pending in self.pending.take_all() {
            if left == 0 || pending.next_attempt > now {
                self.pending.push(pending);
                continue;
            }
            left -= 1;
            let PendingOutcome { key, moved, record, failures, .. } = pending;
            // The move may start the next task, which makes the run busy again.
            self.index.set_busy(&key, false);
            let source = MoveSource::Outcome { record: Box::new(record), failures };
            self.add_request(RequestedMove::new(key, moved, source), now);
        }
        self.make_requested(now);
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
