//! `agents`: which there are, which fell silent, which places have two.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::failure::DataFailure;
use super::listing::{Form, Line, UNREADABLE, marked, or_mark};
use super::place::Source;
use super::target;
use crate::cli::failure::Failure;
use crate::cli::text::duration;
use crate::clock::{Clock, SystemClock, before, elapsed};
use crate::config::duration;
use crate::data::{AgentRow, Double, Odd, Silent};
use crate::exit::Exit;

/// Show the agents: all, by target, those gone silent, doubles
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  mig-data agents --target \"status='online' AND environment->>'os'='linux'\"
  mig-data agents offline --seen 7d --silent 1h
  mig-data agents double --fail-if-any")]
pub(super) struct Agents {
    #[command(subcommand)]
    which: Option<Which>,
    /// Those that an action with this target would be sent to
    #[arg(long, value_name = "SQL")]
    target: Option<String>,
    #[command(flatten)]
    form: Form,
}

/// Which agents.
#[derive(Debug, clap::Subcommand)]
enum Which {
    Offline(Offline),
    Double(Doubles),
}

/// Show the hosts that were heard lately and have fallen silent
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data agents offline --seen 7d --silent 1h")]
struct Offline {
    /// How far back a host must have been heard
    #[arg(long, value_name = "SPAN", default_value = "30d", value_parser = duration::parse)]
    seen: Duration,
    /// How long it must have been silent
    #[arg(long, value_name = "SPAN", default_value = "5m", value_parser = duration::parse)]
    silent: Duration,
    #[command(flatten)]
    form: Form,
}

/// Show the places from which more than one agent is heard
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data agents double --fail-if-any")]
struct Doubles {
    /// How far back it must have been heard
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = duration::parse)]
    window: Duration,
    #[command(flatten)]
    form: Form,
}

impl Agents {
    /// Tells them.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        let now = SystemClock.now();
        match &self.which {
            Some(Which::Offline(offline)) => offline.run(source, now),
            Some(Which::Double(doubles)) => doubles.run(source, now),
            None => self.list(source, now),
        }
    }

    fn list(&self, source: &Source, now: Timestamp) -> Result<Exit, Failure> {
        let store = source.read()?;
        let shown = |agent| Shown::of(agent, now);
        let head = "| status    | silent | version                 | name";
        match &self.target {
            None => self.form.tell(head, store.agents().map(|agent| agent.map(shown))),
            Some(target) => {
                let selected = target::select(&store, target)?;
                self.form.tell(head, selected.map(|agent| agent.map(shown)))
            }
        }
    }
}

impl Offline {
    fn run(&self, source: &Source, now: Timestamp) -> Result<Exit, Failure> {
        if self.silent >= self.seen {
            return Err(DataFailure::Spans.into());
        }
        let store = source.read()?;
        let silent = store.silent(before(now, self.seen), before(now, self.silent));
        let rows = silent.map(|row| row.map(|silent| Gone::of(silent, now)));
        self.form.tell("| silent |             name", rows)
    }
}

impl Doubles {
    fn run(&self, source: &Source, now: Timestamp) -> Result<Exit, Failure> {
        let store = source.read()?;
        let doubles = store.doubles(before(now, self.window));
        let rows = doubles.map(|row| row.map(Twice::of));
        self.form.tell("| count  |             name", rows)
    }
}

/// An agent, as it is shown; values that cannot be read are missing.
#[derive(Debug, Serialize)]
struct Shown {
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
    #[serde(skip_serializing_if = "Odd::is_empty")]
    odd: Odd,
    #[serde(skip)]
    silent: String,
}

impl Shown {
    fn of(agent: AgentRow, now: Timestamp) -> Shown {
        let odd = agent.odd;
        let json =
            |name, text| odd.readable(name, text).and_then(|text| RawValue::from_string(text).ok());
        let heartbeattime = odd.readable("heartbeattime", agent.heartbeattime);
        Shown {
            id: odd.readable("id", agent.id.number()),
            environment: json("environment", agent.environment),
            tags: json("tags", agent.tags),
            silent: age(heartbeattime, now),
            name: odd.readable("name", agent.name),
            queueloc: odd.readable("queueloc", agent.queueloc),
            mode: odd.readable("mode", agent.mode),
            version: odd.readable("version", agent.version),
            pid: odd.readable("pid", agent.pid),
            starttime: odd.readable("starttime", agent.starttime),
            heartbeattime,
            status: odd.readable("status", agent.status),
            odd,
        }
    }
}

impl Line for Shown {
    fn line(&self) -> String {
        let status = or_mark(self.status.as_ref());
        let (version, name) = (or_mark(self.version.as_ref()), or_mark(self.name.as_ref()));
        let line = format!("| {status:<9} | {:<6} | {version:<23} | {name}", self.silent);
        marked(line, &self.odd)
    }
}

/// A host that fell silent.
#[derive(Debug, Serialize)]
struct Gone {
    name: Option<String>,
    heartbeattime: Option<Timestamp>,
    #[serde(skip_serializing_if = "Odd::is_empty")]
    odd: Odd,
    #[serde(skip)]
    silent: String,
}

impl Gone {
    fn of(Silent { name, heartbeat, odd }: Silent, now: Timestamp) -> Gone {
        let silent = age(heartbeat, now);
        Gone { name: odd.readable("name", name), heartbeattime: heartbeat, odd, silent }
    }
}

impl Line for Gone {
    fn line(&self) -> String {
        let line = format!("| {:<6} | {}", self.silent, or_mark(self.name.as_ref()));
        marked(line, &self.odd)
    }
}

/// A place with more than one agent.
#[derive(Debug, Serialize)]
struct Twice {
    count: i64,
    queueloc: Option<String>,
    name: Option<String>,
    heartbeattime: Option<Timestamp>,
    #[serde(skip_serializing_if = "Odd::is_empty")]
    odd: Odd,
}

impl Twice {
    fn of(Double { count, queueloc, name, heartbeat, odd }: Double) -> Twice {
        let queueloc = odd.readable("queueloc", queueloc);
        Twice { count, queueloc, name: odd.readable("name", name), heartbeattime: heartbeat, odd }
    }
}

impl Line for Twice {
    fn line(&self) -> String {
        let (queueloc, name) = (or_mark(self.queueloc.as_ref()), or_mark(self.name.as_ref()));
        marked(format!("| {:<6} | {queueloc} | {name}", self.count), &self.odd)
    }
}

/// Returns how long ago a time is, if it can be read.
fn age(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or(UNREADABLE.to_owned(), |at| duration(elapsed(at, now).as_secs()))
}
