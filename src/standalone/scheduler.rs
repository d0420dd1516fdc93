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
//! **Failure.** An entry that cannot be handled is reported once, holds up no other,
//! and is tried again at the next run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::agent::{Done, Work, empty_results};
use super::spool::{Name, Place, Spool};
use super::target::{Target, TargetError};
use super::view::{self, ViewError};
use crate::chain::Chain;
use crate::clock::{Clock, after, before};
use crate::data::{ActionRow, ActionStatus, CommandRow, CommandStatus, DataError, Id, Ids, Store};
use crate::disk::DiskError;

/// How often the scheduler looks.
const PERIOD_SPAN: Duration = Duration::from_secs(1);
/// How long after its end an action waits for an answer that the agent is about to give:
/// a module that was ended at that moment is told as such.
const ANSWER_SPAN: Duration = Duration::from_secs(2);
/// How many heartbeats an agent may miss before it is idle.
const HEARTBEATS_MISSED_MAX: u32 = 5;

/// Why an entry was not handled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScheduleError {
    /// The spool fails.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The database fails.
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

/// Why an action will not be sent.
#[derive(Debug, thiserror::Error)]
enum Invalid {
    #[error("it expired before it could be sent")]
    Expired,
    #[error("its target cannot be used")]
    Target(#[from] TargetError),
    #[error("its target selects no agent that is online or idle")]
    Nobody,
}

/// What wakes the scheduler before its time.
#[derive(Debug)]
pub(super) enum Event {
    /// The agent is done with a command.
    Done(Done),
    /// The platform stops.
    Stop,
}

/// What the scheduler works with.
#[derive(Debug)]
pub(super) struct Scheduler {
    spool: Spool,
    store: Arc<Store>,
    ids: Arc<Ids>,
    clock: Arc<dyn Clock>,
    heartbeat: Duration,
    work: Sender<Work>,
    /// Commands that the agent has and will answer.
    in_hand: HashSet<Id>,
    /// Answers that could not be written yet.
    unwritten: Vec<Done>,
    /// What was last told of an entry that could not be handled.
    told: HashMap<Name, String>,
    log: slog::Logger,
}

/// What the file of a command says of its answer.
#[derive(Deserialize)]
struct Returned {
    status: String,
    results: Box<RawValue>,
    finishtime: Timestamp,
}

impl Scheduler {
    /// Returns a scheduler that sends commands to `work`.
    pub(super) fn new(
        spool: Spool,
        store: Arc<Store>,
        ids: Arc<Ids>,
        clock: Arc<dyn Clock>,
        heartbeat: Duration,
        work: Sender<Work>,
        log: slog::Logger,
    ) -> Scheduler {
        Scheduler {
            spool,
            store,
            ids,
            clock,
            heartbeat,
            work,
            in_hand: HashSet::new(),
            unwritten: Vec::new(),
            told: HashMap::new(),
            log,
        }
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self, events: &Receiver<Event>) {
        loop {
            self.collect();
            match events.recv_timeout(PERIOD_SPAN) {
                Ok(Event::Done(done)) => self.unwritten.push(done),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Makes the files that the database's actions and commands should have: some may be
    /// missing after a crash.
    pub(super) fn recover(&self) -> Result<(), ScheduleError> {
        for action in self.store.unfinished_actions()? {
            let name = Name::action(action.id);
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
    pub(super) fn collect(&mut self) {
        let now = self.clock.now();
        let since = before(now, self.heartbeat.saturating_mul(HEARTBEATS_MISSED_MAX));
        if let Err(error) = self.store.silence_agents(since) {
            slog::error!(self.log, "agents cannot be looked at"; "error" => %Chain(&error));
        }
        self.take_up(now);
        self.each(Place::ActionNew, |scheduler, name| scheduler.send(name, now));
        self.write_answers(now);
        self.each(Place::CommandReady, |scheduler, name| {
            scheduler.spool.shift(name, Place::CommandReady, Place::CommandInflight)?;
            Ok(())
        });
        self.each(Place::CommandInflight, |scheduler, name| scheduler.wait(name, now));
        self.each(Place::CommandReturned, Scheduler::keep_answer);
        self.each(Place::ActionInflight, |scheduler, name| scheduler.complete(name, now));
    }

    /// Does `step` with each entry of a folder; what fails is told and does not end the round.
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

    /// Takes up the actions that were posted and may begin.
    fn take_up(&mut self, now: Timestamp) {
        let pending = match self.store.pending_actions(now) {
            Ok(pending) => pending,
            Err(error) => {
                slog::error!(self.log, "new actions cannot be read"; "error" => %Chain(&error));
                return;
            }
        };
        for action in pending {
            let name = Name::action(action.id);
            let taken = self.action_text(&action).and_then(|text| {
                self.spool.create(Place::ActionNew, name, &text)?;
                Ok(self.store.set_action_status(action.id, ActionStatus::Scheduled, now)?)
            });
            if let Err(error) = taken {
                self.tell(Place::ActionNew, name, &error);
            }
        }
    }

    /// Sends an action of `new` to the agents that it is for.
    fn send(&mut self, name: Name, now: Timestamp) -> Result<(), ScheduleError> {
        let action = self.store.action(name.action)?.ok_or(ScheduleError::Unknown)?;
        if action.status == ActionStatus::Invalid.as_str() {
            self.spool.shift(name, Place::ActionNew, Place::ActionInvalid)?;
            return Ok(());
        }
        // Otherwise it was sent before a crash, and only its files are missing.
        if action.status != ActionStatus::Inflight.as_str() {
            self.store.set_action_status(action.id, ActionStatus::Preparing, now)?;
            let agents = match self.selected(&action, now)? {
                Ok(agents) => agents,
                Err(invalid) => {
                    slog::warn!(self.log, "action is invalid";
                        "action" => action.id.number(), "error" => %Chain(&invalid));
                    self.store.invalidate_action(action.id, now)?;
                    self.spool.shift(name, Place::ActionNew, Place::ActionInvalid)?;
                    return Ok(());
                }
            };
            let commands: Vec<_> =
                agents.into_iter().map(|agent| (self.ids.next(), agent)).collect();
            let results = empty_results(&action.operations)?;
            self.store.begin_action(action.id, &commands, &results, now)?;
            slog::info!(self.log, "action sent";
                "action" => action.id.number(), "agents" => commands.len());
        }
        self.ready(&action)?;
        self.spool.shift(name, Place::ActionNew, Place::ActionInflight)?;
        Ok(())
    }

    /// Returns the agents that an action is for.
    fn selected(
        &self,
        action: &ActionRow,
        now: Timestamp,
    ) -> Result<Result<Vec<Id>, Invalid>, DataError> {
        if action.expireafter <= now {
            return Ok(Err(Invalid::Expired));
        }
        let target = match Target::parse(&action.target) {
            Ok(target) => target,
            Err(error) => return Ok(Err(error.into())),
        };
        let agents = self.store.live_agents()?;
        let ids: Vec<Id> =
            agents.iter().filter(|agent| target.matches(*agent)).map(|agent| agent.id).collect();
        Ok(if ids.is_empty() { Err(Invalid::Nobody) } else { Ok(ids) })
    }

    /// Puts the commands of an action that are not done into `ready`, but those that are further.
    fn ready(&self, action: &ActionRow) -> Result<(), ScheduleError> {
        for command in self.store.commands_of(action.id)? {
            let name = Name::command(action.id, command.id);
            let has = |place| self.spool.has(place, name);
            if command.status == CommandStatus::Sent.as_str()
                && !has(Place::CommandInflight)?
                && !has(Place::CommandReturned)?
            {
                self.spool.create(
                    Place::CommandReady,
                    name,
                    &self.command_text(&command, action)?,
                )?;
            }
        }
        Ok(())
    }

    /// Gives a command to the agent, or up if it was not answered in time.
    fn wait(&mut self, name: Name, now: Timestamp) -> Result<(), ScheduleError> {
        let Some(id) = name.command else { return Err(ScheduleError::Unknown) };
        let is_answered = self.spool.has(Place::CommandReturned, name)?
            || self.unwritten.iter().any(|done| done.command == id);
        if is_answered {
            return Ok(());
        }
        let action = self.store.action(name.action)?.ok_or(ScheduleError::Unknown)?;
        let command = self.store.command(id)?.ok_or(ScheduleError::Unknown)?;
        let is_in_hand = self.in_hand.contains(&id);
        let patience = if is_in_hand { ANSWER_SPAN } else { Duration::ZERO };
        if command.status != CommandStatus::Sent.as_str() {
            self.spool.shift(name, Place::CommandInflight, Place::CommandDone)?;
        } else if after(action.expireafter, patience) < now {
            self.in_hand.remove(&id);
            let results = empty_results(&action.operations)?;
            self.answer(&action, command, CommandStatus::Expired, results, now)?;
        } else if !is_in_hand {
            // A send that fails means that the agent has stopped, which a restart mends.
            if self.work.send(Work { command: id, action }).is_ok() {
                self.in_hand.insert(id);
            }
        }
        Ok(())
    }

    /// Writes the agent's answers to `returned`; those that cannot be written are kept.
    fn write_answers(&mut self, now: Timestamp) {
        for done in std::mem::take(&mut self.unwritten) {
            let name = Name::command(done.action, done.command);
            match self.write_answer(&done, name, now) {
                Ok(()) => drop(self.in_hand.remove(&done.command)),
                Err(error) => {
                    self.tell(Place::CommandReturned, name, &error);
                    self.unwritten.push(done);
                }
            }
        }
    }

    fn write_answer(&self, done: &Done, name: Name, now: Timestamp) -> Result<(), ScheduleError> {
        let action = self.store.action(done.action)?.ok_or(ScheduleError::Unknown)?;
        let command = self.store.command(done.command)?.ok_or(ScheduleError::Unknown)?;
        if command.status == CommandStatus::Sent.as_str()
            && self.spool.has(Place::CommandInflight, name)?
        {
            return self.answer(&action, command, done.status, done.results.clone(), now);
        }
        slog::warn!(self.log, "answer came too late"; "command" => done.command.number());
        Ok(())
    }

    /// Puts the answer to a command into `returned`.
    fn answer(
        &self,
        action: &ActionRow,
        command: CommandRow,
        status: CommandStatus,
        results: String,
        now: Timestamp,
    ) -> Result<(), ScheduleError> {
        let name = Name::command(action.id, command.id);
        let command = CommandRow {
            status: status.as_str().to_owned(),
            results,
            finishtime: Some(now),
            ..command
        };
        self.spool.create(Place::CommandReturned, name, &self.command_text(&command, action)?)?;
        Ok(())
    }

    /// Puts an answer of `returned` into the database.
    fn keep_answer(&mut self, name: Name) -> Result<(), ScheduleError> {
        let Some(command) = name.command else { return Err(ScheduleError::Unknown) };
        let bytes = self.spool.read(Place::CommandReturned, name)?;
        let status = |returned: &Returned| {
            CommandStatus::parse(&returned.status).filter(|status| *status != CommandStatus::Sent)
        };
        let returned = serde_json::from_slice::<Returned>(&bytes)
            .map_err(ScheduleError::from)
            .and_then(|returned| Ok((status(&returned).ok_or(ScheduleError::Status)?, returned)));
        let (status, returned) = match returned {
            Ok(returned) => returned,
            Err(error) => {
                // The command is still inflight: it is asked for again, or expires.
                self.spool.set_aside(Place::CommandReturned, name)?;
                return Err(error);
            }
        };
        self.store.finish_command(command, status, returned.results.get(), returned.finishtime)?;
        self.spool.shift(name, Place::CommandReturned, Place::CommandDone)?;
        self.spool.remove(Place::CommandInflight, name)?;
        slog::info!(self.log, "command done"; "action" => name.action.number(),
            "command" => command.number(), "status" => %status);
        Ok(())
    }

    /// Completes an action of which every command is done.
    fn complete(&mut self, name: Name, now: Timestamp) -> Result<(), ScheduleError> {
        let counters = self.store.counters(name.action)?;
        if counters.of(CommandStatus::Sent) > 0 {
            return Ok(());
        }
        self.store.complete_action(name.action, now)?;
        let action = self.store.action(name.action)?.ok_or(ScheduleError::Unknown)?;
        let text = view::summary(&action, &counters)?.to_json();
        self.spool.create(Place::ActionDone, name, &text)?;
        self.spool.remove(Place::ActionInflight, name)?;
        slog::info!(self.log, "action completed"; "action" => name.action.number());
        Ok(())
    }

    fn action_text(&self, action: &ActionRow) -> Result<String, ScheduleError> {
        let signers = self.store.signers(action.id)?;
        Ok(view::action(action, &signers, &self.store.counters(action.id)?)?.to_json())
    }

    fn command_text(
        &self,
        command: &CommandRow,
        action: &ActionRow,
    ) -> Result<String, ScheduleError> {
        let agent = self.store.agent(command.agent)?.ok_or(ScheduleError::Unknown)?;
        let (signers, counters) = (self.store.signers(action.id)?, self.store.counters(action.id)?);
        let command = view::command(command, action, &signers, &counters, &agent)?;
        Ok(serde_json::to_string(&command)?)
    }
}
