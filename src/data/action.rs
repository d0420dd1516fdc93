//! The table `actions`, with the signatures that each came with.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::database::{Value, query};
use super::filter::{Filter, Page};
use super::{CommandStatus, DataError, Id, Odd, Row, Store};

/// The time that stands for "not yet" where the platform keeps a start: 11:11:11 on 11 January of the year 9.
pub(crate) const NEVER_STARTED: Timestamp = Timestamp::constant(-61_882_231_728, -999_999_989);
/// The time that stands for "not yet" where the platform keeps an end: the same in the year 9998.
pub(crate) const NEVER_FINISHED: Timestamp = Timestamp::constant(253_340_133_071, 11);

/// How far an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActionStatus {
    /// Accepted, not looked at yet.
    Pending,
    /// Taken up by the scheduler.
    Scheduled,
    /// Its agents are being found.
    Preparing,
    /// Sent to its agents.
    Inflight,
    /// Every command of it is done.
    Completed,
    /// It will never be sent.
    Invalid,
}

impl ActionStatus {
    /// Every status, in the order in which an action has them.
    pub(crate) const ALL: [ActionStatus; 6] = [
        ActionStatus::Pending,
        ActionStatus::Scheduled,
        ActionStatus::Preparing,
        ActionStatus::Inflight,
        ActionStatus::Completed,
        ActionStatus::Invalid,
    ];

    /// Returns the status as the platform writes it.
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
    /// The condition that selects its agents.
    pub(crate) target: String,
    /// Who wrote it, as JSON.
    pub(crate) description: String,
    /// What it is about, as JSON.
    pub(crate) threat: String,
    /// What is to be done, as JSON.
    pub(crate) operations: String,
    /// When it may begin.
    pub(crate) validfrom: Timestamp,
    pub(crate) expireafter: Timestamp,
    /// When it was sent.
    pub(crate) starttime: Option<Timestamp>,
    /// When its last command was done.
    pub(crate) finishtime: Option<Timestamp>,
    /// When anything of it changed last.
    pub(crate) lastupdatetime: Option<Timestamp>,
    /// How far it is; a word of [`ActionStatus`], or another of a real platform.
    pub(crate) status: String,
    /// The version of its form.
    pub(crate) syntaxversion: i64,
    /// Its signatures, as a JSON list of texts.
    pub(crate) pgpsignatures: String,
    /// Which columns cannot be read.
    pub(crate) odd: Odd,
}

/// Who signed an action, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) investigator: Id,
    pub(crate) signature: String,
}

/// How many commands of an action have which status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Counters(BTreeMap<String, i64>);

impl Counters {
    /// Returns how many commands have this status.
    pub(crate) fn of(&self, status: CommandStatus) -> i64 {
        self.0.get(status.as_str()).copied().unwrap_or(0)
    }

    /// Returns each status that any command has, and how many have it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(status, count)| (status.as_str(), *count))
    }

    /// Returns how many commands there are.
    pub(crate) fn all(&self) -> i64 {
        self.0.values().sum()
    }
}

/// Reads a row with all columns, in the order of the table.
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
        odd: row.into_odd(),
    }
}

impl Store {
    /// Keeps a new action with its signatures, all or nothing.
    pub(crate) fn insert_action(
        &self,
        action: &ActionRow,
        signed: &[Signed],
    ) -> Result<(), DataError> {
        let values: [Value; 14] = [
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
            for one in signed {
                let values =
                    [action.id.into(), one.investigator.into(), one.signature.as_str().into()];
                database.run(&query!("insert_signature"), &values)?;
            }
            Ok(())
        })
    }

    /// Returns the action with this id.
    pub(crate) fn action(&self, id: Id) -> Result<Option<ActionRow>, DataError> {
        self.one(&query!("action"), &[id.into()], read)
    }

    /// Returns the actions that nobody took up yet and that may begin at `now`, those that expired among them.
    pub(crate) fn pending_actions(&self, now: Timestamp) -> Result<Vec<ActionRow>, DataError> {
        self.all(&query!("pending_actions"), &[now.into()], read)
    }

    /// Returns the actions that were taken up and are not over.
    pub(crate) fn unfinished_actions(&self) -> Result<Vec<ActionRow>, DataError> {
        self.all(&query!("unfinished_actions"), &[], read)
    }

    /// Returns the `count` actions that were sent last.
    pub(crate) fn recent_actions(&self, count: i64) -> Result<Vec<ActionRow>, DataError> {
        self.all(&query!("recent_actions"), &[count.into()], read)
    }

    /// Returns a page of the actions that a filter selects, the latest first.
    pub(crate) fn search_actions(
        &self,
        filter: &Filter,
        page: Page,
    ) -> Result<Vec<ActionRow>, DataError> {
        let (query, values) =
            filter.of_actions(&query!("search_actions"), page, self.database().dialect());
        self.all(&query, &values, read)
    }

    /// Returns how many commands of an action have which status, as of now.
    pub(crate) fn counters(&self, id: Id) -> Result<Counters, DataError> {
        let counts = self.all(&query!("counters"), &[id.into()], |mut row| {
            (row.read_text("status"), row.read_number("count"))
        })?;
        Ok(Counters(counts.into_iter().collect()))
    }

    /// Notes how far an action is.
    pub(crate) fn set_action_status(
        &self,
        id: Id,
        status: ActionStatus,
        now: Timestamp,
    ) -> Result<(), DataError> {
        let values = [id.into(), status.as_str().into(), now.into()];
        self.run(&query!("set_action_status"), &values).map(drop)
    }

    /// Notes that an action will never be sent.
    pub(crate) fn invalidate_action(&self, id: Id, now: Timestamp) -> Result<(), DataError> {
        self.run(&query!("invalidate_action"), &[id.into(), now.into()]).map(drop)
    }

    /// Forgets at most `count` actions that were over before `end`, with their commands and
    /// signatures; returns how many.
    pub(crate) fn forget_actions(&self, end: Timestamp, count: i64) -> Result<usize, DataError> {
        let over =
            self.all(&query!("over_actions"), &[end.into(), count.into()], |mut row| row.value())?;
        self.transaction(|database| {
            for action in &over {
                for query in [
                    query!("delete_commands"),
                    query!("delete_signatures"),
                    query!("delete_actions"),
                ] {
                    database.run(&query, std::slice::from_ref(action))?;
                }
            }
            Ok(over.len())
        })
    }

    /// Notes that all commands of an action are done.
    pub(crate) fn complete_action(&self, id: Id, now: Timestamp) -> Result<(), DataError> {
        self.run(&query!("complete_action"), &[id.into(), now.into()]).map(drop)
    }
}
