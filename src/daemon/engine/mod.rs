//! The engine: the only thread that moves runs.
//!
//! The engine waits until a run is due, a hint arrives or a worker finishes. It asks the stage that
//! is responsible for the run's folder for the next step, and carries it out: it plans a move,
//! queues the run for a worker, or waits. While a worker has a run, the engine leaves that run alone.
//!
//! **Failure.** If the disk refuses an operation, the entry stays where it is, and the engine
//! retries after a growing delay. An outcome of a worker that cannot be recorded becomes a pending
//! outcome and is written later: an action that the API has accepted is never posted again.

mod collecting;
mod dispatch;
#[cfg(test)]
mod inspection;
mod launching;
mod moves;
mod outcomes;
mod scan_state;
mod scanning;

use std::path::PathBuf;
use std::sync::mpsc::Sender;

use jiff::Timestamp;
use slog::error;

use self::moves::RequestedMove;
use self::scan_state::ScanState;
use super::Event;
use super::circuit_breaker::CircuitBreaker;
use super::disk_errors::{DiskErrors, Subject};
use super::disk_space::DiskSpace;
use super::index::{Index, Key, TrackedRun};
use super::launcher::Launcher;
use super::metrics_recorder::MetricsRecorder;
use super::move_queue::{MOVES_MAX, MoveQueue, PlannedKind, PlannedMove};
use super::notifier::{EngineStatus, RunCounts};
use super::pending_outcomes::PendingOutcomes;
use super::pools::{Pool, Workers};
use super::pruner::Pruner;
use super::queues::Queues;
use super::retry_report::{RetryReporter, RetrySources};
use super::settings::Parts;
use super::signing_periods::SigningPeriods;

use crate::chain::Chain;
use crate::spool::{Folder, Run, Spool, SpoolError};
use crate::stage::submit::{JobState, SubmitContext};
use crate::stage::{Move, PastAttempts, Step, TaskKind, collect, deliver, fetch, misdated, submit};

/// Maximum number of due runs that are processed in one turn of the daemon's loop. It is much higher
/// than that of moves, because to decide on a run takes only microseconds.
const DUE_MAX: usize = 4096;

/// The state of the engine.
#[derive(Debug)]
pub(super) struct Engine {
    parts: Parts,
    index: Index,
    queues: Queues,
    moves: MoveQueue,
    /// The moves that the next call of [`Engine::make_requested`] makes, at most one for each run.
    requested: Vec<RequestedMove>,
    workers: Workers,
    breaker: CircuitBreaker,
    pending: PendingOutcomes,
    launcher: Launcher,
    periods: SigningPeriods,
    disk_space: DiskSpace,
    pruner: Pruner,
    errors: DiskErrors,
    retry_reporter: RetryReporter,
    metrics: MetricsRecorder,
    scan: ScanState,
    /// Where the engine's own threads send their results; without it, the engine does their work
    /// itself.
    events: Option<Sender<Event>>,
}

impl Engine {
    /// Returns an engine that has not read anything yet.
    pub(super) fn new(parts: Parts, workers: Workers) -> Engine {
        let started = parts.clock.now();
        let log = &parts.log;
        Engine {
            index: Index::new(started),
            queues: Queues::default(),
            moves: MoveQueue::default(),
            requested: Vec::new(),
            workers,
            breaker: CircuitBreaker::default(),
            pending: PendingOutcomes::default(),
            launcher: Launcher::default(),
            periods: SigningPeriods::new(started),
            disk_space: DiskSpace::new(),
            pruner: Pruner::new(parts.clock.running()),
            errors: DiskErrors::new(log.clone()),
            retry_reporter: RetryReporter::new(),
            metrics: MetricsRecorder::new(log.clone()),
            scan: ScanState::new(&parts),
            events: None,
            parts,
        }
    }

    /// Writes metrics to a file from now on.
    pub(super) fn enable_metrics(&mut self, path: PathBuf) {
        self.metrics.enable(path, self.parts.clock.now());
    }

    /// Reads from the spool when each job last succeeded, for the metrics.
    pub(super) fn read_last_successes(&mut self) {
        self.metrics.read_last_successes(&self.parts.spool);
    }

    /// Handles an event. Signals are handled by the daemon.
    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::TaskFinished(finished) => self.task_finished(*finished),
            Event::Hint(hint) => self.follow_hint(&hint),
            Event::RemovalPlanned(plan) => self.pruner.search_ended(plan, &self.parts.log),
            Event::DoneReviewed(found) => self.done_reviewed(found),
            Event::FinishedCounted(counts) => self.metrics.finished_counted(counts),
            Event::Stop | Event::Reload => {}
        }
    }

    /// Processes the runs that are due, makes moves and starts tasks, each as far as one turn
    /// allows; returns when to call this again.
    ///
    /// **Invariant.** Each kind of work has a limit of its own, so that no kind delays another.
    pub(super) fn process_due(&mut self) -> Option<Timestamp> {
        let now = self.parts.clock.now();
        // The outcomes of the tasks that have finished since the last turn.
        self.make_requested(now);
        self.retry_pending(now, MOVES_MAX);
        if self.index.next_due().is_some_and(|due| due <= now) {
            self.check_disk_space();
        }
        self.decide_due(now);
        self.serve_moves(now);
        // The moves may have made other runs due.
        self.decide_due(now);
        let mut is_work_left = false;
        for pool in [Pool::Deliver, Pool::Submit, Pool::Query, Pool::Fetch] {
            is_work_left |= self.serve_queue(pool, now);
        }
        let next_record = self.record_slots(now);
        self.update_error_marker();
        if is_work_left || !self.is_stopping() && !self.moves.is_empty() {
            return Some(now);
        }
        let next = [
            self.index.next_due(),
            self.pending.next_attempt(),
            self.launcher.next_retry(),
            next_record,
        ];
        next.into_iter().flatten().min()
    }

    fn decide_due(&mut self, now: Timestamp) {
        for _ in 0..DUE_MAX {
            if self.is_stopping() {
                return;
            }
            let Some(key) = self.index.pop_due(now) else { return };
            self.process(&key, now);
        }
    }

    /// Decides on the next step of a run: queues the run for a worker, plans a move, or waits.
    fn process(&mut self, key: &Key, now: Timestamp) {
        self.errors.clear(&Subject::Run(key.1.clone()));
        self.moves.cancel(key);
        let Some(run) = self.index.get(key).filter(|run| !run.attempts.busy) else { return };
        let folder = run.folder;
        match self.decide(key, run, now) {
            Ok(Step::Wait(until)) => self.index.schedule(key, until),
            // A move that is followed by a task waits for a worker like the task itself.
            Ok(Step::Start(kind) | Step::Move(Move { then: Some(kind), .. })) => {
                self.queue(key, &kind, now);
            }
            Ok(Step::Move(moved)) => self.plan(key, folder, PlannedKind::Move(moved)),
            Ok(Step::Reject(reason)) => self.plan(key, folder, PlannedKind::Reject(reason)),
            Err(error) => {
                error!(self.parts.log, "cannot determine the next step"; "run" => %key.1,
                    "error" => Chain(&error));
                self.put_off(key, now);
            }
        }
    }

    fn plan(&mut self, key: &Key, folder: Folder, kind: PlannedKind) {
        let owner = self.owner(key);
        self.moves.push(key, owner, PlannedMove { folder, kind });
    }

    /// Returns the next step of a run, as the stage of its folder decides.
    fn decide(
        &self,
        key: &Key,
        run: &TrackedRun,
        now: Timestamp,
    ) -> Result<Step, fetch::FetchError> {
        let (facts, attempts, settings) = (&run.facts, &run.attempts, &self.parts.settings);
        Ok(match run.folder {
            Folder::New => submit::decide(facts, &self.submit_context(key, run, now)),
            Folder::ActionInflight => misdated::decide(facts, now, attempts.not_before)
                .unwrap_or_else(|| {
                    collect::decide(facts, now, attempts.not_before, settings.fetch_giveup)
                }),
            Folder::Ready if now < attempts.not_before => Step::Wait(Some(attempts.not_before)),
            Folder::Ready => {
                let (disk, directory) = (self.parts.spool.disk(), &settings.directory);
                fetch::begin(facts, now, || fetch::document_path(disk, directory, facts))?
            }
            Folder::CommandInflight => {
                fetch::decide(facts, now, attempts.past(), settings.fetch_giveup)
            }
            Folder::Returned => match self.plan_deliveries(run, now) {
                deliver::DeliveryPlan::Reject(reason) => Step::Reject(reason),
                deliver::DeliveryPlan::Move(moved) => Step::Move(moved),
                deliver::DeliveryPlan::Start(due, next) => match due.into_iter().next() {
                    Some(plugin) => Step::Start(TaskKind::Deliver(plugin)),
                    None => Step::Wait(next),
                },
            },
            Folder::Invalid | Folder::ActionDone | Folder::CommandDone => Step::Wait(None),
        })
    }

    fn submit_context(&self, key: &Key, run: &TrackedRun, now: Timestamp) -> SubmitContext {
        let job = match run.facts.job() {
            None => JobState::Ready,
            Some(job) => self.parts.calendar.state(job),
        };
        SubmitContext {
            now,
            settle: self.parts.settings.settle,
            post_ended: run.attempts.post_ended,
            not_before: run.attempts.not_before,
            put_back: run.attempts.put_back,
            job,
            room: self.disk_space.has_room(),
            newer: self.index.newer(&key.1, &run.facts),
        }
    }

    fn plan_deliveries(&self, run: &TrackedRun, now: Timestamp) -> deliver::DeliveryPlan {
        let giveup = self.parts.settings.delivery_giveup;
        deliver::decide(&run.facts, now, giveup, |plugin| match run.attempts.plugins.get(plugin) {
            Some(attempts) if attempts.busy => None,
            Some(attempts) => Some(attempts.past()),
            None => Some(PastAttempts::NONE),
        })
    }

    /// Reads a run from the file that counts. If the run is not where the index says, updates the
    /// index and returns `None`.
    fn read_run(&mut self, key: &Key) -> Result<Option<Run>, SpoolError> {
        let run = self.parts.spool.settle(&key.1, key.0)?;
        let expected = self.index.get(key).map(|run| run.folder);
        match run {
            Some(run) if Some(run.folder()) == expected => Ok(Some(run)),
            Some(run) => {
                // Another process has moved it, possibly before any scan saw it in the folder that
                // the index says.
                self.run_found(run)?;
                Ok(None)
            }
            None => {
                self.index.forget(key);
                Ok(None)
            }
        }
    }

    /// Adds a run to the index if a stage acts on its folder, and removes it otherwise.
    fn track(&mut self, run: Run) {
        let now = self.parts.clock.now();
        let key = (run.folder().family(), run.record().id.clone());
        if run.folder().is_active() {
            self.index.put(run, now);
        } else {
            if run.folder() == Folder::ActionDone && self.events.is_some() {
                self.scan.expect_own_move(&key.1, run.stamp());
            }
            self.index.forget(&key);
        }
    }

    /// Makes everything that waits for a retry due now.
    pub(super) fn retry_now(&mut self) {
        let now = self.parts.clock.now();
        self.breaker.reset();
        self.index.retry_at(now);
        self.scan.unindexed.limit_waits(now);
        self.pending.retry_at(now);
        self.launcher.retry_at(now);
        self.errors.reset_log_intervals(now);
    }

    fn check_disk_space(&mut self) {
        if self.disk_space.update(&self.parts) {
            // Expired files may be filling the disk.
            self.pruner.search_soon();
        }
    }

    /// Removes expired files; returns when to call this again.
    pub(super) fn prune(&mut self, now: Timestamp, events: &Sender<Event>) -> Option<Timestamp> {
        let turn = self.pruner.turn(&self.parts, &self.index, now, events);
        if turn.has_completed {
            self.metrics.recount_finished();
        }
        turn.next
    }

    /// Writes the retry report if that is due; returns when it is due again.
    pub(super) fn write_retry_report(&mut self, now: Timestamp) -> Option<Timestamp> {
        let sources =
            RetrySources { index: &self.index, pending: &self.pending, breaker: &self.breaker };
        let due = self.retry_reporter.update(sources, &self.parts.spool, &mut self.errors, now);
        // This may be the only error, and the next turn may be far off.
        self.update_error_marker();
        due
    }

    /// Removes the retry report when the runner stops.
    pub(super) fn remove_retry_report(&mut self) {
        let now = self.parts.clock.now();
        self.retry_reporter.remove(&self.parts.spool, &mut self.errors, now);
    }

    /// Writes the metrics if that is due; returns when it is due again.
    pub(super) fn write_metrics(&mut self, now: Timestamp) -> Option<Timestamp> {
        let is_api_up = !self.breaker.is_tripped();
        self.metrics.write(&self.parts.spool, is_api_up, now, self.events.as_ref())
    }

    /// Updates the marker that shows `mig-runner status` whether the disk fails.
    fn update_error_marker(&mut self) {
        let is_work_blocked = !self.pending.is_empty() || self.launcher.has_failed();
        self.errors.update_marker(&self.parts.spool, is_work_blocked);
    }

    /// Returns the state of the engine for the service manager.
    pub(super) fn status(&self) -> EngineStatus {
        let (jobs, invalid_jobs) = self.parts.calendar.count();
        let faults = [
            (self.breaker.is_tripped(), "API or signing key unavailable"),
            (!self.disk_space.has_room(), "disk nearly full"),
            (!self.pending.is_empty(), "cannot write to the spool"),
            (self.parts.spool.disk().has_unsynced_folders(), "disk cannot sync"),
        ];
        EngineStatus {
            jobs,
            invalid_jobs,
            runs: RunCounts::of(&self.index),
            faults: faults
                .into_iter()
                .filter_map(|(is_present, fault)| is_present.then_some(fault))
                .collect(),
        }
    }

    /// Returns when the next slot or job scan is due.
    pub(super) fn next_job_event(&self) -> Option<Timestamp> {
        self.parts.calendar.next()
    }

    pub(super) fn spool_mut(&mut self) -> &mut Spool {
        &mut self.parts.spool
    }

    pub(super) fn workers_mut(&mut self) -> &mut Workers {
        &mut self.workers
    }

    /// Returns whether a stop was requested.
    fn is_stopping(&self) -> bool {
        self.workers.are_stopping()
    }

    /// Returns whether all workers are idle, so that a stop need not wait.
    pub(super) fn is_idle(&self) -> bool {
        self.workers.are_idle()
    }
}
