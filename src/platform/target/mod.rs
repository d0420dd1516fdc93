//! Targets: which agents an action is for, as a condition in SQL over the table `agents`.
//!
//! The original puts the text of a target into a query of its own and lets the
//! database judge it, so a target can be any expression that PostgreSQL knows,
//! with its functions and its other tables. Here no target reaches a database: it
//! is parsed to one expression, of which each part must be on a short list, and
//! evaluated against one agent.
//!
//! | file | does |
//! | --- | --- |
//! | `read` | text → tokens → syntax tree → [`expression`]; checks types as PostgreSQL does |
//! | `refusal` | names what is not on the list |
//! | `literal` | the text of a literal → number, time, truth value, path |
//! | `expression` | what is left: columns, constants, operators; its value for a row |
//! | `like` | `LIKE` and `ILIKE` |
//!
//! **Invariants.** Logic has three values, and an agent is only selected by a
//! condition that is *true*. A type error is found when the target is read, not
//! when an agent has the value. A target's length and nesting are limited, and
//! its evaluation takes time in proportion to its length and the row's size.

mod expression;
mod like;
mod literal;
mod read;
mod refusal;

use std::fmt;

use jiff::Timestamp;

use expression::Expression;

/// The longest target, in characters: the width of the column that stores it.
const TARGET_CHARS_MAX: usize = 2048;

/// A column of the table `agents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// The agent's id, a number.
    Id,
    Name,
    /// Where its commands are queued.
    QueueLoc,
    /// How it runs, `daemon` for one that stays.
    Mode,
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

    /// Returns the column's name.
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

    /// Returns the type of its values.
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

/// A value of SQL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ColumnValue {
    Null,
    Bool(bool),
    /// A number. Ids have less than 53 bits, so each is exact.
    Number(f64),
    Text(String),
    /// A point in time.
    Time(Timestamp),
    Json(serde_json::Value),
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    Bool,
    Number,
    Text,
    /// A point in time.
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

/// One row of the table `agents`.
pub(crate) trait AgentProperties {
    /// Returns what stands in `column`: a value of the column's type, or null.
    fn value(&self, column: Column) -> ColumnValue;
}

/// Why a target was refused. The texts quote it in excerpts, safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    /// It is longer than the column that stores it.
    #[error("target is longer than {TARGET_CHARS_MAX} characters")]
    Long,
    /// It is no expression in SQL.
    #[error("target is no condition in SQL: {0}")]
    Syntax(String),
    /// Something follows the expression.
    #[error("target goes on after its condition: {0}")]
    Trailing(String),
    /// It uses what targets may not.
    #[error("target uses {0}, which is not allowed here")]
    Refused(String),
    /// It names a column that the table does not have.
    #[error("target names {0}, which is no column of agents")]
    Column(String),
    /// It applies an operator to values that it is not made for.
    #[error("target cannot use {operator} on {kind}")]
    Operand {
        operator: String,
        /// What it was used on.
        kind: ColumnKind,
    },
    /// It compares values of different types.
    #[error("target cannot compare {0} with {1}")]
    Types(ColumnKind, ColumnKind),
    /// A literal is not what its place asks for.
    #[error("target has {literal}, which is not {kind}")]
    Literal {
        literal: String,
        /// What it should be.
        kind: ColumnKind,
    },
    /// A literal is no path into a document, or no pattern.
    #[error("target has a bad {what}: {literal}")]
    Form {
        /// What it should be.
        what: &'static str,
        literal: String,
    },
}

/// A condition over one row of the table `agents`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target(Expression);

impl Target {
    /// Parses a target.
    ///
    /// # Errors
    /// It is no condition, or uses what targets may not; the text names it.
    pub(crate) fn parse(text: &str) -> Result<Target, TargetError> {
        if text.chars().count() > TARGET_CHARS_MAX {
            return Err(TargetError::Long);
        }
        read::condition(text).map(Target)
    }

    /// Tells whether the condition is true of `row`, neither false nor unknown.
    pub(crate) fn matches(&self, row: &dyn AgentProperties) -> bool {
        self.0.value(row) == ColumnValue::Bool(true)
    }
}

#[cfg(test)]
mod tests;
