//! The content of the recorded platform's database at the time of a request.
//!
//! It was not recorded, but can be derived from the responses. A resource has the state of the last
//! response that contains it, or of the first one if that came later and the resource existed
//! already. The response to the request itself takes precedence. So the database contains the rows
//! that a search must not find as well as those that it must find.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use jiff::Timestamp;
use serde_json::Value;

use super::database::TestDatabase;
use super::recording::{Exchange, Resource};
use super::rows::{self, bits, quoted, time};

/// The agent of nearly all recorded commands.
const AGENT: i64 = 28_052_712_325_126;
/// The first id of commands that were counted but not recorded.
const COUNTED_IDS: i64 = 1_000_000;

/// The state of a resource in one response.
#[derive(Debug)]
struct Report {
    time: Timestamp,
    exchange: usize,
    resource: Resource,
    /// Whether the state is complete: a command contains less of its action and its agent.
    is_whole: bool,
    /// When the resource started. "Never" is a time long ago.
    begin: Timestamp,
    /// The action of a command.
    action: i64,
    /// The statement that inserts the row; for a command or an agent, up to the status.
    row: String,
}

impl Report {
    /// Returns whether the resource existed at `now`, before this report.
    fn had_begun(&self, now: Timestamp) -> bool {
        self.begin <= now && self.begin.as_second() > 0
    }

    /// Returns the statement for a command or an agent with this status.
    fn with_status(&self, status: &str) -> String {
        format!("{}{});\n", self.row, quoted(status))
    }
}

/// The states of all resources in the recordings, by id.
#[derive(Debug, Default)]
pub(super) struct RecordedState {
    actions: BTreeMap<i64, Vec<Report>>,
    commands: BTreeMap<i64, Vec<Report>>,
    agents: BTreeMap<i64, Vec<Report>>,
    investigators: BTreeMap<i64, Vec<Report>>,
}

impl RecordedState {
    /// Returns the states in these exchanges.
    pub(super) fn of(exchanges: &[Exchange]) -> RecordedState {
        let mut state = RecordedState::default();
        for (index, exchange) in exchanges.iter().enumerate() {
            for (name, value) in exchange.values() {
                let resource = || Resource::read(value.get());
                match name.as_str() {
                    "command" => state.add_command(index, exchange.time, resource()),
                    "agent" => {
                        let (resource, agents) = (resource(), &mut state.agents);
                        let row = rows::agent(&resource, true);
                        add(agents, index, exchange.time, resource, true, row);
                    }
                    "action" => state.add_action(index, exchange.time, resource(), true),
                    name if name.starts_with("action ID") => {
                        state.add_action(index, exchange.time, resource(), true);
                    }
                    _ => {}
                }
            }
        }
        state
    }

    fn add_action(&mut self, index: usize, time: Timestamp, resource: Resource, is_whole: bool) {
        for investigator in resource.resources("investigators") {
            add(&mut self.investigators, index, time, investigator, true, String::new());
        }
        let row = rows::action(&resource, is_whole);
        add(&mut self.actions, index, time, resource, is_whole, row);
    }

    fn add_command(&mut self, index: usize, time: Timestamp, resource: Resource) {
        self.add_action(index, time, resource.resource("action"), false);
        let agent = resource.resource("agent");
        let row = rows::agent(&agent, false);
        add(&mut self.agents, index, time, agent, false, row);
        let row = rows::command(&resource);
        add(&mut self.commands, index, time, resource, true, row);
    }

    pub(super) fn fingerprint(&self, investigator: i64) -> String {
        self.investigators[&investigator][0].resource.text("pgpfingerprint")
    }

    /// Replaces all rows of the database by those at the time of an exchange.
    pub(super) fn seed(&self, index: usize, exchange: &Exchange, database: &mut TestDatabase) {
        let moment = Moment { index, exchange, state: self };
        let mut sql = String::from("begin;\n");
        for table in ["signatures", "commands", "actions", "agents"] {
            writeln!(sql, "delete from {table};").unwrap();
        }
        let (actions, commands) = (moment.actions(), moment.commands());
        moment.write_agents(&commands, &mut sql);
        sql.extend(actions.values().map(|report| report.row.as_str()));
        for (command, status) in &commands {
            sql.push_str(&command.with_status(status));
        }
        moment.write_counted(&actions, &commands, &mut sql);
        sql.push_str("commit;\n");
        database.run(&sql);
    }

    /// Inserts the investigators; `keys` contains fingerprint and key of each.
    pub(super) fn seed_investigators(
        &self,
        keys: &BTreeMap<i64, (String, Vec<u8>)>,
        database: &mut TestDatabase,
    ) {
        for (id, report) in &self.investigators {
            let resource = &report[0].resource;
            let (fingerprint, key) = &keys[id];
            let key = database.bytes(key);
            database.run(&format!(
                "insert into investigators (id, name, pgpfingerprint, publickey, status, createdat, \
                 lastmodified, permissions) values ({id}, {}, {}, {key}, {}, {}, {}, {});",
                quoted(&resource.text("name")),
                quoted(fingerprint),
                quoted(&resource.text("status")),
                time(resource.time("createdat")),
                time(resource.time("lastmodified")),
                bits(&resource.value("permissions")),
            ));
        }
    }
}

fn add(
    all: &mut BTreeMap<i64, Vec<Report>>,
    exchange: usize,
    time: Timestamp,
    resource: Resource,
    is_whole: bool,
    row: String,
) {
    let begin = if resource.has("starttime") { resource.time("starttime") } else { Timestamp::MIN };
    let action = if resource.has("action") { resource.resource("action").id() } else { 0 };
    let report = Report { time, exchange, is_whole, begin, action, row, resource };
    all.entry(report.resource.id()).or_default().push(report);
}

/// The state at the time of a request.
struct Moment<'a> {
    index: usize,
    exchange: &'a Exchange,
    state: &'a RecordedState,
}

impl Moment<'_> {
    /// Returns the report that applies, if the resource existed.
    fn last<'a>(&self, report: &'a [Report]) -> Option<&'a Report> {
        let now = self.exchange.time;
        let of_whole = |is_whole: bool| {
            let report = || report.iter().filter(move |report| report.is_whole == is_whole);
            let own = report().rfind(|report| report.exchange == self.index);
            own.or_else(|| report().rfind(|report| report.time < now))
                .or_else(|| report().find(|report| report.had_begun(now)))
        };
        // The action of the exchange itself exists, however incomplete its report is.
        let is_own = |report: &&Report| report.exchange == self.index;
        of_whole(true).or_else(|| of_whole(false)).or_else(|| report.iter().find(is_own))
    }

    fn actions(&self) -> BTreeMap<i64, &Report> {
        let mut actions = BTreeMap::new();
        for (id, report) in &self.state.actions {
            if let Some(report) = self.last(report) {
                actions.insert(*id, report);
            }
        }
        actions
    }

    /// Returns the statuses of an action's commands that the response counts, if it counts them.
    fn counters(&self, action: i64) -> Option<Vec<String>> {
        let report = self.state.actions.get(&action)?;
        let report = report.iter().find(|report| report.exchange == self.index)?;
        let counters = report.resource.value("counters");
        let mut statuses = Vec::new();
        for (name, status) in [
            ("inflight", "sent"),
            ("success", "success"),
            ("cancelled", "cancelled"),
            ("expired", "expired"),
            ("failed", "failed"),
            ("timeout", "timeout"),
        ] {
            let count = counters[name].as_u64().unwrap_or_default();
            statuses.extend((0..count).map(|_| status.to_owned()));
        }
        Some(statuses)
    }

    /// Returns the commands that existed, each with its status at the time.
    fn commands(&self) -> Vec<(&Report, String)> {
        let report = self.state.commands.values().filter_map(|report| self.last(report));
        let (own, others): (Vec<&Report>, Vec<&Report>) =
            report.partition(|report| report.exchange == self.index);
        let mut left: BTreeMap<i64, Option<Vec<String>>> = BTreeMap::new();
        let mut commands = Vec::new();
        let statuses = own
            .iter()
            .map(|report| (report, true))
            .chain(others.iter().map(|report| (report, false)));
        for (report, is_own) in statuses {
            let (action, mut status) = (report.action, report.resource.text("status"));
            if let Some(left) = left.entry(action).or_insert_with(|| self.counters(action)) {
                match left.iter().position(|one| *one == status) {
                    Some(index) => drop(left.remove(index)),
                    None if is_own => {
                        panic!("the counters of {} do not include it", report.resource.id())
                    }
                    None => match left.pop() {
                        Some(other) => status = other,
                        None => continue,
                    },
                }
            }
            commands.push((*report, status));
        }
        commands
    }

    /// Writes the commands that the response counts and that no response contains.
    fn write_counted(
        &self,
        actions: &BTreeMap<i64, &Report>,
        commands: &[(&Report, String)],
        sql: &mut String,
    ) {
        let mut id = COUNTED_IDS;
        for (action, report) in actions {
            let Some(mut counted) = self.counters(*action) else { continue };
            for (_, status) in commands.iter().filter(|(command, _)| command.action == *action) {
                let index = counted.iter().position(|one| one == status).unwrap();
                counted.remove(index);
            }
            for status in counted {
                id += 1;
                writeln!(
                    sql,
                    "insert into commands values ({id}, {action}, {AGENT}, {}, '[]', {at}, {at});",
                    quoted(&status),
                    at = time(report.resource.time("validfrom"))
                )
                .unwrap();
            }
        }
    }

    /// Writes the agents, with the statuses that a dashboard counts.
    fn write_agents(&self, commands: &[(&Report, String)], sql: &mut String) {
        let mut live = self.counted_agents();
        let mut wanted: BTreeSet<i64> = BTreeSet::from([AGENT]);
        wanted.extend(commands.iter().map(|(command, _)| command.resource.resource("agent").id()));
        for (id, report) in &self.state.agents {
            let report = match self.last(report) {
                Some(report) => report,
                None if live.is_some() || wanted.contains(id) => &report[0],
                None => continue,
            };
            let version = report.resource.text("version");
            let status = match &mut live {
                Some(live) => match live.iter().position(|(one, _)| *one == version) {
                    Some(index) => live.remove(index).1,
                    None => "offline".to_owned(),
                },
                // A command does not contain the status of its agent.
                None if !report.is_whole => "offline".to_owned(),
                None => report.resource.text("status"),
            };
            sql.push_str(&report.with_status(&status));
        }
        assert!(
            live.is_none_or(|live| live.is_empty()),
            "{} counts unknown agents",
            self.exchange.label
        );
    }

    /// Returns version and status of each agent that the response counts, if it counts any.
    fn counted_agents(&self) -> Option<Vec<(String, String)>> {
        let mut agents = Vec::new();
        let mut has_counted = false;
        for (name, value) in self.exchange.values() {
            let Some(status) = name.strip_suffix(" agents by version") else { continue };
            has_counted = true;
            let versions: Option<Vec<Value>> = serde_json::from_str(value.get()).unwrap();
            for version in versions.unwrap_or_default() {
                for _ in 0..version["count"].as_u64().unwrap() {
                    agents
                        .push((version["version"].as_str().unwrap().to_owned(), status.to_owned()));
                }
            }
        }
        has_counted.then_some(agents)
    }
}
