//! The tables `actions` and `signatures`.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::database::query;
use super::error::DataError;
use super::filter::{SearchFilter, SearchPage};
use super::id::Id;
use super::invalid::InvalidColumns;
use super::row::Row;
use super::store::Store;
use super::value::SqlValue;
use crate::action::CommandStatus;

/// The platform's value for a start that has not happened: 11:11:11 on 11 January of the year 9.
pub(crate) const NEVER_STARTED: Timestamp = Timestamp::constant(-61_882_231_728, -999_999_989);
/// The platform's value for an end that has not happened: the same moment of the year 9998.
pub(crate) const NEVER_FINISHED: Timestamp = Timestamp::constant(253_340_133_071, 11);

/// The status of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActionStatus {
    /// Accepted, not yet taken up by the scheduler.
    Pending,
    /// Taken up by the scheduler.
    Scheduled,
    /// The scheduler is finding its agents.
    Preparing,
    /// Sent to its agents.
    Inflight,
    /// All of its commands are done.
    Completed,
    /// Rejected or expired: it will never be sent.
    Invalid,
}

impl ActionStatus {
    /// All statuses, in the order in which an action passes through them.
    pub(crate) const ALL: [ActionStatus; 6] = [
        ActionStatus::Pending,
        ActionStatus::Scheduled,
        ActionStatus::Preparing,
        ActionStatus::Inflight,
        ActionStatus::Completed,
        ActionStatus::Invalid,
    ];

    /// Returns the platform's word for the status.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            ActionStatus::Pending => "pending",
            ActionStatus::Scheduled => "scheduled",
            ActionStatus::Preparing => "preparing",
            ActionStatus::Inflight => "inflight",
            ActionStatus::Completed => "completed",
            ActionStatus::Invalid => "invalid",
        }
    }
}

impl fmt::Display for ActionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ActionRow {
    pub(crate) id: Id,
    pub(crate) name: String,
    /// The SQL condition that selects its agents.
    pub(crate) target: String,
    /// Its author and purpose, as JSON.
    pub(crate) description: String,
    /// The threat that it searches for, as JSON.
    pub(crate) threat: String,
    /// The modules to run and their parameters, as JSON.
    pub(crate) operations: String,
    /// The earliest time at which it may be sent.
    pub(crate) validfrom: Timestamp,
    pub(crate) expireafter: Timestamp,
    /// When the scheduler sent it.
    pub(crate) starttime: Option<Timestamp>,
    /// When its last command finished.
    pub(crate) finishtime: Option<Timestamp>,
    /// When its row last changed.
    pub(crate) lastupdatetime: Option<Timestamp>,
    /// A word of [`ActionStatus`], or another one written by an original platform.
    pub(crate) status: String,
    /// The version of the action format.
    pub(crate) syntaxversion: i64,
    /// Its signatures, as a JSON list of strings.
    pub(crate) pgpsignatures: String,
    pub(crate) invalid: InvalidColumns,
}

/// The signature of an investigator on an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ActionSignature {
    pub(crate) investigator: Id,
    pub(crate) signature: String,
}

/// The number of commands of an action with each status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CommandCounts(BTreeMap<String, i64>);

impl CommandCounts {
    /// Returns the number of commands with this status.
    pub(crate) fn of(&self, status: CommandStatus) -> i64 {
        self.0.get(status.as_str()).copied().unwrap_or(0)
    }

    /// Returns each status of at least one command, with the number of commands that have it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(status, count)| (status.as_str(), *count))
    }

    /// Returns the number of all commands.
    pub(crate) fn all(&self) -> i64 {
        self.0.values().sum()
    }
}

/// Reads a row with all columns of the table, in the table's order.
pub(super) fn read(mut row: Row) -> ActionRow {
    ActionRow {
        id: row.read_id("id"),
        name: row.read_name("name"),
        target: row.read_text("target"),
        description: row.read_json("description"),
        threat: row.read_json("threat"),
        operations: row.read_json("operations"),
        validfrom: row.read_time("validfrom"),
        expireafter: row.read_time("expireafter"),
        starttime: row.read_optional_time("starttime"),
        finishtime: row.read_optional_time("finishtime"),
        lastupdatetime: row.read_optional_time("lastupdatetime"),
        status: row.read_word("status", &ActionStatus::ALL.map(ActionStatus::as_str)),
        syntaxversion: row.read_number("syntaxversion"),
        pgpsignatures: row.read_json("pgpsignatures"),
        invalid: row.into_invalid(),
    }
}

impl Store {
    /// Inserts an action and its signatures, all or nothing.
    pub(crate) fn insert_action(
        &self,
        action: &ActionRow,
        signatures: &[ActionSignature],
    ) -> Result<(), DataError> {
        let values: [SqlValue; 14] = [
            action.id.into(),
            action.name.as_str().into(),
            action.target.as_str().into(),
            action.description.as_str().into(),
            action.threat.as_str().into(),
            action.operations.as_str().into(),
            action.validfrom.into(),
            action.expireafter.into(),
            action.starttime.into(),
            action.finishtime.into(),
            action.lastupdatetime.into(),
            action.status.as_str().into(),
            action.syntaxversion.into(),
            action.pgpsignatures.as_str().into(),
        ];
        self.transaction(|database| {
            database.run(&query!("insert_action"), &values)?;
            for signature in signatures {
                let values = [
                    action.id.into(),
                    signature.investigator.into(),
                    signature.signature.as_str().into(),
                ];
                database.run(&query!("insert_signature"), &values)?;
            }
            Ok(())
        })
    }

    pub(crate) fn action(&self, id: Id) -> Result<Option<ActionRow>, DataError> {
        self.one(&query!("action"), &[id.into()], read)
    }

    /// Returns the end of an action's period, without the rest of its row.
    pub(crate) fn action_end(&self, id: Id) -> Result<Option<Timestamp>, DataError> {
        self.one(&query!("action_end"), &[id.into()], |mut row| row.read_time("expireafter"))
    }

    /// Returns the pending actions that may begin at `now`, including those that have expired.
    pub(crate) fn pending_actions(&self, now: Timestamp) -> Result<Vec<ActionRow>, DataError> {
        self.all(&query!("pending_actions"), &[now.into()], read)
    }

    /// Returns the actions that the scheduler has taken up and that have not finished.
    pub(crate) fn unfinished_actions(&self) -> Result<Vec<ActionRow>, DataError> {
        self.all(&query!("unfinished_actions"), &[], read)
    }

    /// Returns the `count` actions that were sent most recently.
    pub(crate) fn recent_actions(&self, count: i64) -> Result<Vec<ActionRow>, DataError> {
        self.all(&query!("recent_actions"), &[count.into()], read)
    }

    /// Returns a page of the actions that match a filter, newest first.
    pub(crate) fn search_actions(
        &self,
        filter: &SearchFilter,
        page: SearchPage,
    ) -> Result<Vec<ActionRow>, DataError> {
        let restrict = |condition: &mut _| filter.restrict_actions(condition);
        self.search(&query!("search_actions"), page, restrict, read)
    }

    /// Returns the current number of commands of an action with each status.
    pub(crate) fn command_counts(&self, id: Id) -> Result<CommandCounts, DataError> {
        let counts = self.all(&query!("counters"), &[id.into()], |mut row| {
            (row.read_text("status"), row.read_number("count"))
        })?;
        Ok(CommandCounts(counts.into_iter().collect()))
    }

    pub(crate) fn set_action_status(
        &self,
        id: Id,
        status: ActionStatus,
        now: Timestamp,
    ) -> Result<(), DataError> {
        let values = [id.into(), status.as_str().into(), now.into()];
        self.run(&query!("set_action_status"), &values).map(drop)
    }

    /// Marks an action as one that will never be sent.
    pub(crate) fn invalidate_action(&self, id: Id, now: Timestamp) -> Result<(), DataError> {
        self.run(&query!("invalidate_action"), &[id.into(), now.into()]).map(drop)
    }

    /// Deletes at most `count` actions that finished or became invalid before `end`, with their
    /// commands and signatures; returns the number of deleted actions.
    pub(crate) fn delete_finished_actions(
        &self,
        end: Timestamp,
        count: i64,
    ) -> Result<usize, DataError> {
        let values = [end.into(), count.into()];
        // The ids as the database returned them: a row with an unreadable id is deleted as well.
        let finished = self.all(&query!("finished_actions"), &values, |mut row| row.value())?;
        self.transaction(|database| {
            for action in &finished {
                for query in [
                    query!("delete_commands"),
                    query!("delete_signatures"),
                    query!("delete_actions"),
                ] {
                    database.run(&query, std::slice::from_ref(action))?;
                }
            }
            Ok(finished.len())
        })
    }

    /// Marks an action as completed: all of its commands are done.
    pub(crate) fn complete_action(&self, id: Id, now: Timestamp) -> Result<(), DataError> {
        self.run(&query!("complete_action"), &[id.into(), now.into()]).map(drop)
    }
}
