//! The scheduler: it takes actions up, sends commands, and collects the answers.
//!
//! ```text
//! action/new ──▶ action/inflight ──▶ action/done        pending, scheduled, preparing, inflight, completed
//!     └────────▶ action/invalid                         invalid
//! command/ready ──▶ command/inflight ──▶ command/returned ──▶ command/done
//! ```
//!
//! One run of [`Scheduler::collect`] looks at each folder once and does all that is due.
//! It remembers nothing but which commands the agent has in hand.
//!
//! **Invariants.** What a step needs is on the disk before the step that relies on
//! it: an action is in `new` before the database calls it scheduled, commands are in
//! the database before they are in `ready`, an answer is in `returned` before the
//! agent's copy is forgotten. Each step may be repeated. So a scheduler that was
//! killed anywhere goes on: [`Scheduler::recover`] makes the files again that a row
//! should have, and the next run does the rest.
//!
//! An action whose target selects no agent stays in `new` until half of its period has passed: an agent
//! may be heard again, for instance after a suspend.
//!
//! **Failure.** An entry that cannot be handled is reported once, holds up no other,
//! and is tried again at the next run.

mod actions;
mod commands;
mod prune;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use jiff::Timestamp;

use super::retention::Retention;
use super::spool::{Name, Place, Spool};
use super::view::{self, ViewError};
use crate::agent::{Done, Work};
use crate::chain::Chain;
use crate::clock::{Clock, before};
use crate::data::{ActionRow, ActionStatus, CommandRow, DataError, Id, Ids, Store};
use crate::disk::DiskError;
use crate::manager::Pulse;
use crate::wake::Stop;

/// How often the scheduler looks.
const PERIOD_SPAN: Duration = Duration::from_secs(1);
/// How many heartbeats an agent may miss before it is idle.
const HEARTBEATS_MISSED_MAX: u32 = 5;

/// Why an entry was not handled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScheduleError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Data(#[from] DataError),
    /// A row is damaged.
    #[error(transparent)]
    View(#[from] ViewError),
    /// JSON cannot be written, or a file of the spool holds none.
    #[error("this is not the JSON of a command")]
    Json(#[from] serde_json::Error),
    /// A file has no row.
    #[error("the database does not know it")]
    Unknown,
    /// The file of a command has the status of none.
    #[error("its status is none of a command that is done")]
    Status,
}

/// What wakes the scheduler before its time.
#[derive(Debug)]
pub(crate) enum Event {
    /// The agent is done with a command.
    Done(Done),
    /// The service manager wants to see from now on that the scheduler goes round.
    Watched(Pulse),
    Stop,
}

/// What the scheduler goes by.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// How often an agent is heard.
    pub(crate) heartbeat: Duration,
    /// After what silence nobody waits for an agent any more.
    pub(crate) silence: Duration,
    /// Where the one agent is reached that runs commands.
    pub(crate) place: String,
    /// How long what is over is kept.
    pub(crate) retention: Retention,
}

/// What the scheduler works with.
#[derive(Debug)]
pub(crate) struct Scheduler {
    spool: Spool,
    store: Arc<Store>,
    ids: Arc<Ids>,
    clock: Arc<dyn Clock>,
    rules: Rules,
    work: Sender<Work>,
    /// When it was last looked for what is kept no longer.
    pruned: Option<Timestamp>,
    /// Commands that the agent has and will answer.
    in_hand: HashSet<Id>,
    /// Answers that could not be written yet.
    unwritten: Vec<Done>,
    /// What was last told of an entry that could not be handled.
    told: HashMap<Name, String>,
    /// Asked for when the platform stops.
    stop: Stop,
    log: slog::Logger,
}

impl Scheduler {
    /// Returns a scheduler that sends commands to `work`.
    pub(crate) fn new(
        spool: Spool,
        store: Arc<Store>,
        ids: Arc<Ids>,
        clock: Arc<dyn Clock>,
        rules: Rules,
        work: Sender<Work>,
        log: slog::Logger,
    ) -> Scheduler {
        Scheduler {
            spool,
            store,
            ids,
            clock,
            rules,
            work,
            pruned: None,
            in_hand: HashSet::new(),
            unwritten: Vec::new(),
            told: HashMap::new(),
            stop: Stop::new(),
            log,
        }
    }

    /// Returns the scheduler, which begins no more steps once `stop` was asked for.
    pub(crate) fn stopped_by(self, stop: Stop) -> Scheduler {
        Scheduler { stop, ..self }
    }

    /// Works until it is told to stop.
    pub(crate) fn run(mut self, events: &Receiver<Event>) {
        let mut pulse = None;
        while !self.stop.asked() {
            self.collect();
            let beat = pulse.as_mut().and_then(Pulse::beat);
            match events.recv_timeout(beat.map_or(PERIOD_SPAN, |beat| beat.min(PERIOD_SPAN))) {
                Ok(Event::Done(done)) => self.unwritten.push(done),
                Ok(Event::Watched(by)) => pulse = Some(by),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // What the agent has answered already is kept.
        let answered = events.try_iter().filter_map(|event| match event {
            Event::Done(done) => Some(done),
            Event::Stop | Event::Watched(_) => None,
        });
        self.unwritten.extend(answered);
        self.write_answers(self.clock.now());
    }

    /// Makes the files that the database's actions and commands should have: some may be
    /// missing after a crash.
    pub(crate) fn recover(&self) -> Result<(), ScheduleError> {
        for action in self.store.unfinished_actions()? {
            let name = Name::action(action.id);
            if let Some(damage) = actions::without_id(&action) {
                slog::error!(self.log, "action cannot be handled"; "error" => %Chain(&damage));
                continue;
            }
            let is_begun = action.status == ActionStatus::Inflight.as_str();
            let has = |place| self.spool.has(place, name);
            if !has(Place::ActionNew)? && !has(Place::ActionInflight)? {
                let place = if is_begun { Place::ActionInflight } else { Place::ActionNew };
                self.spool.create(place, name, &self.action_text(&action)?)?;
            }
            if is_begun {
                self.ready(&action)?;
            }
        }
        Ok(())
    }

    /// Does all that is due.
    pub(crate) fn collect(&mut self) {
        let now = self.clock.now();
        let since = before(now, self.rules.heartbeat.saturating_mul(HEARTBEATS_MISSED_MAX));
        let silenced = self.store.mark_agents_idle(since);
        let retired = self.store.mark_agents_offline(before(now, self.rules.silence));
        if let Err(error) = silenced.and(retired) {
            slog::error!(self.log, "agents cannot be looked at"; "error" => %Chain(&error));
        }
        if !self.stop.asked() {
            self.take_up(now);
        }
        self.each(Place::ActionNew, |scheduler, name| scheduler.send(name, now));
        self.write_answers(now);
        self.each(Place::CommandReady, |scheduler, name| {
            scheduler.spool.shift(name, Place::CommandReady, Place::CommandInflight)?;
            Ok(())
        });
        self.each(Place::CommandInflight, |scheduler, name| scheduler.wait(name, now));
        self.each(Place::CommandReturned, Scheduler::keep_answer);
        self.each(Place::ActionInflight, |scheduler, name| scheduler.complete(name, now));
        if !self.stop.asked() {
            self.prune(now);
        }
    }

    /// Does `step` with each entry of a folder until a stop; a failure is logged and does not end the round.
    fn each(
        &mut self,
        place: Place,
        mut step: impl FnMut(&mut Scheduler, Name) -> Result<(), ScheduleError>,
    ) {
        let names = match self.spool.list(place) {
            Ok(names) => names,
            Err(error) => {
                slog::error!(self.log, "folder cannot be read"; "folder" => %place, "error" => %Chain(&error));
                return;
            }
        };
        for name in names {
            if self.stop.asked() {
                return;
            }
            match step(self, name) {
                Ok(()) => drop(self.told.remove(&name)),
                Err(error) => self.tell(place, name, &error),
            }
        }
    }

    /// Tells what is wrong with an entry, once.
    fn tell(&mut self, place: Place, name: Name, error: &ScheduleError) {
        let text = Chain(error).to_string();
        if self.told.get(&name) != Some(&text) {
            slog::error!(self.log, "entry cannot be handled";
                "folder" => %place, "entry" => %name, "error" => &text);
            self.told.insert(name, text);
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

#[cfg(test)]
mod ends;
#[cfg(test)]
mod odd;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod waiting;
