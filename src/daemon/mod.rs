//! The daemon: the engine's loop, the events that wake it, and an orderly stop.
//!
//! The engine has one thread, which makes every move. Helper threads fsync the moves of a turn, and
//! what depends on a move begins when the move is durable. The engine waits for messages on one channel
//! (hints, finished work and signals), and for the next due time. Correctness rests on the full scans
//! at start, after lost events and every `checkdirectory` seconds; hints only make the daemon react
//! sooner.
//!
//! **Failure.** The daemon ends only for faults that it cannot repair while running: its spool was
//! replaced, or another runner has locked its spool or its jobs. Any other fault concerns a single
//! entry, or passes.

mod action_search;
mod adoption;
mod attempts;
mod backlog;
mod circuit_breaker;
mod disk_errors;
mod disk_space;
mod done_review;
mod engine;
mod error;
mod expired_runs;
mod finished_counts;
mod index;
mod job_calendar;
mod job_scan;
mod launcher;
mod locks;
mod metrics_recorder;
mod move_log;
mod move_queue;
mod notifier;
mod pending_outcomes;
mod pools;
#[cfg(test)]
mod proof;
mod pruner;
mod queues;
mod request_slots;
mod retry_report;
mod settings;
mod signals;
mod signing_periods;
mod standby;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unindexed_files;
mod watched_jobs;
mod watches;
pub(crate) mod workers;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use slog::{Logger, info, warn};

use backlog::Backlog;
pub(crate) use disk_space::has_room;
use done_review::UncollectedFiles;
use engine::Engine;
pub(crate) use error::DaemonError;
use finished_counts::FinishedCounts;
pub(crate) use job_calendar::JobCalendar;
use locks::{LockState, Locks};
use notifier::ServiceNotifier;
use pools::Workers;
use pruner::RemovalPlan;
pub(crate) use settings::{Parts, Reopen, Settings};
pub(crate) use standby::{Awaited, Standby};
use workers::{FinishedTask, WorkerContext};

use crate::clock::{Clock, after, elapsed};
use crate::disk::FolderLock;
use crate::manager::Manager;
use crate::spool::SpoolError;
use crate::wake::{Hint, Stop};

/// Maximum time between two turns of the loop, so that a change of the clock is noticed.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Maximum time that a stop waits for workers: plugins have three seconds between TERM and KILL.
const STOP_SPAN: Duration = Duration::from_millis(4500);

/// An event that another thread sends to the engine's loop.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something may have changed: scan a path, or everything.
    Hint(Hint),
    /// A worker has finished a task.
    TaskFinished(Box<FinishedTask>),
    /// The search for expired files has ended.
    RemovalPlanned(RemovalPlan),
    /// The review of `action/done` has ended.
    DoneReviewed(Result<UncollectedFiles, SpoolError>),
    /// The finished runs have been counted.
    FinishedCounted(Result<FinishedCounts, SpoolError>),
    /// SIGTERM or SIGINT was received.
    Stop,
    /// SIGHUP was received: reopen the log, and scan and retry everything.
    Reload,
}

/// The daemon, ready to run.
#[derive(Debug)]
pub(crate) struct Daemon {
    engine: Engine,
    events: Receiver<Event>,
    backlog: Backlog,
    sender: Sender<Event>,
    stop: Stop,
    reopen: Reopen,
    clock: Arc<dyn Clock>,
    log: Logger,
    check_span: Duration,
    notifier: ServiceNotifier,
    locks: Locks,
}

impl Daemon {
    /// Returns a daemon that has not started yet.
    pub(crate) fn new(parts: Parts, context: WorkerContext, reopen: Reopen) -> Daemon {
        let (sender, events) = channel();
        let (stop, clock, log) =
            (context.stop.clone(), Arc::clone(&parts.clock), parts.log.clone());
        let check_span = parts.settings.check_span;
        let (parallel, plugins) = (parts.settings.parallel, parts.settings.plugins);
        let workers = Workers::new(Arc::new(context), sender.clone(), parallel, plugins);
        let engine = Engine::new(parts, workers);
        let notifier = ServiceNotifier::new(Manager::none());
        let locks = Locks::default();
        let backlog = Backlog::default();
        Daemon {
            engine,
            events,
            backlog,
            sender,
            stop,
            reopen,
            clock,
            log,
            check_span,
            notifier,
            locks,
        }
    }

    /// Writes metrics to a file.
    pub(crate) fn with_metrics(mut self, path: PathBuf) -> Daemon {
        self.engine.enable_metrics(path);
        self
    }

    /// Notifies a service manager.
    pub(crate) fn with_manager(self, manager: Manager) -> Daemon {
        Daemon { notifier: ServiceNotifier::new(manager), ..self }
    }

    /// Keeps the lock on the jobs folder, and checks it while running.
    pub(crate) fn with_jobs_lock(mut self, jobs: FolderLock) -> Daemon {
        self.locks.hold_jobs(jobs);
        self
    }

    /// Runs until a stop is requested.
    ///
    /// # Errors
    /// The daemon cannot start, or its spool or jobs were replaced.
    pub(crate) fn run(mut self) -> Result<(), DaemonError> {
        signals::listen(self.sender.clone(), self.stop.clone())?;
        self.engine.watch(self.sender.clone());
        self.engine.start()?;
        self.engine.read_last_successes();
        info!(self.log, "ready");
        self.notifier.ready(|| self.engine.status());
        let mut next_scan = after(self.clock.now(), self.check_span);
        while !self.stop.is_requested() {
            self.check_locks()?;
            let now = self.clock.now();
            // The second condition: a clock that was set back must not delay the next scan.
            if now >= next_scan || after(now, self.check_span) < next_scan {
                self.engine.scan_everything(now);
                next_scan = after(now, self.check_span);
            }
            let until = self.turn(now).map_or(next_scan, |until| until.min(next_scan));
            let wait_max = self.notifier.turn(|| self.engine.status());
            let until = if self.backlog.is_empty() { until } else { now };
            let first = self.wait(until, wait_max);
            for event in self.backlog.next(first.into_iter().chain(self.events.try_iter())) {
                self.handle(event);
            }
        }
        self.finish();
        Ok(())
    }

    /// Does everything that is due; returns when something is due again.
    fn turn(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.engine.launch_due(now);
        self.engine.recheck_files(now);
        self.engine.rescan_rejected_jobs(now);
        let next = [
            self.engine.process_due(),
            self.engine.write_retry_report(now),
            self.engine.prune(now, &self.sender),
            self.engine.write_metrics(now),
            self.engine.next_recheck(),
            self.engine.next_job_event(),
        ];
        next.into_iter().flatten().min()
    }

    /// Waits for an event until `until`, but no longer than `wait_max`.
    fn wait(&self, until: Timestamp, wait_max: Option<Duration>) -> Option<Event> {
        let wait_max = wait_max.map_or(WAIT_MAX, |wait_max| wait_max.min(WAIT_MAX));
        let span = elapsed(self.clock.now(), until).min(wait_max);
        self.events.recv_timeout(span).ok()
    }

    /// Handles an event. During a stop, only finished tasks are handled.
    fn handle(&mut self, event: Event) {
        match event {
            Event::Stop => self.stop.request(),
            Event::TaskFinished(_) => self.engine.handle(event),
            _ if self.stop.is_requested() => {}
            Event::Reload => {
                self.notifier.reloading();
                (self.reopen.0)();
                info!(self.log, "reloading; retrying everything now");
                self.engine.reload();
                self.notifier.ready(|| self.engine.status());
            }
            event => self.engine.handle(event),
        }
    }

    /// Checks that the spool and the jobs are still this runner's.
    ///
    /// # Errors
    /// The spool was replaced, or another runner has locked it or the jobs.
    fn check_locks(&mut self) -> Result<(), DaemonError> {
        match self.locks.check(self.engine.spool_mut(), &self.log) {
            LockState::Held => Ok(()),
            LockState::JobsReplaced => {
                self.engine.handle(Event::Hint(Hint::Everything));
                Ok(())
            }
            LockState::SpoolLost(source) => {
                self.abandon();
                Err(DaemonError::Lost { source })
            }
            LockState::JobsLost(path) => {
                self.stop.request();
                self.finish();
                Err(DaemonError::JobsHeld { path })
            }
        }
    }

    /// Waits for the workers within the time limit for a stop; the next start resumes the rest.
    fn finish(&mut self) {
        info!(self.log, "stopping");
        self.notifier.stopping();
        self.engine.make_requested(self.clock.now());
        self.await_workers(|daemon, event| {
            daemon.handle(event);
            daemon.engine.make_requested(daemon.clock.now());
        });
        if !self.engine.is_idle() {
            warn!(self.log, "stop timeout exceeded; the next start resumes unfinished work");
        }
        self.engine.record_pending();
        self.engine.record_all_slots();
        self.engine.workers_mut().end_leftovers();
        self.engine.remove_retry_report();
        info!(self.log, "stopped");
    }

    /// Ends the workers without recording their outcomes.
    fn abandon(&mut self) {
        self.notifier.stopping();
        self.stop.request();
        self.await_workers(|daemon, event| {
            if let Event::TaskFinished(finished) = event {
                daemon.engine.workers_mut().ended(&finished.task.kind);
            }
        });
        self.engine.workers_mut().end_leftovers();
    }

    /// Handles events until all workers are idle or the time limit for a stop has passed.
    fn await_workers(&mut self, handle: impl Fn(&mut Daemon, Event)) {
        let begun = Instant::now();
        while !self.engine.is_idle() {
            let Some(left) = STOP_SPAN.checked_sub(begun.elapsed()) else { break };
            match self.events.recv_timeout(left) {
                Ok(event) => handle(self, event),
                Err(_) => break,
            }
        }
    }
}
