//! The table `commands`: the commands sent to agents, and the agents' answers.

use jiff::Timestamp;

use super::action::NEVER_FINISHED;
use super::database::query;
use super::error::DataError;
use super::filter::{SearchFilter, SearchPage};
use super::id::Id;
use super::invalid::InvalidColumns;
use super::row::Row;
use super::store::Store;
use crate::action::CommandStatus;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CommandRow {
    pub(crate) id: Id,
    pub(crate) action: Id,
    pub(crate) agent: Id,
    /// A word of [`CommandStatus`], or an unknown one.
    pub(crate) status: String,
    /// A result for each operation, as a JSON list; a placeholder until the agent answers.
    pub(crate) results: String,
    /// When the scheduler sent it.
    pub(crate) starttime: Timestamp,
    /// When the answer was stored.
    pub(crate) finishtime: Option<Timestamp>,
    pub(crate) invalid: InvalidColumns,
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
        invalid: row.into_invalid(),
    }
}

/// Takes the next column, which should hold the status of a command.
pub(super) fn read_status(row: &mut Row) -> String {
    row.read_word("status", &CommandStatus::ALL.map(CommandStatus::as_str))
}

impl Store {
    /// Inserts commands, given as pairs of command id and agent id, and marks their action as sent,
    /// all or nothing. `results` is the placeholder stored until the answers arrive.
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

    /// Stores the answer to a command; returns false if it had been answered before.
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

    /// Marks the unanswered commands of an action as expired, with these results, except those to
    /// agents of the queue `except`; returns their number.
    pub(crate) fn expire_commands(
        &self,
        action: Id,
        except: &str,
        results: &str,
        now: Timestamp,
    ) -> Result<u64, DataError> {
        let values = [action.into(), results.into(), now.into(), except.into()];
        self.run(&query!("expire_commands"), &values)
    }

    pub(crate) fn command(&self, id: Id) -> Result<Option<CommandRow>, DataError> {
        self.one(&query!("command"), &[id.into()], read)
    }

    pub(crate) fn commands_of(&self, action: Id) -> Result<Vec<CommandRow>, DataError> {
        self.all(&query!("commands_of_action"), &[action.into()], read)
    }

    /// Returns the unanswered commands of an action to the agents of a queue.
    pub(crate) fn unanswered_commands_at(
        &self,
        action: Id,
        queueloc: &str,
    ) -> Result<Vec<CommandRow>, DataError> {
        self.all(&query!("unanswered_commands_at"), &[action.into(), queueloc.into()], read)
    }

    /// Returns a page of the commands that match a filter, newest first.
    pub(crate) fn search_commands(
        &self,
        filter: &SearchFilter,
        page: SearchPage,
    ) -> Result<Vec<CommandRow>, DataError> {
        let restrict = |condition: &mut _| filter.restrict_commands(condition);
        self.search(&query!("search_commands"), page, restrict, read)
    }
}
