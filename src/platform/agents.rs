//! Agents in the platform's database: their rows, made from heartbeats and read by targets.

use std::time::Duration;

use super::target::{AgentProperties, Column, ColumnValue};
use crate::data::{AgentRow, AgentStatus, Id, InvalidColumns, NEVER_FINISHED};
use crate::relay::Heartbeat;

/// Time without a heartbeat after which an agent of another host is removed.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(86_400);

/// Returns the row of an agent that has just sent a heartbeat.
pub(super) fn row(id: Id, heartbeat: Heartbeat) -> AgentRow {
    AgentRow {
        id,
        name: heartbeat.name,
        queueloc: heartbeat.queue,
        mode: heartbeat.mode,
        version: heartbeat.version,
        pid: heartbeat.pid.into(),
        starttime: heartbeat.started,
        destructiontime: Some(NEVER_FINISHED),
        heartbeattime: heartbeat.sent,
        refreshtime: heartbeat.refreshed,
        status: AgentStatus::Online.as_str().to_owned(),
        environment: heartbeat.environment,
        tags: heartbeat.tags,
        loadername: String::new(),
        invalid: InvalidColumns::default(),
    }
}

impl AgentProperties for AgentRow {
    fn value(&self, column: Column) -> ColumnValue {
        // A condition on a column that cannot be read is unknown.
        if self.invalid.is_unreadable(column.name()) {
            return ColumnValue::Null;
        }
        let text = |text: &str| ColumnValue::Text(text.to_owned());
        // An agent never writes invalid JSON; a condition on such a value is unknown.
        let json =
            |text: &str| serde_json::from_str(text).map_or(ColumnValue::Null, ColumnValue::Json);
        match column {
            Column::Id => ColumnValue::Number(self.id.float()),
            Column::Name => text(&self.name),
            Column::QueueLoc => text(&self.queueloc),
            Column::Mode => text(&self.mode),
            Column::Version => text(&self.version),
            Column::Pid => ColumnValue::Number(Id::new(self.pid).float()),
            Column::StartTime => ColumnValue::Time(self.starttime),
            Column::DestructionTime => {
                self.destructiontime.map_or(ColumnValue::Null, ColumnValue::Time)
            }
            Column::HeartbeatTime => ColumnValue::Time(self.heartbeattime),
            Column::RefreshTime => ColumnValue::Time(self.refreshtime),
            Column::Status => text(&self.status),
            Column::Environment => json(&self.environment),
            Column::Tags => json(&self.tags),
            Column::LoaderName => text(&self.loadername),
        }
    }
}
