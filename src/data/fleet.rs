//! Lists of agents for administrators: all, silent hosts, duplicate agents, agents of a target.

use jiff::Timestamp;

use super::agent::{self, AgentRow};
use super::database::{Dialect, Query, query};
#[cfg(any(test, feature = "platform"))]
use super::id::Id;
use super::invalid::InvalidColumns;
use super::pages::{FetchedPage, Pages, after};
use super::row::Row;
use super::store::Store;

/// Number of agents, with all of their columns, fetched at a time: a page has at most 10 MB.
const AGENTS_MAX: i64 = 64;
/// Number of hosts or queues fetched at a time. Each page scans the whole table, so pages are
/// large.
const NAMES_MAX: i64 = 50_000;

/// The number of the column `queueloc` in a row of `agents`, counted from 0.
const QUEUELOC: usize = 2;
/// The condition that begins a page of agents ordered by queue.
const AFTER_QUEUE: &str = "agents.queueloc > $2";

/// A host that sent heartbeats and has fallen silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SilentHost {
    pub(crate) name: String,
    /// The latest heartbeat; `None` if no heartbeat of its agents can be read.
    pub(crate) heartbeat: Option<Timestamp>,
    /// The invalid columns of the host or of one of its agents.
    pub(crate) invalid: InvalidColumns,
}

/// A queue that several agents use at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DuplicateAgents {
    pub(crate) count: i64,
    pub(crate) queueloc: String,
    /// The name of the host; the first in order if the agents have different names.
    pub(crate) name: String,
    /// The latest heartbeat; `None` if no heartbeat of the agents can be read.
    pub(crate) heartbeat: Option<Timestamp>,
    /// The invalid columns of one of the agents.
    pub(crate) invalid: InvalidColumns,
}

fn read_silent_host(mut row: Row) -> SilentHost {
    let name = row.read_name("name");
    let heartbeat = read_heartbeat(&mut row);
    SilentHost { name, heartbeat, invalid: row.into_invalid() }
}

fn read_duplicate_agents(mut row: Row) -> DuplicateAgents {
    let (count, queueloc) = (row.read_number("count"), row.read_name("queueloc"));
    let name = row.read_name("name");
    let heartbeat = read_heartbeat(&mut row);
    DuplicateAgents { count, queueloc, name, heartbeat, invalid: row.into_invalid() }
}

/// Takes three columns: the latest readable heartbeat, the number of unreadable ones, and one of
/// these.
fn read_heartbeat(row: &mut Row) -> Option<Timestamp> {
    let heartbeat = row.read_optional_time("heartbeattime");
    row.read_unreadable_agents("heartbeattime", heartbeat.is_none());
    heartbeat
}

/// Keeps only the first agent of each queue in a page ordered by queue.
fn first_of_each_queue(mut page: FetchedPage<AgentRow>) -> FetchedPage<AgentRow> {
    page.rows.dedup_by(|later, earlier| later.queueloc == earlier.queueloc);
    page
}

impl Store {
    /// Returns the hosts with a heartbeat since `seen` and none since `silent`, by name. A host
    /// with an unreadable heartbeat is included unless another of its agents sent one since
    /// `silent`.
    pub(crate) fn silent_hosts(&self, seen: Timestamp, silent: Timestamp) -> Pages<'_, SilentHost> {
        Pages::new(move |last| {
            let query = self.agent_query(&query!("silent_hosts"), after(last, "name > $4"));
            let mut values = vec![seen.into(), silent.into(), NAMES_MAX.into()];
            values.extend_from_slice(last);
            self.page(&query, &values, NAMES_MAX, &[0], read_silent_host)
        })
    }

    /// Returns the queues of which more than one agent sent a heartbeat since `seen`, those with
    /// the most agents first. Agents with an unreadable heartbeat count.
    pub(crate) fn duplicate_agents(&self, seen: Timestamp) -> Pages<'_, DuplicateAgents> {
        const AFTER: &str = "(count(*) < $3 or (count(*) = $3 and queueloc > $4))";
        Pages::new(move |last| {
            let query = self.agent_query(&query!("duplicate_agents"), after(last, AFTER));
            let mut values = vec![seen.into(), NAMES_MAX.into()];
            values.extend_from_slice(last);
            self.page(&query, &values, NAMES_MAX, &[0, 1], read_duplicate_agents)
        })
    }

    /// Returns all agents in the order of their ids, which is that of their registration.
    pub(crate) fn agents(&self) -> Pages<'_, AgentRow> {
        Pages::new(move |last| {
            let query = self.agent_query(&query!("agents_after"), after(last, "agents.id > $2"));
            let mut values = vec![AGENTS_MAX.into()];
            values.extend_from_slice(last);
            self.page(&query, &values, AGENTS_MAX, &[0], agent::read)
        })
    }

    /// Returns the online and idle agents, for each queue the one with the latest heartbeat, by
    /// queue.
    pub(crate) fn live_agents(&self) -> Pages<'_, AgentRow> {
        Pages::new(move |last| {
            let query = self.agent_query(&query!("live_agents_after"), after(last, AFTER_QUEUE));
            let mut values = vec![AGENTS_MAX.into()];
            values.extend_from_slice(last);
            let page = self.page(&query, &values, AGENTS_MAX, &[QUEUELOC], agent::read);
            page.map(first_of_each_queue)
        })
    }

    /// Returns ids and queues of the agents without a heartbeat since `since` that have never
    /// answered a command. An id that cannot be read is `None`.
    #[cfg(any(test, feature = "platform"))]
    pub(crate) fn unanswering_agents(&self, since: Timestamp) -> Pages<'_, (Option<Id>, String)> {
        Pages::new(move |last| {
            let after = after(last, "agents.id > $3");
            let query = self.agent_query(&query!("unanswering_agents_after"), after);
            let mut values = vec![since.into(), AGENTS_MAX.into()];
            values.extend_from_slice(last);
            let read = |mut row: Row| (row.id().ok(), row.read_name("queueloc"));
            self.page(&query, &values, AGENTS_MAX, &[0], read)
        })
    }

    /// Fills in the condition that begins a page and the conditions on heartbeats.
    fn agent_query(&self, query: &Query, after: &str) -> Query {
        let Dialect { readable_heartbeat, unreadable_heartbeat, .. } = self.database().dialect();
        let text = query.text.replace("{after}", after);
        let text = text.replace("{unreadable}", unreadable_heartbeat);
        let text = text.replace("{readable}", readable_heartbeat);
        Query { name: query.name, text: text.into() }
    }

    /// Returns whether the database itself evaluates targets, as a role that can only read.
    pub(crate) fn evaluates_targets(&self) -> bool {
        self.database().dialect().has_roles
    }

    /// Returns those of [`Store::live_agents`] for which the SQL condition `target` is true.
    /// Requires [`Store::evaluates_targets`].
    pub(crate) fn targeted_agents(&self, target: &str) -> Pages<'_, AgentRow> {
        let target = target.to_owned();
        Pages::new(move |last| {
            let Query { name, text } =
                self.agent_query(&query!("targeted_agents_after"), after(last, AFTER_QUEUE));
            let query = Query { name, text: text.replace("{target}", &target).into() };
            let mut values = vec![AGENTS_MAX.into()];
            values.extend_from_slice(last);
            let rows = self.target_transaction(|database| database.rows(&query, &values))?;
            let page = FetchedPage::new(rows, AGENTS_MAX, &[QUEUELOC], agent::read);
            Ok(first_of_each_queue(page))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{DatabaseKind, Tables, on_each_database};
    use crate::data::tests::{agent, time};

    on_each_database!(
        host_without_a_recent_heartbeat_is_silent,
        queue_with_more_than_one_agent_is_listed,
        each_agent_is_listed_once_across_pages
    );

    /// Returns a store with agents, each given as id, host, queue, and minutes since its heartbeat.
    fn with_agents(kind: DatabaseKind, agents: &[(i64, &str, &str, i64)]) -> (Tables, Store) {
        let tables = Tables::new(kind);
        let store = tables.open().unwrap();
        for (number, name, queueloc, minutes) in agents {
            let mut agent = agent(*number);
            (agent.name, agent.queueloc) = ((*name).to_owned(), (*queueloc).to_owned());
            agent.heartbeattime = minutes_ago(*minutes);
            store.upsert_agent(&agent).unwrap();
        }
        (tables, store)
    }

    fn minutes_ago(minutes: i64) -> Timestamp {
        time("2026-11-22T12:00:00Z") - jiff::SignedDuration::from_mins(minutes)
    }

    fn host_without_a_recent_heartbeat_is_silent(kind: DatabaseKind) {
        const DAY: i64 = 24 * 60;
        let (_tables, store) = with_agents(
            kind,
            &[
                (1, "b-silent", "q1", 6),
                (2, "alive", "q2", 4),
                (3, "twice", "q3", 60),
                (4, "twice", "q4", 1),
                (5, "gone", "q5", 31 * DAY),
                (6, "a-silent", "q6", 29 * DAY),
                (7, "a-silent", "q7", 40 * DAY),
            ],
        );
        let silent: Result<Vec<SilentHost>, _> =
            store.silent_hosts(minutes_ago(30 * DAY), minutes_ago(5)).collect();
        let silent = silent.unwrap();
        let names: Vec<&str> = silent.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["a-silent", "b-silent"]);
        assert_eq!(silent[1].heartbeat, Some(minutes_ago(6)));
    }

    fn queue_with_more_than_one_agent_is_listed(kind: DatabaseKind) {
        let (_tables, store) = with_agents(
            kind,
            &[
                (1, "b", "two", 1),
                (2, "a", "two", 2),
                (3, "c", "three", 1),
                (4, "c", "three", 1),
                (5, "c", "three", 9),
                (6, "d", "one", 1),
                (7, "d", "one", 11),
                (8, "e", "also-two", 1),
                (9, "e", "also-two", 1),
            ],
        );
        let duplicates: Result<Vec<DuplicateAgents>, _> =
            store.duplicate_agents(minutes_ago(10)).collect();
        let duplicates = duplicates.unwrap();
        let listed: Vec<(i64, &str, &str)> = duplicates
            .iter()
            .map(|one| (one.count, one.queueloc.as_str(), one.name.as_str()))
            .collect();
        assert_eq!(listed, [(3, "three", "c"), (2, "also-two", "e"), (2, "two", "a")]);
    }

    fn each_agent_is_listed_once_across_pages(kind: DatabaseKind) {
        let agents = AGENTS_MAX + 7;
        let tables = Tables::new(kind);
        let store = tables.open().unwrap();
        for number in 1..=agents {
            let mut agent = agent(number);
            if number % 2 == 0 {
                // Every other queue has a second agent, with an earlier heartbeat.
                agent.queueloc = format!("linux.{}", number - 1);
                agent.heartbeattime = minutes_ago(1);
            }
            store.upsert_agent(&agent).unwrap();
        }
        let ids: Result<Vec<i64>, _> =
            store.agents().map(|agent| agent.map(|agent| agent.id.number())).collect();
        assert_eq!(ids.unwrap(), (1..=agents).collect::<Vec<i64>>());
        let live: Result<Vec<AgentRow>, _> = store.live_agents().collect();
        let mut first: Vec<i64> = live.unwrap().iter().map(|agent| agent.id.number()).collect();
        first.sort_unstable();
        assert_eq!(first, (1..=agents).step_by(2).collect::<Vec<i64>>());
    }
}
