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

/// Maximum length of a JSON column of a row that is used, in characters. The queries cut longer ones
/// off, and such a column cannot be read.
const JSON_CHARS_MAX: usize = 65_536;

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
        environment: row.read_short_json("environment", JSON_CHARS_MAX),
        tags: row.read_short_json("tags", JSON_CHARS_MAX),
        loadername: row.read_optional_text("loadername"),
        invalid: row.into_invalid(),
    }
}

/// The number of live agents with a status and a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AgentCount {
    pub(crate) status: String,
    pub(crate) version: String,
    pub(crate) count: i64,
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

    /// Returns the agent of this queue with the latest heartbeat, of those that are online or idle.
    pub(crate) fn live_agent_at(&self, queueloc: &str) -> Result<Option<AgentRow>, DataError> {
        self.one(&query!("live_agent_by_queueloc"), &[queueloc.into()], read)
    }

    /// Returns the id of the agent of this queue with the latest heartbeat. An agent whose id cannot
    /// be read is ignored, because nothing can be stored about it.
    pub(crate) fn agent_id_at(&self, queueloc: &str) -> Result<Option<Id>, DataError> {
        let query = query!("agent_id_by_queueloc");
        let found = self.one(&query, &[queueloc.into()], |mut row| row.id().ok())?;
        Ok(found.flatten())
    }

    /// Returns the number of agents with a heartbeat since `since`, or that have never answered a
    /// command.
    pub(crate) fn current_agents(&self, since: Timestamp) -> Result<i64, DataError> {
        let query = query!("count_current_agents");
        let count = self.one(&query, &[since.into()], |mut row| row.read_number("count"))?;
        Ok(count.unwrap_or(0))
    }

    /// Returns the numbers of online and idle agents by status and version, in this order. Of the
    /// agents of a queue, the one with the latest heartbeat counts.
    pub(crate) fn live_agent_versions(&self) -> Result<Vec<AgentCount>, DataError> {
        let mut counts = self.all(&query!("live_agent_versions"), &[], |mut row| AgentCount {
            status: row.read_text("status"),
            version: row.read_text("version"),
            count: row.read_number("count"),
        })?;
        counts.sort();
        Ok(counts)
    }

    /// Removes an agent that has sent no heartbeat since `since`, with its expired commands; returns
    /// the number of agents removed. Requires that it has no other commands.
    pub(crate) fn delete_agent(&self, id: Id, since: Timestamp) -> Result<u64, DataError> {
        self.transaction(|database| {
            database.run(&query!("delete_commands_of_agent"), &[id.into(), since.into()])?;
            database.run(&query!("delete_agent"), &[id.into(), since.into()])
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{DatabaseKind, Tables, on_each_database};
    use crate::data::tests::{agent, time};

    on_each_database!(
        oversized_column_is_not_loaded,
        agents_are_counted_by_version,
        silent_agent_counts_until_it_has_answered,
        agent_is_removed_with_its_expired_commands
    );

    #[test]
    fn queries_cut_off_what_cannot_be_used() {
        let cut = format!("as text), 1, {})", JSON_CHARS_MAX + 1);
        for query in [
            query!("agent"),
            query!("agents_after"),
            query!("live_agent_by_queueloc"),
            query!("live_agents_after"),
            query!("search_agents"),
            query!("targeted_agents_after"),
        ] {
            assert_eq!(query.text.matches(&cut).count(), 2, "{}", query.name);
        }
    }

    fn oversized_column_is_not_loaded(kind: DatabaseKind) {
        let tables = Tables::new(kind);
        let store = tables.open().unwrap();
        let json = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
        let (environment, tags) = (json(JSON_CHARS_MAX + 1), json(JSON_CHARS_MAX));
        store.upsert_agent(&AgentRow { environment, tags: tags.clone(), ..agent(1) }).unwrap();
        let found = store.agent(Id::new(1)).unwrap().unwrap();
        assert_eq!((found.environment.as_str(), found.tags), ("null", tags));
        let invalid = found.invalid.to_string();
        assert!(found.invalid.is_unreadable("environment"), "{invalid}");
        assert!(invalid.contains("longer than 65536 characters"), "{invalid}");
    }

    fn agents_are_counted_by_version(kind: DatabaseKind) {
        let tables = Tables::new(kind);
        let store = tables.open().unwrap();
        let (older, newer) = (time("2026-11-22T12:00:00Z"), time("2026-11-22T12:01:00Z"));
        for (id, queue, version, heartbeattime) in
            [(1, "a", "1", older), (2, "a", "2", newer), (3, "b", "2", older), (4, "c", "1", older)]
        {
            let (queueloc, version) = (queue.to_owned(), version.to_owned());
            store
                .upsert_agent(&AgentRow { queueloc, version, heartbeattime, ..agent(id) })
                .unwrap();
        }
        let counts = store.live_agent_versions().unwrap();
        let counts: Vec<_> = counts
            .iter()
            .map(|count| (count.status.as_str(), count.version.as_str(), count.count))
            .collect();
        assert_eq!(counts, [("online", "1", 1), ("online", "2", 2)]);
    }

    fn silent_agent_counts_until_it_has_answered(kind: DatabaseKind) {
        use crate::action::CommandStatus;
        use crate::data::tests::action;

        let tables = Tables::new(kind);
        let store = tables.open().unwrap();
        let heartbeat = time("2026-11-22T12:00:00Z");
        let later = heartbeat + jiff::SignedDuration::from_mins(1);
        for id in 1..=4 {
            store.upsert_agent(&AgentRow { heartbeattime: heartbeat, ..agent(id) }).unwrap();
        }
        let counts =
            || (store.current_agents(heartbeat).unwrap(), store.current_agents(later).unwrap());
        let commands = [1, 2, 3].map(|id| (Id::new(10 + id), Id::new(id)));
        store.insert_action(&action(10), &[]).unwrap();
        store.begin_action(Id::new(10), &commands, "[]", heartbeat).unwrap();
        assert_eq!(counts(), (4, 4));
        for (id, status) in [(11, CommandStatus::Expired), (12, CommandStatus::Success)] {
            store.finish_command(Id::new(id), status, "[]", heartbeat).unwrap();
        }
        assert_eq!(counts(), (4, 3));
    }

    fn agent_is_removed_with_its_expired_commands(kind: DatabaseKind) {
        use crate::action::CommandStatus;
        use crate::data::tests::action;

        let tables = Tables::new(kind);
        let store = tables.open().unwrap();
        let heartbeat = time("2026-11-22T12:00:00Z");
        let later = heartbeat + jiff::SignedDuration::from_mins(1);
        let commands = [1, 2, 3, 4].map(|id| (Id::new(10 + id), Id::new(id)));
        for (_, id) in commands {
            store
                .upsert_agent(&AgentRow { heartbeattime: heartbeat, ..agent(id.number()) })
                .unwrap();
        }
        store.upsert_agent(&AgentRow { heartbeattime: later, ..agent(5) }).unwrap();
        store.insert_action(&action(10), &[]).unwrap();
        store.begin_action(Id::new(10), &commands, "[]", heartbeat).unwrap();
        for (id, status) in [(11, CommandStatus::Expired), (12, CommandStatus::Success)] {
            store.finish_command(Id::new(id), status, "[]", heartbeat).unwrap();
        }
        store.finish_command(Id::new(14), CommandStatus::Expired, "[]", heartbeat).unwrap();
        let silent: Result<Vec<(Option<Id>, String)>, _> =
            store.unanswering_agents(later).collect();
        let silent: Vec<i64> = silent.unwrap().iter().map(|(id, _)| id.unwrap().number()).collect();
        assert_eq!(silent, [1, 4]);
        for id in silent {
            assert_eq!(store.delete_agent(Id::new(id), later).unwrap(), 1);
            assert_eq!(store.delete_agent(Id::new(id), later).unwrap(), 0);
        }
        let left: Result<Vec<AgentRow>, _> = store.agents().collect();
        let left: Vec<i64> = left.unwrap().iter().map(|agent| agent.id.number()).collect();
        assert_eq!(left, [2, 3, 5]);
        assert_eq!(store.commands_of(Id::new(10)).unwrap().len(), 2);
    }
}
