//! The agents as administrators ask for them: all, silent ones, places that have two.

use jiff::Timestamp;

use super::agent::{self, AgentRow};
use super::database::{Dialect, Query, query};
use super::pages::{Fetched, Pages, after};
use super::{Odd, Row, Store};

/// How many agents with all that is known of them are in memory at a time.
const AGENTS_MAX: i64 = 500;
/// How many names or places are in memory at a time: few enough pages, since each looks at the whole table.
const NAMES_MAX: i64 = 50_000;

/// The column of a row of `agents` that has the place, counted from 0.
const PLACE: usize = 2;
/// Where a page of agents begins that is in the order of their places.
const AFTER_PLACE: &str = "agents.queueloc > $2";

/// A host that was heard and has fallen silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Silent {
    pub(crate) name: String,
    /// When it was heard last; none if that cannot be read of any of its agents.
    pub(crate) heartbeat: Option<Timestamp>,
    /// Which columns cannot be read, of it or of one of its agents.
    pub(crate) odd: Odd,
}

/// A place from which more than one agent is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Double {
    pub(crate) count: i64,
    pub(crate) queueloc: String,
    /// The name of the host, the first one if the agents differ in it.
    pub(crate) name: String,
    /// When one of them was heard last; none if that cannot be read of any.
    pub(crate) heartbeat: Option<Timestamp>,
    /// Which columns cannot be read, of one of them.
    pub(crate) odd: Odd,
}

fn read_silent(mut row: Row) -> Silent {
    let name = row.read_name("name");
    let heartbeat = read_heartbeat(&mut row);
    Silent { name, heartbeat, odd: row.into_odd() }
}

fn read_double(mut row: Row) -> Double {
    let (count, queueloc) = (row.read_number("count"), row.read_name("queueloc"));
    let name = row.read_name("name");
    let heartbeat = read_heartbeat(&mut row);
    Double { count, queueloc, name, heartbeat, odd: row.into_odd() }
}

/// Takes the latest heartbeat that can be read, how many cannot be, and one of those.
fn read_heartbeat(row: &mut Row) -> Option<Timestamp> {
    let heartbeat = row.read_optional_time("heartbeattime");
    row.read_lost("heartbeattime", heartbeat.is_none());
    heartbeat
}

/// Returns the page without all but the first agent of each place; it is in the order of places.
fn of_each_place(mut page: Fetched<AgentRow>) -> Fetched<AgentRow> {
    page.rows.dedup_by(|later, earlier| later.queueloc == earlier.queueloc);
    page
}

impl Store {
    /// Returns the hosts that were heard since `seen` and not since `silent`, by name. A host of
    /// whose heartbeat cannot be read is one of them, unless another of its agents was heard.
    pub(crate) fn silent(&self, seen: Timestamp, silent: Timestamp) -> Pages<'_, Silent> {
        Pages::new(move |last| {
            let query = self.listed(&query!("agents_offline"), after(last, "name > $4"));
            let mut values = vec![seen.into(), silent.into(), NAMES_MAX.into()];
            values.extend_from_slice(last);
            self.page(&query, &values, NAMES_MAX, &[0], read_silent)
        })
    }

    /// Returns the places from which more than one agent was heard since `seen`, those with most first. An
    /// agent whose heartbeat cannot be read counts.
    pub(crate) fn doubles(&self, seen: Timestamp) -> Pages<'_, Double> {
        const AFTER: &str = "(count(*) < $3 or (count(*) = $3 and queueloc > $4))";
        Pages::new(move |last| {
            let query = self.listed(&query!("agents_double"), after(last, AFTER));
            let mut values = vec![seen.into(), NAMES_MAX.into()];
            values.extend_from_slice(last);
            self.page(&query, &values, NAMES_MAX, &[0, 1], read_double)
        })
    }

    /// Returns all agents, those that were registered first first.
    pub(crate) fn agents(&self) -> Pages<'_, AgentRow> {
        Pages::new(move |last| {
            let query = self.listed(&query!("agents_after"), after(last, "agents.id > $2"));
            let mut values = vec![AGENTS_MAX.into()];
            values.extend_from_slice(last);
            self.page(&query, &values, AGENTS_MAX, &[0], agent::read)
        })
    }

    /// Returns the agents that are online or idle, of each place the one that was heard last, by place.
    pub(crate) fn reachable_agents(&self) -> Pages<'_, AgentRow> {
        Pages::new(move |last| {
            let query = self.listed(&query!("live_agents_after"), after(last, AFTER_PLACE));
            let mut values = vec![AGENTS_MAX.into()];
            values.extend_from_slice(last);
            self.page(&query, &values, AGENTS_MAX, &[PLACE], agent::read).map(of_each_place)
        })
    }

    /// Returns a query with the condition where a page begins.
    fn listed(&self, query: &Query, after: &str) -> Query {
        let Dialect { heard, unheard, .. } = self.database().dialect();
        let text = query.text.replace("{after}", after);
        let text = text.replace("{unheard}", unheard).replace("{heard}", heard);
        Query { name: query.name, text: text.into() }
    }

    /// Tells whether the database itself evaluates targets, as a role that can only read.
    pub(crate) fn evaluates_targets(&self) -> bool {
        self.database().dialect().has_roles
    }

    /// Returns those of [`Store::reachable_agents`] for which `target`, a condition in the database's
    /// SQL, is true; only where [`Store::evaluates_targets`].
    pub(crate) fn targeted_agents(&self, target: &str) -> Pages<'_, AgentRow> {
        let target = target.to_owned();
        Pages::new(move |last| {
            let Query { name, text } =
                self.listed(&query!("targeted_agents_after"), after(last, AFTER_PLACE));
            let query = Query { name, text: text.replace("{target}", &target).into() };
            let mut values = vec![AGENTS_MAX.into()];
            values.extend_from_slice(last);
            let rows = self.reading_as_target(|database| database.rows(&query, &values))?;
            Ok(of_each_place(Fetched::new(rows, AGENTS_MAX, &[PLACE], agent::read)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{Kind, Tables, on_each_database};
    use crate::data::tests::{agent, time};

    on_each_database!(
        silent_is_who_was_heard_and_is_not_by_any_agent,
        double_is_a_place_with_more_than_one_agent,
        more_agents_than_a_page_come_each_once
    );

    /// A store with agents of which each has a number, a name, a place and the minutes since it was heard.
    fn heard(kind: Kind, agents: &[(i64, &str, &str, i64)]) -> (Tables, Store) {
        let tables = Tables::new(kind);
        let store = tables.open().unwrap();
        for (number, name, place, minutes) in agents {
            let mut agent = agent(*number);
            (agent.name, agent.queueloc) = ((*name).to_owned(), (*place).to_owned());
            agent.heartbeattime = minutes_ago(*minutes);
            store.upsert_agent(&agent).unwrap();
        }
        (tables, store)
    }

    fn minutes_ago(minutes: i64) -> Timestamp {
        time("2026-11-22T12:00:00Z") - jiff::SignedDuration::from_mins(minutes)
    }

    fn silent_is_who_was_heard_and_is_not_by_any_agent(kind: Kind) {
        const DAY: i64 = 24 * 60;
        let (_tables, store) = heard(
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
        let silent: Result<Vec<Silent>, _> =
            store.silent(minutes_ago(30 * DAY), minutes_ago(5)).collect();
        let silent = silent.unwrap();
        let names: Vec<&str> = silent.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a-silent", "b-silent"]);
        assert_eq!(silent[1].heartbeat, Some(minutes_ago(6)));
    }

    fn double_is_a_place_with_more_than_one_agent(kind: Kind) {
        let (_tables, store) = heard(
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
        let doubles: Result<Vec<Double>, _> = store.doubles(minutes_ago(10)).collect();
        let doubles = doubles.unwrap();
        let told: Vec<(i64, &str, &str)> = doubles
            .iter()
            .map(|one| (one.count, one.queueloc.as_str(), one.name.as_str()))
            .collect();
        assert_eq!(told, [(3, "three", "c"), (2, "also-two", "e"), (2, "two", "a")]);
    }

    fn more_agents_than_a_page_come_each_once(kind: Kind) {
        let agents = AGENTS_MAX + 7;
        let tables = Tables::new(kind);
        let store = tables.open().unwrap();
        for number in 1..=agents {
            let mut agent = agent(number);
            if number % 2 == 0 {
                // Every other place has a second agent, which was heard earlier.
                agent.queueloc = format!("linux.{}", number - 1);
                agent.heartbeattime = minutes_ago(1);
            }
            store.upsert_agent(&agent).unwrap();
        }
        let ids: Result<Vec<i64>, _> =
            store.agents().map(|agent| agent.map(|agent| agent.id.number())).collect();
        assert_eq!(ids.unwrap(), (1..=agents).collect::<Vec<i64>>());
        let reachable: Result<Vec<AgentRow>, _> = store.reachable_agents().collect();
        let mut odd: Vec<i64> = reachable.unwrap().iter().map(|agent| agent.id.number()).collect();
        odd.sort_unstable();
        assert_eq!(odd, (1..=agents).step_by(2).collect::<Vec<i64>>());
    }
}
