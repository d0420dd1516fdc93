//! The table `agents`: who can be asked.

use jiff::Timestamp;

use super::database::{Value, query};
use super::filter::{Filter, Page};
use super::{DataError, Id, Odd, Row, Store};

/// How an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AgentStatus {
    /// It was heard lately.
    Online,
    /// It was not heard for some heartbeats.
    Idle,
    /// It was not heard for so long that nobody waits for it.
    Offline,
}

impl AgentStatus {
    /// Returns the status as the platform writes it.
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
    /// Where its commands are sent: one a host.
    pub(crate) queueloc: String,
    pub(crate) mode: String,
    pub(crate) version: String,
    pub(crate) pid: i64,
    pub(crate) starttime: Timestamp,
    /// When it was destroyed.
    pub(crate) destructiontime: Option<Timestamp>,
    /// When it was heard last.
    pub(crate) heartbeattime: Timestamp,
    /// When its environment was looked at last.
    pub(crate) refreshtime: Timestamp,
    pub(crate) status: String,
    /// What its host is like, as JSON.
    pub(crate) environment: String,
    /// What its owner calls it, as JSON.
    pub(crate) tags: String,
    /// The loader that put it there.
    pub(crate) loadername: String,
    /// Which columns cannot be read.
    pub(crate) odd: Odd,
}

/// Every status that the platform's programs give an agent.
const STATUSES: [&str; 5] = ["online", "idle", "offline", "upgraded", "destroyed"];

/// Reads a row with all columns, in the order of the table.
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
        odd: row.into_odd(),
    }
}

impl Store {
    /// Notes that an agent was heard: keeps it, or what is new about it.
    pub(crate) fn upsert_agent(&self, agent: &AgentRow) -> Result<(), DataError> {
        let values: [Value; 14] = [
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

    /// Notes that agents that were online and not heard since `since` are idle.
    pub(crate) fn silence_agents(&self, since: Timestamp) -> Result<(), DataError> {
        let values =
            [AgentStatus::Online.as_str().into(), since.into(), AgentStatus::Idle.as_str().into()];
        self.run(&query!("silence_agents"), &values).map(drop)
    }

    /// Notes that agents that were not heard since `since` are offline.
    pub(crate) fn retire_agents(&self, since: Timestamp) -> Result<(), DataError> {
        let values = [since.into(), AgentStatus::Offline.as_str().into()];
        self.run(&query!("retire_agents"), &values).map(drop)
    }

    /// Returns how many places have agents, but none that is online or idle.
    pub(crate) fn disappeared_endpoints(&self) -> Result<i64, DataError> {
        let count =
            self.one(&query!("disappeared_endpoints"), &[], |mut row| row.read_number("count"))?;
        Ok(count.unwrap_or(0))
    }

    /// Returns the agent with this id.
    pub(crate) fn agent(&self, id: Id) -> Result<Option<AgentRow>, DataError> {
        self.one(&query!("agent"), &[id.into()], read)
    }

    /// Returns the agent that was heard last from this place. One whose id cannot be read is none:
    /// nothing can be noted about it.
    pub(crate) fn agent_at(&self, queueloc: &str) -> Result<Option<AgentRow>, DataError> {
        let found = self.one(&query!("agent_by_queueloc"), &[queueloc.into()], read)?;
        Ok(found.filter(|agent| !agent.odd.has_lost("id")))
    }

    /// Returns the agents that are online or idle, of each place the one that was heard last.
    pub(crate) fn live_agents(&self) -> Result<Vec<AgentRow>, DataError> {
        let mut agents = self.all(&query!("live_agents"), &[], read)?;
        agents.dedup_by(|later, earlier| later.queueloc == earlier.queueloc);
        Ok(agents)
    }

    /// Returns a page of the agents that a filter selects, the one heard last first.
    pub(crate) fn search_agents(
        &self,
        filter: &Filter,
        page: Page,
    ) -> Result<Vec<AgentRow>, DataError> {
        let (query, values) =
            filter.of_agents(&query!("search_agents"), page, self.database().dialect());
        self.all(&query, &values, read)
    }
}
