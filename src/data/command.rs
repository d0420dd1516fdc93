//! The table `commands`: what each agent was sent, and what it answered.

use jiff::Timestamp;

use super::database::query;
use super::filter::{Filter, Page};
use super::{DataError, Id, NEVER_FINISHED, Odd, Row, Store};
use crate::action::CommandStatus;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CommandRow {
    pub(crate) id: Id,
    /// The number of its action.
    pub(crate) action: Id,
    /// The number of its agent.
    pub(crate) agent: Id,
    /// How far it is; a word of [`CommandStatus`].
    pub(crate) status: String,
    /// A result for each operation, as a JSON list; empty ones as long as it is not done.
    pub(crate) results: String,
    /// When it was sent.
    pub(crate) starttime: Timestamp,
    /// When it was done.
    pub(crate) finishtime: Option<Timestamp>,
    /// Which columns cannot be read.
    pub(crate) odd: Odd,
}

fn read(mut row: Row) -> CommandRow {
    CommandRow {
        id: row.read_id("id"),
        action: row.read_id("actionid"),
        agent: row.read_id("agentid"),
        status: read_status(&mut row),
        results: row.read_json("results"),
        starttime: row.read_time("starttime"),
        finishtime: row.read_optional_time("finishtime"),
        odd: row.into_odd(),
    }
}

/// Takes the next column, which should hold the status of a command.
pub(super) fn read_status(row: &mut Row) -> String {
    row.read_word("status", &CommandStatus::ALL.map(CommandStatus::as_str))
}

impl Store {
    /// Notes that an action is sent, a command to each of these agents, all or nothing;
    /// `results` is what stands in for the results until they come.
    pub(crate) fn begin_action(
        &self,
        action: Id,
        commands: &[(Id, Id)],
        results: &str,
        now: Timestamp,
    ) -> Result<(), DataError> {
        self.transaction(|database| {
            for (command, agent) in commands {
                let values = [
                    (*command).into(),
                    action.into(),
                    (*agent).into(),
                    results.into(),
                    now.into(),
                    NEVER_FINISHED.into(),
                ];
                database.run(&query!("insert_command"), &values)?;
            }
            database.run(&query!("begin_action"), &[action.into(), now.into()]).map(drop)
        })
    }

    /// Notes a command's answer; returns whether it was the first.
    pub(crate) fn finish_command(
        &self,
        id: Id,
        status: CommandStatus,
        results: &str,
        now: Timestamp,
    ) -> Result<bool, DataError> {
        let values = [id.into(), status.as_str().into(), results.into(), now.into()];
        Ok(self.run(&query!("finish_command"), &values)? > 0)
    }

    /// Returns the command with this id.
    pub(crate) fn command(&self, id: Id) -> Result<Option<CommandRow>, DataError> {
        self.one(&query!("command"), &[id.into()], read)
    }

    /// Returns the commands of an action.
    pub(crate) fn commands_of(&self, action: Id) -> Result<Vec<CommandRow>, DataError> {
        self.all(&query!("commands_of_action"), &[action.into()], read)
    }

    /// Returns a page of the commands that a filter selects, the latest first.
    pub(crate) fn search_commands(
        &self,
        filter: &Filter,
        page: Page,
    ) -> Result<Vec<CommandRow>, DataError> {
        let (query, values) =
            filter.of_commands(&query!("search_commands"), page, self.database().dialect());
        self.all(&query, &values, read)
    }
}
