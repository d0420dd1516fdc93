//! The steps of commands: given to the agent, answered or given up, kept.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ScheduleError, Scheduler};
use crate::action::CommandStatus;
use crate::agent::{Done, Work, empty_results};
use crate::clock::after;
use crate::data::{ActionRow, CommandRow};
use crate::platform::spool::{Name, Place};

/// How long after its end an action waits for an answer that the agent is about to give:
/// a module that was ended at that moment is told as such.
const ANSWER_SPAN: Duration = Duration::from_secs(2);

/// What the file of a command says of its answer.
#[derive(Deserialize)]
struct Returned {
    status: String,
    results: Box<RawValue>,
    finishtime: Timestamp,
}

/// Returns a command as it is once it was answered.
fn answered(
    command: &CommandRow,
    status: CommandStatus,
    results: String,
    now: Timestamp,
) -> CommandRow {
    let (status, finishtime) = (status.as_str().to_owned(), Some(now));
    CommandRow { status, results, finishtime, invalid: command.invalid.clone(), ..*command }
}

impl Scheduler {
    /// Puts the commands of an action that are not done into `ready`, but those that are further.
    pub(super) fn ready(&self, action: &ActionRow) -> Result<(), ScheduleError> {
        for command in self.store.commands_of(action.id)? {
            let name = Name::command(action.id, command.id);
            let has = |place| self.spool.has(place, name);
            if command.status == CommandStatus::Sent.as_str()
                && !command.invalid.is_unreadable("id")
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
    pub(super) fn wait(&mut self, name: Name, now: Timestamp) -> Result<(), ScheduleError> {
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
            self.hand_back(&action, &answered(&command, CommandStatus::Expired, results, now))?;
        } else if !is_in_hand && self.is_ours(&command)? {
            // A send that fails means that the agent has stopped, which a restart mends.
            if self.work.send(Work { command: id, action }).is_ok() {
                self.in_hand.insert(id);
            }
        }
        Ok(())
    }

    /// Tells whether a command is for this host's agent. Others ask for none and let theirs expire.
    fn is_ours(&self, command: &CommandRow) -> Result<bool, ScheduleError> {
        let agent = self.store.agent(command.agent)?.ok_or(ScheduleError::Unknown)?;
        Ok(agent.queueloc == self.rules.place)
    }

    /// Writes the agent's answers to `returned`; those that cannot be written are kept.
    pub(super) fn write_answers(&mut self, now: Timestamp) {
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
            let command = answered(&command, done.status, done.results.clone(), now);
            return self.hand_back(&action, &command);
        }
        slog::warn!(self.log, "answer came too late"; "command" => done.command.number());
        Ok(())
    }

    /// Puts a command that is done into `returned`.
    fn hand_back(&self, action: &ActionRow, done: &CommandRow) -> Result<(), ScheduleError> {
        let name = Name::command(action.id, done.id);
        self.spool.create(Place::CommandReturned, name, &self.command_text(done, action)?)?;
        Ok(())
    }

    /// Puts an answer of `returned` into the database.
    pub(super) fn keep_answer(&mut self, name: Name) -> Result<(), ScheduleError> {
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
}
