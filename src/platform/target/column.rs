//! The columns of the table `agents`, and the SQL values that they contain.

use std::fmt;

use jiff::Timestamp;

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
    pub(super) fn kind(self) -> ColumnKind {
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
