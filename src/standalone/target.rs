//! Targets: which agents an action is for, as a condition in SQL.

use jiff::Timestamp;

/// A column of the table `agents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// The agent's id, a number.
    Id,
    /// Its name.
    Name,
    /// Where its commands are queued.
    QueueLoc,
    /// How it runs: `daemon` or `checkin`.
    Mode,
    /// Its version.
    Version,
    /// Its process id, a number.
    Pid,
    /// When it started, a time.
    StartTime,
    /// When it was destroyed, a time.
    DestructionTime,
    /// When it was last heard of, a time.
    HeartbeatTime,
    /// When its environment was last read, a time.
    RefreshTime,
    /// Its status.
    Status,
    /// Its environment, JSON.
    Environment,
    /// Its tags, JSON.
    Tags,
    /// The name of its loader.
    LoaderName,
}

/// A value of SQL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Nothing is known.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// A point in time.
    Time(Timestamp),
    /// A JSON document.
    Json(serde_json::Value),
}

/// One row of the table `agents`.
pub(crate) trait AgentRow {
    /// Returns what stands in `column`: a value of the column's kind, or null.
    fn value(&self, column: Column) -> Value;
}

/// A target that was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum TargetError {
    /// It is no condition in SQL.
    #[error("target is not a condition in SQL: {0}")]
    Syntax(String),
    /// It holds something that targets may not.
    #[error("target uses {0}, which is not allowed")]
    Refused(String),
}

/// A condition over one row of the table `agents`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target(());

impl Target {
    /// Parses a target.
    ///
    /// # Errors
    /// It is no condition, or uses what targets may not; the text names it.
    pub(crate) fn parse(text: &str) -> Result<Target, TargetError> {
        Err(TargetError::Syntax(text.to_owned()))
    }

    /// Tells whether the condition is true of `row`, neither false nor unknown.
    pub(crate) fn matches(&self, row: &dyn AgentRow) -> bool {
        false
    }
}
