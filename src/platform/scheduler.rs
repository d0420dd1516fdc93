//! The scheduler: accepts new actions, sends commands to agents, and saves their answers.
//!
//! ```text
//! action/new ──▶ action/inflight ──▶ action/done        pending, scheduled, preparing, inflight, completed
//!     └────────▶ action/invalid                         invalid
//! command/ready ──▶ command/inflight ──▶ command/returned ──▶ command/done
//! ```
//!
//! One call of [`Scheduler::collect`] scans each folder once and executes every step that is due.
//! The only state in memory is the set of commands that agents have, and the messages from the
//! relay that are not saved yet.
//!
//! **Invariants.** What a step needs is on disk before the step that relies on it: an action is in
//! `new` before the database marks it scheduled, commands are in the database before they are in
//! `ready`, an answer is in `returned` before the scheduler removes the command from `inflight`.
//! A command to an agent that the relay does not reach is in the database only, until it expires.
//! Each step can be repeated. Therefore a scheduler that was killed at any point can resume:
//! [`Scheduler::recover`] creates again the files that the database's rows should have, and the
//! next scan does the rest.
//!
//! An action whose target selects no agent stays in `new` until half of its period has passed: an
//! agent may come online, for instance after a suspend.
//!
//! **Failure.** An entry that cannot be processed is logged once, delays no other entry, and is
//! tried again at the next scan.

mod actions;
mod commands;
mod failure_log;
mod heartbeats;
mod prune;
mod selection;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use failure_log::{FailureLog, Subject};
use jiff::Timestamp;

use super::retention::Retention;
use super::signers::Signers;
use super::spool::{EntryName, Spool, SpoolFolder};
use super::view::{self, ViewError};
use crate::chain::Chain;
use crate::clock::{Clock, before};
use crate::data::{ActionRow, ActionStatus, CommandRow, DataError, Id, Ids, InvalidColumns, Store};
use crate::disk::DiskError;
use crate::manager::Watchdog;
use crate::relay::{AgentMessage, Answer, CommandSender, Heartbeat, Inbox, RelayClosed};
use crate::wake::Stop;

/// Time between two scans if no event comes.
const SCAN_PERIOD: Duration = Duration::from_secs(1);
/// Number of heartbeats that an agent may miss before its status is idle.
const HEARTBEATS_MISSED_MAX: u32 = 5;

/// Why an entry was not processed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScheduleError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Data(#[from] DataError),
    /// A row is damaged.
    #[error(transparent)]
    View(#[from] ViewError),
    #[error("columns in the database cannot be read: {0}")]
    Columns(InvalidColumns),
    /// JSON cannot be encoded, or a file of the spool is not the JSON of a command.
    #[error("not the JSON of a command")]
    Json(#[from] serde_json::Error),
    /// The database has no row for a file of the spool.
    #[error("not in the database")]
    Unknown,
    /// The file of an answered command has another status.
    #[error("status is not that of an answered command")]
    Status,
}

/// What wakes the scheduler before its next scan.
#[derive(Debug)]
pub(crate) enum Event {
    FromAgent(AgentMessage),
    /// From now on the scheduler feeds the service manager's watchdog.
    Watched(Watchdog),
    Stop,
}

impl Inbox for Sender<Event> {
    fn deliver(&self, message: AgentMessage) -> Result<(), RelayClosed> {
        self.send(Event::FromAgent(message)).map_err(|_| RelayClosed)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct SchedulerSettings {
    /// Time between two heartbeats of an agent.
    pub(crate) heartbeat_period: Duration,
    /// Time since the last heartbeat after which an agent is offline.
    pub(crate) offline_after: Duration,
    pub(crate) retention: Retention,
}

#[derive(Debug)]
pub(crate) struct Scheduler {
    spool: Spool,
    store: Arc<Store>,
    ids: Arc<Ids>,
    clock: Arc<dyn Clock>,
    settings: SchedulerSettings,
    commands: Box<dyn CommandSender>,
    last_pruned: Option<Timestamp>,
    /// Commands that an agent has and will answer.
    sent_commands: HashSet<Id>,
    /// Answers that are not saved yet.
    unsaved_answers: Vec<Answer>,
    /// The latest heartbeat of each agent that is not saved yet, by queue.
    unsaved_heartbeats: HashMap<String, Heartbeat>,
    /// The ids of the agents that have sent a heartbeat since the start, by queue.
    agents: HashMap<String, Id>,
    /// The signers whose withdrawn keys are removed.
    signers: Option<Arc<Signers>>,
    failures: FailureLog,
    stop: Stop,
    log: slog::Logger,
}

impl Scheduler {
    /// Returns a scheduler that sends its commands to `commands`.
    pub(crate) fn new(
        spool: Spool,
        store: Arc<Store>,
        ids: Arc<Ids>,
        clock: Arc<dyn Clock>,
        settings: SchedulerSettings,
        commands: Box<dyn CommandSender>,
        log: slog::Logger,
    ) -> Scheduler {
        Scheduler {
            spool,
            store,
            ids,
            clock,
            settings,
            commands,
            last_pruned: None,
            sent_commands: HashSet::new(),
            unsaved_answers: Vec::new(),
            unsaved_heartbeats: HashMap::new(),
            agents: HashMap::new(),
            signers: None,
            failures: FailureLog::new(log.clone()),
            stop: Stop::new(),
            log,
        }
    }

    /// Uses `stop` as the flag that ends the scheduler: it begins no more steps once the flag is
    /// set.
    pub(crate) fn stop_on(&mut self, stop: Stop) {
        self.stop = stop;
    }

    /// Makes the scheduler remove the keys of `signers` that are withdrawn.
    pub(crate) fn remove_keys_of(&mut self, signers: Arc<Signers>) {
        self.signers = Some(signers);
    }

    /// Runs until the stop flag is set or [`Event::Stop`] arrives.
    pub(crate) fn run(mut self, events: &Receiver<Event>) {
        let mut watchdog = None;
        while !self.stop.is_requested() {
            self.collect();
            let feed_in = watchdog.as_mut().and_then(Watchdog::feed);
            let wait = feed_in.map_or(SCAN_PERIOD, |feed_in| feed_in.min(SCAN_PERIOD));
            match events.recv_timeout(wait) {
                Ok(Event::FromAgent(message)) => self.receive(message),
                Ok(Event::Watched(by)) => watchdog = Some(by),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // Answers that have arrived are saved.
        for event in events.try_iter() {
            if let Event::FromAgent(message) = event {
                self.receive(message);
            }
        }
        self.save_answers(self.clock.now());
    }

    fn receive(&mut self, message: AgentMessage) {
        match message {
            AgentMessage::Answer(answer) => self.unsaved_answers.push(answer),
            AgentMessage::Heartbeat(heartbeat) => {
                self.unsaved_heartbeats.insert(heartbeat.queue.clone(), heartbeat);
            }
        }
    }

    /// Creates the files that the database's actions and commands should have and that a crash may
    /// have lost.
    pub(crate) fn recover(&self) -> Result<(), ScheduleError> {
        for action in self.store.unfinished_actions()? {
            let name = EntryName::action(action.id);
            if let Some(damage) = without_id(&action) {
                slog::error!(self.log, "cannot process action"; "error" => %Chain(&damage));
                continue;
            }
            let is_begun = action.status == ActionStatus::Inflight.as_str();
            let has = |folder| self.spool.has(folder, name);
            if !has(SpoolFolder::ActionNew)? && !has(SpoolFolder::ActionInflight)? {
                let folder =
                    if is_begun { SpoolFolder::ActionInflight } else { SpoolFolder::ActionNew };
                self.spool.create(folder, name, &self.action_text(&action)?)?;
            }
            if is_begun {
                self.ready(&action)?;
            }
        }
        Ok(())
    }

    /// Executes every step that is due.
    pub(crate) fn collect(&mut self) {
        let now = self.clock.now();
        self.save_heartbeats();
        let period = self.settings.heartbeat_period;
        let idle_since = before(now, period.saturating_mul(HEARTBEATS_MISSED_MAX));
        let silenced = self.store.mark_agents_idle(idle_since);
        let retired = self.store.mark_agents_offline(before(now, self.settings.offline_after));
        self.failures.note(Subject::AgentStatus, silenced.and(retired));
        if !self.stop.is_requested() {
            self.accept_pending(now);
        }
        self.each(SpoolFolder::ActionNew, |scheduler, name| scheduler.send(name, now));
        self.save_answers(now);
        self.each(SpoolFolder::CommandReady, |scheduler, name| {
            let (from, to) = (SpoolFolder::CommandReady, SpoolFolder::CommandInflight);
            Ok(scheduler.spool.shift(name, from, to)?)
        });
        self.each(SpoolFolder::CommandInflight, |scheduler, name| {
            scheduler.send_or_expire(name, now)
        });
        self.each(SpoolFolder::CommandReturned, Scheduler::store_answer);
        self.each(SpoolFolder::ActionInflight, |scheduler, name| scheduler.complete(name, now));
        if !self.stop.is_requested() {
            self.prune(now);
        }
    }

    /// Calls `step` with each entry of a folder until a stop. A failure is logged and does not end
    /// the scan.
    fn each(
        &mut self,
        folder: SpoolFolder,
        mut step: impl FnMut(&mut Scheduler, EntryName) -> Result<(), ScheduleError>,
    ) {
        let listed = self.spool.list(folder);
        let Some(names) = self.failures.note(Subject::Folder(folder), listed) else { return };
        self.failures.keep_entries(folder, &names);
        for name in names {
            if self.stop.is_requested() {
                return;
            }
            let done = step(self, name);
            self.failures.note(Subject::Entry(folder, name), done);
        }
    }

    fn action_text(&self, action: &ActionRow) -> Result<String, ScheduleError> {
        let signers = self.store.signers(action.id)?;
        Ok(view::action(action, &signers, &self.store.command_counts(action.id)?).to_json())
    }

    fn command_text(
        &self,
        command: &CommandRow,
        action: &ActionRow,
    ) -> Result<String, ScheduleError> {
        let agent = self.store.agent(command.agent)?.ok_or(ScheduleError::Unknown)?;
        let (signers, counters) =
            (self.store.signers(action.id)?, self.store.command_counts(action.id)?);
        let command = view::command(command, action, &signers, &counters, &agent)?;
        Ok(serde_json::to_string(&command)?)
    }
}

/// Returns the error of an action that cannot be processed because its id cannot be read.
fn without_id(action: &ActionRow) -> Option<ScheduleError> {
    let damage = || ViewError::Unreadable { id: action.id, invalid: action.invalid.clone() };
    action.invalid.is_unreadable("id").then(|| damage().into())
}

#[cfg(test)]
mod crashes;
#[cfg(test)]
mod damaged_rows;
#[cfg(test)]
mod no_agent_yet;
#[cfg(test)]
mod other_hosts;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
