//! The daemon: the engine's loop, what wakes it, and an ordered stop.
//!
//! One thread, the engine's, makes every move. It waits on one channel, through
//! which come hints, finished work and signals, and on the clock. Full scans at
//! start, after lost events and every `checkdirectory` seconds are what
//! correctness rests on; hints only make it quick.
//!
//! **Failure.** Only what cannot be mended while running ends the daemon: a spool
//! that is not ours, another runner. All else concerns one entry, or passes.

mod calendar;
mod circuit_breaker;
mod claiming;
mod dating;
mod delivering;
mod engine;
mod holding;
mod index;
mod launching;
mod measuring;
mod moves;
mod notifying;
mod oldest;
mod outcome;
#[cfg(test)]
mod proof;
mod pruning;
mod queue;
mod retry_report;
mod review;
mod room;
mod scan;
mod searching;
mod signals;
mod standby;
mod stopping;
mod tally;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trouble;
mod watching;
pub(crate) mod workers;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use jiff::Timestamp;
use slog::{Logger, info, warn};

pub(crate) use calendar::Calendar;
use engine::Engine;
use notifying::ServiceNotifier;
pub(crate) use room::has_room;
pub(crate) use signals::SignalError;
pub(crate) use standby::{Awaited, Standby};
use workers::{Done, WorkerContext, Workers};

use crate::clock::{Clock, after};
use crate::config::runner::RetentionSettings;
use crate::disk::PathLock;
use crate::manager::Manager;
use crate::metrics::Metrics;
use crate::spool::{Spool, SpoolError};
use crate::stage::launch::Defaults;
use crate::wake::{Hint, Stop};

/// How long a stop waits for what is under way: plugins have three seconds from TERM to KILL.
const STOP_SPAN: Duration = Duration::from_millis(4500);

/// What comes through the engine's one door.
#[derive(Debug)]
pub(crate) enum Event {
    /// It is worth looking somewhere.
    Hint(Hint),
    /// A worker is back.
    Done(Box<Done>),
    /// What is old was looked for.
    Planned(pruning::Plan),
    /// `action/done` was reviewed.
    Reviewed(Result<review::Found, SpoolError>),
    /// The finished runs were counted.
    Counted(Result<tally::Finished, SpoolError>),
    /// The daemon shall end.
    Stop,
    /// The log is to be reopened, and all looked at again.
    Reload,
}

/// What the engine needs to know of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The runner's directory, in full.
    pub(crate) directory: PathBuf,
    /// How long between two full scans.
    pub(crate) check_span: Duration,
    /// How long an unanswered POST may still take effect.
    pub(crate) settle: Duration,
    /// How long a fetch is tried.
    pub(crate) fetch_giveup: Duration,
    /// How long a delivery is tried.
    pub(crate) delivery_giveup: Duration,
    /// What holds for runs unless their job says otherwise.
    pub(crate) defaults: Defaults,
    /// How many workers talk to the API, in each of its two ways.
    pub(crate) parallel: usize,
    /// How many plugins run at once.
    pub(crate) plugins: usize,
    /// How long what is finished is kept.
    pub(crate) retention: RetentionSettings,
}

/// What the engine works with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) spool: Spool,
    pub(crate) calendar: Calendar,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Logger,
}

/// The daemon, ready to run.
#[derive(Debug)]
pub(crate) struct Daemon {
    engine: Engine,
    events: Receiver<Event>,
    sender: Sender<Event>,
    stop: Stop,
    reopen: Reopen,
    clock: Arc<dyn Clock>,
    log: Logger,
    check_span: Duration,
    notifying: ServiceNotifier,
    /// The lock of the folder of all jobs.
    jobs: Option<PathLock>,
}

pub(crate) struct Reopen(pub(crate) Box<dyn Fn() + Send>);

impl std::fmt::Debug for Reopen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reopen")
    }
}

impl Daemon {
    /// Puts a daemon together.
    pub(crate) fn new(parts: Parts, context: WorkerContext, reopen: Reopen) -> Daemon {
        let (sender, events) = channel();
        let (stop, clock, log) =
            (context.stop.clone(), Arc::clone(&parts.clock), parts.log.clone());
        let check_span = parts.settings.check_span;
        let (parallel, plugins) = (parts.settings.parallel, parts.settings.plugins);
        let workers = Workers::new(Arc::new(context), sender.clone(), parallel, plugins);
        let engine = Engine::new(parts, workers);
        let notifying = ServiceNotifier::new(Manager::none());
        Daemon {
            engine,
            events,
            sender,
            stop,
            reopen,
            clock,
            log,
            check_span,
            notifying,
            jobs: None,
        }
    }

    /// Has metrics written to a file.
    pub(crate) fn measured(mut self, path: PathBuf) -> Daemon {
        self.engine.metrics = Some(Metrics::new(path, self.clock.now()));
        self
    }

    /// Has a service manager told how it goes.
    pub(crate) fn managed(self, manager: Manager) -> Daemon {
        Daemon { notifying: ServiceNotifier::new(manager), ..self }
    }

    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// It could not begin, or its spool was replaced.
    pub(crate) fn run(mut self) -> Result<(), DaemonError> {
        signals::listen(self.sender.clone(), self.stop.clone())?;
        self.engine.watch(self.sender.clone());
        self.engine.begin()?;
        self.engine.measure_past();
        info!(self.log, "ready");
        self.notifying.ready(&self.engine);
        let mut next_scan = after(self.clock.now(), self.check_span);
        while !self.stop.asked() {
            self.keep_hold()?;
            let now = self.clock.now();
            // A clock that was set back must not put the next scan off.
            if now >= next_scan || after(now, self.check_span) < next_scan {
                self.engine.look_everywhere(now);
                next_scan = after(now, self.check_span);
            }
            let until = self.turn(now).map_or(next_scan, |until| until.min(next_scan));
            let span_max = self.notifying.turn(&self.engine);
            let Some(first) = self.engine.wait(&self.events, until, span_max) else { continue };
            let rest: Vec<Event> = self.events.try_iter().collect();
            for event in std::iter::once(first).chain(rest) {
                self.handle(event);
            }
        }
        self.finish();
        Ok(())
    }

    /// Does all that is due; returns when something is due again.
    fn turn(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.engine.launch_due(now);
        self.engine.look_at_young(now);
        self.engine.look_at_bad_jobs(now);
        let due = self.engine.turn();
        let told = self.engine.write_retry_report(now);
        let pruned = self.engine.prune(now, &self.sender);
        let metrics = self.engine.write_metrics(now);
        [due, told, pruned, metrics, self.engine.next_young(), self.engine.parts.calendar.next()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Handles an event; during a stop only what workers bring back counts.
    fn handle(&mut self, event: Event) {
        match event {
            Event::Done(done) => self.engine.done(*done),
            Event::Stop => self.stop.ask(),
            _ if self.stop.asked() => {}
            Event::Hint(hint) => self.engine.hear(&hint),
            Event::Planned(plan) => self.engine.planned(plan),
            Event::Reviewed(found) => self.engine.reviewed(found),
            Event::Counted(finished) => self.engine.counted(finished),
            Event::Reload => {
                self.notifying.reloading();
                (self.reopen.0)();
                info!(self.log, "reloading: the log is reopened, all that waits is tried");
                self.engine.try_all_now();
                self.engine.review.renew();
                self.engine.look_everywhere(self.clock.now());
                self.notifying.ready(&self.engine);
            }
        }
    }

    /// Waits for what is under way as long as a stop may take; the rest is settled at the next start.
    fn finish(&mut self) {
        info!(self.log, "stopping");
        self.notifying.stopping();
        let begun = std::time::Instant::now();
        while !self.engine.is_quiet() {
            let Some(left) = STOP_SPAN.checked_sub(begun.elapsed()) else { break };
            match self.events.recv_timeout(left) {
                Ok(event) => self.handle(event),
                Err(_) => break,
            }
        }
        if !self.engine.is_quiet() {
            warn!(self.log, "work under way is left to the next start");
        }
        self.engine.write_held();
        self.engine.workers.end_leftovers();
        self.engine.remove_retry_report();
        info!(self.log, "stopped");
    }
}

/// Why the daemon could not begin, or go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// The spool could not be read.
    #[error("cannot begin")]
    Spool {
        #[from]
        source: SpoolError,
    },
    /// The spool is no longer this runner's.
    #[error("cannot go on")]
    Lost { source: SpoolError },
    /// Another runner has locked the folder that is in the place of the jobs.
    #[error("another runner uses the jobs in {}: stop it first", path.display())]
    JobsHeld {
        /// The folder of all jobs.
        path: PathBuf,
    },
    /// Signals could not be caught.
    #[error(transparent)]
    Signals {
        #[from]
        source: SignalError,
    },
}
