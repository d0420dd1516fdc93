//! An agent's row as the conditions of targets see it.

use crate::data::{AgentRow, Id};

impl crate::platform::target::AgentRow for AgentRow {
    fn value(&self, column: crate::platform::target::Column) -> crate::platform::target::Value {
        use crate::platform::target::{Column, Value};
        // A condition on what cannot be read is unknown.
        if self.invalid.is_unreadable(column.name()) {
            return Value::Null;
        }
        let text = |text: &str| Value::Text(text.to_owned());
        // An agent never writes invalid JSON; a condition on such a value is unknown.
        let json = |text: &str| serde_json::from_str(text).map_or(Value::Null, Value::Json);
        match column {
            Column::Id => Value::Number(self.id.float()),
            Column::Name => text(&self.name),
            Column::QueueLoc => text(&self.queueloc),
            Column::Mode => text(&self.mode),
            Column::Version => text(&self.version),
            Column::Pid => Value::Number(Id::new(self.pid).float()),
            Column::StartTime => Value::Time(self.starttime),
            Column::DestructionTime => self.destructiontime.map_or(Value::Null, Value::Time),
            Column::HeartbeatTime => Value::Time(self.heartbeattime),
            Column::RefreshTime => Value::Time(self.refreshtime),
            Column::Status => text(&self.status),
            Column::Environment => json(&self.environment),
            Column::Tags => json(&self.tags),
            Column::LoaderName => text(&self.loadername),
        }
    }
}
