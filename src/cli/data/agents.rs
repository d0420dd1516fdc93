//! `agents`: which there are, which fell silent, which places have two.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::failure::DataFailure;
use super::listing::{Form, Line};
use super::place::Source;
use super::target;
use crate::cli::failure::Failure;
use crate::cli::layout::span;
use crate::clock::{Clock, SystemClock, before, elapsed};
use crate::config::duration;
use crate::data::{AgentRow, Double, Silent};
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
        let head = "| status    | silent | version                 | name";
        match &self.target {
            None => self.form.tell(head, store.agents().map(|agent| Shown::of(agent?, now))),
            Some(target) => {
                let selected = target::select(&store, target)?;
                self.form.tell(head, selected.map(|agent| Shown::of(agent?, now)))
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
        let rows = silent.map(|row| row.map(|silent| Gone { silent, now }));
        self.form.tell("| silent |             name", rows)
    }
}

impl Doubles {
    fn run(&self, source: &Source, now: Timestamp) -> Result<Exit, Failure> {
        let store = source.read()?;
        let doubles = store.doubles(before(now, self.window));
        let rows = doubles.map(|row| row.map(Twice));
        self.form.tell("| count  |             name", rows)
    }
}

/// An agent, as it is told.
#[derive(Debug, Serialize)]
struct Shown {
    id: i64,
    name: String,
    queueloc: String,
    mode: String,
    version: String,
    pid: i64,
    starttime: Timestamp,
    heartbeattime: Timestamp,
    status: String,
    environment: Box<RawValue>,
    tags: Box<RawValue>,
    #[serde(skip)]
    silent: String,
}

impl Shown {
    fn of(agent: AgentRow, now: Timestamp) -> Result<Shown, Failure> {
        let json = |text: String| {
            RawValue::from_string(text).map_err(|source| DataFailure::Json { id: agent.id, source })
        };
        Ok(Shown {
            id: agent.id.number(),
            environment: json(agent.environment)?,
            tags: json(agent.tags)?,
            silent: age(agent.heartbeattime, now),
            name: agent.name,
            queueloc: agent.queueloc,
            mode: agent.mode,
            version: agent.version,
            pid: agent.pid,
            starttime: agent.starttime,
            heartbeattime: agent.heartbeattime,
            status: agent.status,
        })
    }
}

impl Line for Shown {
    fn line(&self) -> String {
        let Shown { status, silent, version, name, .. } = self;
        format!("| {status:<9} | {silent:<6} | {version:<23} | {name}")
    }
}

/// A host that fell silent.
#[derive(Debug)]
struct Gone {
    silent: Silent,
    now: Timestamp,
}

impl Serialize for Gone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            name: &'a str,
            heartbeattime: Timestamp,
        }
        let Silent { name, heartbeat } = &self.silent;
        Row { name, heartbeattime: *heartbeat }.serialize(serializer)
    }
}

impl Line for Gone {
    fn line(&self) -> String {
        format!("| {:<6} | {}", age(self.silent.heartbeat, self.now), self.silent.name)
    }
}

/// A place with more than one agent.
#[derive(Debug)]
struct Twice(Double);

impl Serialize for Twice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            count: i64,
            queueloc: &'a str,
            name: &'a str,
            heartbeattime: Timestamp,
        }
        let Double { count, queueloc, name, heartbeat } = &self.0;
        Row { count: *count, queueloc, name, heartbeattime: *heartbeat }.serialize(serializer)
    }
}

impl Line for Twice {
    fn line(&self) -> String {
        let Double { count, queueloc, name, .. } = &self.0;
        format!("| {count:<6} | {queueloc} | {name}")
    }
}

/// Returns how long ago a time is.
fn age(at: Timestamp, now: Timestamp) -> String {
    span(elapsed(at, now).as_secs())
}
