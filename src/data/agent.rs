//! The table `agents`.

use jiff::Timestamp;

use super::database::query;
use super::error::DataError;
use super::filter::{SearchFilter, SearchPage};
use super::id::Id;
use super::invalid::InvalidColumns;
use super::row::Row;
use super::store::Store;
use super::value::SqlValue;

/// The status that the scheduler gives an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AgentStatus {
    /// Its heartbeats arrive.
    Online,
    /// It missed some heartbeats.
    Idle,
    /// It has been silent for so long that it gets no commands.
    Offline,
}

impl AgentStatus {
    /// Returns the platform's word for the status.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            AgentStatus::Online => "online",
            AgentStatus::Idle => "idle",
            AgentStatus::Offline => "offline",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AgentRow {
    pub(crate) id: Id,
    /// The name of its host.
    pub(crate) name: String,
    /// The queue that its commands are sent to. Each host has one.
    pub(crate) queueloc: String,
    pub(crate) mode: String,
    pub(crate) version: String,
    pub(crate) pid: i64,
    pub(crate) starttime: Timestamp,
    /// When it was removed from its host.
    pub(crate) destructiontime: Option<Timestamp>,
    /// When its last heartbeat arrived.
    pub(crate) heartbeattime: Timestamp,
    /// When it last read its environment.
    pub(crate) refreshtime: Timestamp,
    pub(crate) status: String,
    /// The properties of its host, as JSON.
    pub(crate) environment: String,
    /// The tags that its owner gave it, as JSON.
    pub(crate) tags: String,
    /// The loader that installed it.
    pub(crate) loadername: String,
    pub(crate) invalid: InvalidColumns,
}

/// All statuses that the original's programs give an agent.
const STATUSES: [&str; 5] = ["online", "idle", "offline", "upgraded", "destroyed"];

/// Reads a row with all columns of the table, in the table's order.
pub(super) fn read(mut row: Row) -> AgentRow {
    AgentRow {
        id: row.read_id("id"),
        name: row.read_name("name"),
        queueloc: row.read_name("queueloc"),
        mode: row.read_text("mode"),
        version: row.read_text("version"),
        pid: row.read_number("pid"),
        starttime: row.read_time("starttime"),
        destructiontime: row.read_optional_time("destructiontime"),
        heartbeattime: row.read_time("heartbeattime"),
        refreshtime: row.read_time("refreshtime"),
        status: row.read_word("status", &STATUSES),
        environment: row.read_json("environment"),
        tags: row.read_json("tags"),
        loadername: row.read_optional_text("loadername"),
        invalid: row.into_invalid(),
    }
}

impl Store {
    /// Stores a heartbeat: inserts the agent, or updates its row.
    pub(crate) fn upsert_agent(&self, agent: &AgentRow) -> Result<(), DataError> {
        let values: [SqlValue; 14] = [
            agent.id.into(),
            agent.name.as_str().into(),
            agent.queueloc.as_str().into(),
            agent.mode.as_str().into(),
            agent.version.as_str().into(),
            agent.pid.into(),
            agent.starttime.into(),
            agent.destructiontime.into(),
            agent.heartbeattime.into(),
            agent.refreshtime.into(),
            agent.status.as_str().into(),
            agent.environment.as_str().into(),
            agent.tags.as_str().into(),
            agent.loadername.as_str().into(),
        ];
        self.run(&query!("upsert_agent"), &values).map(drop)
    }

    /// Marks online agents without a heartbeat since `since` as idle.
    pub(crate) fn mark_agents_idle(&self, since: Timestamp) -> Result<(), DataError> {
        let values =
            [AgentStatus::Online.as_str().into(), since.into(), AgentStatus::Idle.as_str().into()];
        self.run(&query!("mark_agents_idle"), &values).map(drop)
    }

    /// Marks agents without a heartbeat since `since` as offline.
    pub(crate) fn mark_agents_offline(&self, since: Timestamp) -> Result<(), DataError> {
        let values = [since.into(), AgentStatus::Offline.as_str().into()];
        self.run(&query!("mark_agents_offline"), &values).map(drop)
    }

    /// Returns the number of queues that have agents but no online or idle one.
    pub(crate) fn disappeared_endpoints(&self) -> Result<i64, DataError> {
        let count =
            self.one(&query!("disappeared_endpoints"), &[], |mut row| row.read_number("count"))?;
        Ok(count.unwrap_or(0))
    }

    pub(crate) fn agent(&self, id: Id) -> Result<Option<AgentRow>, DataError> {
        self.one(&query!("agent"), &[id.into()], read)
    }

    /// Returns the agent of this queue with the latest heartbeat. An agent whose id cannot be read
    /// is ignored, because nothing can be stored about it.
    pub(crate) fn agent_at(&self, queueloc: &str) -> Result<Option<AgentRow>, DataError> {
        let found = self.one(&query!("agent_by_queueloc"), &[queueloc.into()], read)?;
        Ok(found.filter(|agent| !agent.invalid.is_unreadable("id")))
    }

    /// Returns the online and idle agents, for each queue the one with the latest heartbeat.
    pub(crate) fn live_agents(&self) -> Result<Vec<AgentRow>, DataError> {
        let mut agents = self.all(&query!("live_agents"), &[], read)?;
        agents.dedup_by(|later, earlier| later.queueloc == earlier.queueloc);
        Ok(agents)
    }

    /// Returns a page of the agents that match a filter, latest heartbeat first.
    pub(crate) fn search_agents(
        &self,
        filter: &SearchFilter,
        page: SearchPage,
    ) -> Result<Vec<AgentRow>, DataError> {
        let restrict = |condition: &mut _| filter.restrict_agents(condition);
        self.search(&query!("search_agents"), page, restrict, read)
    }
}
