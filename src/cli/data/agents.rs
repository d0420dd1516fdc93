//! `agents`: lists of all agents, silent hosts, and duplicate agents.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::failure::DataFailure;
use super::listing::{ListOptions, TableRow, UNREADABLE, marked, or_mark};
use super::source::DataSource;
use super::target;
use crate::cli::failure::Failure;
use crate::cli::text::duration;
use crate::clock::{Clock, SystemClock, before, elapsed};
use crate::config::duration;
use crate::data::{AgentRow, DuplicateAgents, InvalidColumns, SilentHost};
use crate::exit::Exit;

/// List agents: all, of a target, silent hosts, duplicate agents
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  mig-data agents --target \"status='online' AND environment->>'os'='linux'\"
  mig-data agents offline --seen 7d --silent 1h
  mig-data agents double --fail-if-any")]
pub(super) struct Agents {
    #[command(subcommand)]
    list: Option<AgentList>,
    /// Only the agents that this target selects
    #[arg(long, value_name = "SQL")]
    target: Option<String>,
    #[command(flatten)]
    options: ListOptions,
}

#[derive(Debug, clap::Subcommand)]
enum AgentList {
    Offline(Offline),
    Double(Doubles),
}

/// List hosts that sent heartbeats and have fallen silent
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data agents offline --seen 7d --silent 1h")]
struct Offline {
    /// Maximum age of a host's last heartbeat
    #[arg(long, value_name = "SPAN", default_value = "30d", value_parser = duration::parse)]
    seen: Duration,
    /// Minimum time without a heartbeat
    #[arg(long, value_name = "SPAN", default_value = "5m", value_parser = duration::parse)]
    silent: Duration,
    #[command(flatten)]
    options: ListOptions,
}

/// List queues that more than one agent uses
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data agents double --fail-if-any")]
struct Doubles {
    /// Maximum age of an agent's last heartbeat
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = duration::parse)]
    window: Duration,
    #[command(flatten)]
    options: ListOptions,
}

impl Agents {
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        let now = SystemClock.now();
        match &self.list {
            Some(AgentList::Offline(offline)) => offline.run(source, now),
            Some(AgentList::Double(doubles)) => doubles.run(source, now),
            None => self.list_all(source, now),
        }
    }

    fn list_all(&self, source: &DataSource, now: Timestamp) -> Result<Exit, Failure> {
        let store = source.read()?;
        let shown = |agent| ShownAgent::new(agent, now);
        let head = "| status    | silent | version                 | name";
        match &self.target {
            None => self.options.print(head, store.agents().map(|agent| agent.map(shown))),
            Some(target) => {
                let selected = target::select(&store, target)?;
                self.options.print(head, selected.map(|agent| agent.map(shown)))
            }
        }
    }
}

impl Offline {
    fn run(&self, source: &DataSource, now: Timestamp) -> Result<Exit, Failure> {
        if self.silent >= self.seen {
            return Err(DataFailure::Spans.into());
        }
        let store = source.read()?;
        let silent = store.silent_hosts(before(now, self.seen), before(now, self.silent));
        let rows = silent.map(|row| row.map(|host| ShownHost::new(host, now)));
        self.options.print("| silent |             name", rows)
    }
}

impl Doubles {
    fn run(&self, source: &DataSource, now: Timestamp) -> Result<Exit, Failure> {
        let store = source.read()?;
        let duplicates = store.duplicate_agents(before(now, self.window));
        let rows = duplicates.map(|row| row.map(ShownDuplicates::new));
        self.options.print("| count  |             name", rows)
    }
}

/// An agent in the output. Unreadable values are `None`. The fields are the keys of the JSON
/// output.
#[derive(Debug, Serialize)]
struct ShownAgent {
    id: Option<i64>,
    name: Option<String>,
    queueloc: Option<String>,
    mode: Option<String>,
    version: Option<String>,
    pid: Option<i64>,
    starttime: Option<Timestamp>,
    heartbeattime: Option<Timestamp>,
    status: Option<String>,
    environment: Option<Box<RawValue>>,
    tags: Option<Box<RawValue>>,
    #[serde(rename = "odd", skip_serializing_if = "InvalidColumns::is_empty")]
    invalid: InvalidColumns,
    #[serde(skip)]
    silent: String,
}

impl ShownAgent {
    fn new(agent: AgentRow, now: Timestamp) -> ShownAgent {
        let invalid = agent.invalid;
        let json = |name, text| {
            invalid.readable(name, text).and_then(|text| RawValue::from_string(text).ok())
        };
        let heartbeattime = invalid.readable("heartbeattime", agent.heartbeattime);
        ShownAgent {
            id: invalid.readable("id", agent.id.number()),
            environment: json("environment", agent.environment),
            tags: json("tags", agent.tags),
            silent: age(heartbeattime, now),
            name: invalid.readable("name", agent.name),
            queueloc: invalid.readable("queueloc", agent.queueloc),
            mode: invalid.readable("mode", agent.mode),
            version: invalid.readable("version", agent.version),
            pid: invalid.readable("pid", agent.pid),
            starttime: invalid.readable("starttime", agent.starttime),
            heartbeattime,
            status: invalid.readable("status", agent.status),
            invalid,
        }
    }
}

impl TableRow for ShownAgent {
    fn line(&self) -> String {
        let status = or_mark(self.status.as_ref());
        let (version, name) = (or_mark(self.version.as_ref()), or_mark(self.name.as_ref()));
        let line = format!("| {status:<9} | {:<6} | {version:<23} | {name}", self.silent);
        marked(line, &self.invalid)
    }
}

/// A silent host in the output. The fields are the keys of the JSON output.
#[derive(Debug, Serialize)]
struct ShownHost {
    name: Option<String>,
    heartbeattime: Option<Timestamp>,
    #[serde(rename = "odd", skip_serializing_if = "InvalidColumns::is_empty")]
    invalid: InvalidColumns,
    #[serde(skip)]
    silent: String,
}

impl ShownHost {
    fn new(SilentHost { name, heartbeat, invalid }: SilentHost, now: Timestamp) -> ShownHost {
        let silent = age(heartbeat, now);
        let name = invalid.readable("name", name);
        ShownHost { name, heartbeattime: heartbeat, invalid, silent }
    }
}

impl TableRow for ShownHost {
    fn line(&self) -> String {
        let line = format!("| {:<6} | {}", self.silent, or_mark(self.name.as_ref()));
        marked(line, &self.invalid)
    }
}

/// A queue with several agents in the output. The fields are the keys of the JSON output.
#[derive(Debug, Serialize)]
struct ShownDuplicates {
    count: i64,
    queueloc: Option<String>,
    name: Option<String>,
    heartbeattime: Option<Timestamp>,
    #[serde(rename = "odd", skip_serializing_if = "InvalidColumns::is_empty")]
    invalid: InvalidColumns,
}

impl ShownDuplicates {
    fn new(agents: DuplicateAgents) -> ShownDuplicates {
        let DuplicateAgents { count, queueloc, name, heartbeat, invalid } = agents;
        let (queueloc, name) =
            (invalid.readable("queueloc", queueloc), invalid.readable("name", name));
        ShownDuplicates { count, queueloc, name, heartbeattime: heartbeat, invalid }
    }
}

impl TableRow for ShownDuplicates {
    fn line(&self) -> String {
        let (queueloc, name) = (or_mark(self.queueloc.as_ref()), or_mark(self.name.as_ref()));
        marked(format!("| {:<6} | {queueloc} | {name}", self.count), &self.invalid)
    }
}

/// Returns the time elapsed since `at`, or the mark for an unreadable value.
fn age(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or(UNREADABLE.to_owned(), |at| duration(elapsed(at, now).as_secs()))
}
