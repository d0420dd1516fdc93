//! The steps of commands: sent to an agent, answered or expired, stored in the database.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure_log::Subject;
use super::{ScheduleError, Scheduler};
use crate::action::CommandStatus;
use crate::clock::after;
use crate::data::{ActionRow, CommandRow, Id};
use crate::platform::spool::{EntryName, SpoolFolder};
use crate::platform::view;
use crate::relay::{Answer, Command, Outcome};

/// Extra time after the end of its action for a command that an agent has: the agent kills the
/// module at the end, and then sends an answer that reports this.
const ANSWER_DELAY: Duration = Duration::from_secs(2);

/// The result of an operation that has not been run.
const EMPTY_RESULT: &str =
    r#"{"foundanything":false,"success":false,"elements":null,"statistics":null,"errors":null}"#;

/// The answer in the file of a command.
#[derive(Deserialize)]
struct ReturnedCommand {
    status: String,
    results: Box<RawValue>,
    finishtime: Timestamp,
}

/// Returns the results of a command without an answer: an empty one for each operation of the JSON
/// list `operations`.
pub(super) fn empty_results(operations: &str) -> Result<String, serde_json::Error> {
    let operations: Option<Vec<Box<RawValue>>> = serde_json::from_str(operations)?;
    let count = operations.map_or(0, |operations| operations.len());
    Ok(format!("[{}]", vec![EMPTY_RESULT; count].join(",")))
}

/// Returns the row of a command once it has been answered.
fn answered(
    command: &CommandRow,
    status: CommandStatus,
    results: String,
    now: Timestamp,
) -> CommandRow {
    let (status, finishtime) = (status.as_str().to_owned(), Some(now));
    CommandRow { status, results, finishtime, invalid: command.invalid.clone(), ..*command }
}

fn status(outcome: Outcome) -> CommandStatus {
    match outcome {
        Outcome::Success => CommandStatus::Success,
        Outcome::Failed => CommandStatus::Failed,
        Outcome::Timeout => CommandStatus::Timeout,
    }
}

impl Scheduler {
    /// Puts the unanswered commands of an action to the agents that the relay reaches into `ready`,
    /// except those in a later folder.
    pub(super) fn ready(&self, action: &ActionRow) -> Result<(), ScheduleError> {
        let commands = match self.commands.only_queue() {
            Some(queue) => self.store.unanswered_commands_at(action.id, queue)?,
            None => self.store.commands_of(action.id)?,
        };
        for command in commands {
            let name = EntryName::command(action.id, command.id);
            let has = |folder| self.spool.has(folder, name);
            if command.status == CommandStatus::Sent.as_str()
                && !command.invalid.is_unreadable("id")
                && !has(SpoolFolder::CommandInflight)?
                && !has(SpoolFolder::CommandReturned)?
            {
                let text = self.command_text(&command, action)?;
                self.spool.create(SpoolFolder::CommandReady, name, &text)?;
            }
        }
        Ok(())
    }

    /// Sends a command to its agent, unless the agent has it already; marks it expired if there is
    /// no answer in time.
    pub(super) fn send_or_expire(
        &mut self,
        name: EntryName,
        now: Timestamp,
    ) -> Result<(), ScheduleError> {
        let Some(id) = name.command else { return Err(ScheduleError::Unknown) };
        let is_answered = self.spool.has(SpoolFolder::CommandReturned, name)?
            || self.unsaved_answers.iter().any(|answer| answer.command_id == id.number());
        if is_answered {
            return Ok(());
        }
        let action = self.store.action(name.action)?.ok_or(ScheduleError::Unknown)?;
        let command = self.store.command(id)?.ok_or(ScheduleError::Unknown)?;
        let is_sent = self.sent_commands.contains(&id);
        let delay = if is_sent { ANSWER_DELAY } else { Duration::ZERO };
        if command.status != CommandStatus::Sent.as_str() {
            self.spool.shift(name, SpoolFolder::CommandInflight, SpoolFolder::CommandDone)?;
        } else if after(action.expireafter, delay) < now {
            self.sent_commands.remove(&id);
            let results = empty_results(&action.operations)?;
            self.put_returned(&action, &answered(&command, CommandStatus::Expired, results, now))?;
        } else if !is_sent {
            self.send_command(&command, &action)?;
        }
        Ok(())
    }

    /// Sends a command to its agent, if the relay reaches the agent. An earlier release created files
    /// for all commands, and those to other agents expire.
    fn send_command(
        &mut self,
        command: &CommandRow,
        action: &ActionRow,
    ) -> Result<(), ScheduleError> {
        let agent = self.store.agent(command.agent)?.ok_or(ScheduleError::Unknown)?;
        if !self.commands.reaches(&agent.queueloc) {
            return Ok(());
        }
        let order = Command {
            id: command.id.number(),
            action_id: action.id.number(),
            action: view::posted(action, &[])?.to_json(),
        };
        // Sending fails only if the agent has stopped; the command is sent after a restart.
        if self.commands.send(&agent.queueloc, order).is_ok() {
            self.sent_commands.insert(command.id);
        }
        Ok(())
    }

    /// Once the period of an action has ended, marks its unanswered commands to the agents that the
    /// relay does not reach as expired; returns their number.
    pub(super) fn expire_unreached(
        &self,
        action: Id,
        now: Timestamp,
    ) -> Result<u64, ScheduleError> {
        let Some(reached) = self.commands.only_queue() else { return Ok(0) };
        if now <= self.store.action_end(action)?.ok_or(ScheduleError::Unknown)? {
            return Ok(0);
        }
        let row = self.store.action(action)?.ok_or(ScheduleError::Unknown)?;
        let results = empty_results(&row.operations)?;
        let expired = self.store.expire_commands(action, reached, &results, now)?;
        if expired > 0 {
            slog::info!(self.log, "commands to other hosts have expired";
                "action" => action.number(), "commands" => expired);
        }
        Ok(expired)
    }

    /// Writes the answers that have arrived to `returned`; keeps those that cannot be written now.
    pub(super) fn save_answers(&mut self, now: Timestamp) {
        for answer in std::mem::take(&mut self.unsaved_answers) {
            let (action, command) = (Id::new(answer.action_id), Id::new(answer.command_id));
            let saved = self.save_answer(&answer, action, command, now);
            match self.failures.note(Subject::Answer(command), saved) {
                Some(()) => drop(self.sent_commands.remove(&command)),
                None => self.unsaved_answers.push(answer),
            }
        }
    }

    fn save_answer(
        &self,
        answer: &Answer,
        action: Id,
        command: Id,
        now: Timestamp,
    ) -> Result<(), ScheduleError> {
        let name = EntryName::command(action, command);
        let action = self.store.action(action)?.ok_or(ScheduleError::Unknown)?;
        let command = self.store.command(command)?.ok_or(ScheduleError::Unknown)?;
        if command.status == CommandStatus::Sent.as_str()
            && self.spool.has(SpoolFolder::CommandInflight, name)?
        {
            let results = answer.results.clone();
            return self
                .put_returned(&action, &answered(&command, status(answer.outcome), results, now));
        }
        slog::warn!(self.log, "late answer dropped"; "command" => command.id.number());
        Ok(())
    }

    /// Creates the file of an answered command in `returned`.
    fn put_returned(&self, action: &ActionRow, command: &CommandRow) -> Result<(), ScheduleError> {
        let name = EntryName::command(action.id, command.id);
        let text = self.command_text(command, action)?;
        self.spool.create(SpoolFolder::CommandReturned, name, &text)?;
        Ok(())
    }

    /// Stores an answer of `returned` in the database.
    pub(super) fn store_answer(&mut self, name: EntryName) -> Result<(), ScheduleError> {
        let Some(command) = name.command else { return Err(ScheduleError::Unknown) };
        let bytes = self.spool.read(SpoolFolder::CommandReturned, name)?;
        let status = |returned: &ReturnedCommand| {
            CommandStatus::parse(&returned.status).filter(|status| *status != CommandStatus::Sent)
        };
        let returned = serde_json::from_slice::<ReturnedCommand>(&bytes)
            .map_err(ScheduleError::from)
            .and_then(|returned| Ok((status(&returned).ok_or(ScheduleError::Status)?, returned)));
        let (status, returned) = match returned {
            Ok(returned) => returned,
            Err(error) => {
                // The command is still inflight: it is sent again, or expires.
                self.spool.set_aside(SpoolFolder::CommandReturned, name)?;
                return Err(error);
            }
        };
        self.store.finish_command(command, status, returned.results.get(), returned.finishtime)?;
        self.spool.shift(name, SpoolFolder::CommandReturned, SpoolFolder::CommandDone)?;
        self.spool.remove(SpoolFolder::CommandInflight, name)?;
        slog::info!(self.log, "command done"; "action" => name.action.number(),
            "command" => command.number(), "status" => %status);
        Ok(())
    }
}
