//! Targets: which agents an action is for, as an SQL condition on the table `agents`.
//!
//! The original inserts the text of a target into a query of its own. There a target can be any
//! expression that PostgreSQL accepts, with all functions and other tables. Here no target reaches a
//! database: it is parsed into one expression, of which each part must be on a short list, and the
//! expression is evaluated for one agent at a time.
//!
//! | file | contents |
//! | --- | --- |
//! | `read` | text → tokens → syntax tree → [`expression`]; checks types as PostgreSQL does |
//! | `refusal` | names the parts that are not on the list |
//! | `literal` | text of a literal → number, time, truth value, path |
//! | `expression` | columns, constants, operators, and their value for a row |
//! | `like` | `LIKE` and `ILIKE` |
//!
//! **Invariants.** Logic has three values, and a target selects an agent only if its condition is
//! *true*. Type errors are found when the target is parsed, not when it is evaluated. A target's length
//! and nesting are limited, and evaluation takes time in proportion to its length and the row's size.

mod expression;
mod like;
mod literal;
mod read;
mod refusal;

use std::fmt;

use jiff::Timestamp;

use expression::Expression;

/// Maximum length of a target, in characters: the width of the column that stores it.
const TARGET_CHARS_MAX: usize = 2048;

/// A column of the table `agents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// The agent's id, a number.
    Id,
    Name,
    /// The queue of its commands.
    QueueLoc,
    /// `daemon` for an agent that runs permanently.
    Mode,
    Version,
    /// Its process id, a number.
    Pid,
    /// When it started, a time.
    StartTime,
    /// When it was destroyed, a time.
    DestructionTime,
    /// The time of its last heartbeat.
    HeartbeatTime,
    /// When its environment was last determined, a time.
    RefreshTime,
    Status,
    Environment,
    Tags,
    /// The name of its loader.
    LoaderName,
}

impl Column {
    /// Every column, in the order of the table.
    pub(crate) const ALL: [Column; 14] = [
        Column::Id,
        Column::Name,
        Column::QueueLoc,
        Column::Mode,
        Column::Version,
        Column::Pid,
        Column::StartTime,
        Column::DestructionTime,
        Column::HeartbeatTime,
        Column::RefreshTime,
        Column::Status,
        Column::Environment,
        Column::Tags,
        Column::LoaderName,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Column::Id => "id",
            Column::Name => "name",
            Column::QueueLoc => "queueloc",
            Column::Mode => "mode",
            Column::Version => "version",
            Column::Pid => "pid",
            Column::StartTime => "starttime",
            Column::DestructionTime => "destructiontime",
            Column::HeartbeatTime => "heartbeattime",
            Column::RefreshTime => "refreshtime",
            Column::Status => "status",
            Column::Environment => "environment",
            Column::Tags => "tags",
            Column::LoaderName => "loadername",
        }
    }

    /// Returns the type of the column's values.
    fn kind(self) -> ColumnKind {
        match self {
            Column::Id | Column::Pid => ColumnKind::Number,
            Column::StartTime
            | Column::DestructionTime
            | Column::HeartbeatTime
            | Column::RefreshTime => ColumnKind::Time,
            Column::Environment | Column::Tags => ColumnKind::Json,
            Column::Name
            | Column::QueueLoc
            | Column::Mode
            | Column::Version
            | Column::Status
            | Column::LoaderName => ColumnKind::Text,
        }
    }
}

/// An SQL value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ColumnValue {
    Null,
    Bool(bool),
    /// Ids have fewer than 53 bits, so they are exact.
    Number(f64),
    Text(String),
    Time(Timestamp),
    Json(serde_json::Value),
}

/// The type of an SQL value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    Bool,
    Number,
    Text,
    Time,
    Json,
}

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ColumnKind::Bool => "a truth value",
            ColumnKind::Number => "a number",
            ColumnKind::Text => "a text",
            ColumnKind::Time => "a time",
            ColumnKind::Json => "JSON",
        })
    }
}

/// A row of the table `agents`.
pub(crate) trait AgentProperties {
    /// Returns a value of the column's type, or null.
    fn value(&self, column: Column) -> ColumnValue;
}

/// Why a target is invalid. The texts quote excerpts of it that are safe to print.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("target is longer than {TARGET_CHARS_MAX} characters")]
    Long,
    #[error("target is not an SQL condition: {0}")]
    Syntax(String),
    #[error("target continues after its condition: {0}")]
    Trailing(String),
    #[error("target uses {0}, which is not allowed here")]
    Refused(String),
    #[error("target names {0}, which is not a column of agents")]
    Column(String),
    #[error("target cannot use {operator} on {kind}")]
    Operand { operator: String, kind: ColumnKind },
    #[error("target cannot compare {0} with {1}")]
    Types(ColumnKind, ColumnKind),
    /// A literal cannot be converted to the required type.
    #[error("target has {literal}, which is not {kind}")]
    Literal {
        literal: String,
        /// The required type.
        kind: ColumnKind,
    },
    /// A literal is not a valid path, index, pattern or escape character.
    #[error("target has a bad {what}: {literal}")]
    Form {
        /// What the literal should be.
        what: &'static str,
        literal: String,
    },
}

/// A condition on a row of the table `agents`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target(Expression);

impl Target {
    /// Parses a target.
    pub(crate) fn parse(text: &str) -> Result<Target, TargetError> {
        if text.chars().count() > TARGET_CHARS_MAX {
            return Err(TargetError::Long);
        }
        read::condition(text).map(Target)
    }

    /// Returns whether the condition is true for `row`, neither false nor unknown.
    pub(crate) fn matches(&self, row: &dyn AgentProperties) -> bool {
        self.0.value(row) == ColumnValue::Bool(true)
    }
}

#[cfg(test)]
mod tests;
