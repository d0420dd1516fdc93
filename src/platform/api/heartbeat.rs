//! `POST heartbeat`: an agent that has no relay says that it is there.
//!
//! The original asks for no proof of who it is, and neither does ours: the API listens on
//! loopback unless it is told otherwise. What is told is kept as an agent's row, so that it
//! is found and counted; nobody but this host's own agent runs commands, so those to others
//! expire, as they do on the original when an agent does not ask for them.
//!
//! **Invariant.** This host's own agent cannot be spoken for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::{RawValue, to_raw_value};

use super::{Answer, Api, Body, Request};
use crate::chain::Chain;
use crate::data::{AgentRow, AgentStatus, DataError, InvalidColumns, NEVER_FINISHED};
use crate::go::time::Time;

/// How many agents may be online or idle; more are not kept.
const AGENTS_MAX: usize = 1000;
/// The longest text of an agent, in characters.
const TEXT_CHARS_MAX: usize = 2048;

/// What an agent tells of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Heard {
    name: String,
    mode: String,
    version: String,
    pid: u32,
    queue_loc: String,
    start_time: Option<String>,
    refresh_time: Option<String>,
    environment: Environment,
    tags: Vec<Tag>,
}

/// What an agent tells of its host.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Environment {
    init: String,
    ident: String,
    os: String,
    arch: String,
    is_proxied: bool,
    proxy: String,
    addresses: Vec<String>,
    #[serde(rename = "publicIP")]
    public_ip: String,
    modules: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    name: String,
    value: String,
}

/// The same as the table has it.
#[derive(Debug, Serialize)]
struct Kept<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    init: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    ident: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    os: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    arch: &'a str,
    isproxied: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    proxy: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    addresses: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    publicip: &'a str,
    aws: Aws,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    modules: &'a [String],
}

#[derive(Debug, Serialize)]
struct Aws {}

/// Why an agent is not kept, in the original's words where it has any.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    #[error("Failed to decode request body: {0}")]
    Body(String),
    #[error("Missing fields in request body: missing field(s): {0}")]
    Missing(String),
    #[error("Failed to read field {field}: {text}")]
    Field { field: &'static str, text: String },
    #[error("this platform holds {AGENTS_MAX} agents already")]
    Full,
    #[error("Failed to store agent: {}", Chain(.0))]
    Store(#[from] DataError),
    #[error("Failed to store agent: {0}")]
    Json(#[from] serde_json::Error),
}

impl Unheard {
    fn status(&self) -> u16 {
        match self {
            Unheard::Body(_) | Unheard::Missing(_) | Unheard::Field { .. } => 400,
            Unheard::Store(error) if error.is_temporary() => 503,
            Unheard::Full | Unheard::Store(_) | Unheard::Json(_) => 500,
        }
    }
}

#[derive(Debug, Serialize)]
struct Verdict {
    error: Option<String>,
}

impl Api {
    /// Keeps an agent that tells of itself.
    pub(super) fn heard(&self, request: &Request) -> Answer {
        let (status, error) = match self.hear(request) {
            Ok(()) => (200, None),
            Err(unheard) => (unheard.status(), Some(unheard.to_string())),
        };
        let body = serde_json::to_string(&Verdict { error }).unwrap_or_default();
        Answer::plain_json(status, format!("{body}\n"))
    }

    fn hear(&self, request: &Request) -> Result<(), Unheard> {
        let heard = Heard::read(&request.body)?;
        let row = heard.row(self.clock.now())?;
        if row.queueloc == self.local_queue {
            slog::warn!(self.log, "heartbeat for this host's own agent ignored"; "peer" => %request.peer);
            return Ok(());
        }
        let id = match self.store.agent_at(&row.queueloc)? {
            Some(known) => known.id,
            None if self.store.live_agents()?.len() >= AGENTS_MAX => return Err(Unheard::Full),
            None => self.ids.next(),
        };
        Ok(self.store.upsert_agent(&AgentRow { id, ..row })?)
    }
}

impl Heard {
    fn read(body: &Body) -> Result<Heard, Unheard> {
        let Body::Whole(body) = body else {
            return Err(Unheard::Body("http: request body too large".to_owned()));
        };
        let heard: Heard = serde_json::from_slice(body).map_err(|error| {
            Unheard::Body(match error.classify() {
                Category::Eof if body.trim_ascii().is_empty() => "EOF".to_owned(),
                Category::Eof => "unexpected EOF".to_owned(),
                _ => error.to_string(),
            })
        })?;
        let missing: Vec<&str> = [
            ("name", heard.name.is_empty()),
            ("mode", heard.mode.is_empty()),
            ("version", heard.version.is_empty()),
            ("pid", heard.pid == 0),
            ("queueLoc", heard.queue_loc.is_empty()),
        ]
        .into_iter()
        .filter_map(|(name, is_missing)| is_missing.then_some(name))
        .collect();
        if missing.is_empty() { Ok(heard) } else { Err(Unheard::Missing(missing.join(", "))) }
    }

    /// Returns the agent's row, but for its number.
    fn row(self, now: Timestamp) -> Result<AgentRow, Unheard> {
        let (environment, tags) = (self.environment.kept()?, self.tags()?);
        Ok(AgentRow {
            id: crate::data::Id::new(0),
            name: storable("name", self.name)?,
            queueloc: storable("queueLoc", self.queue_loc)?,
            mode: storable("mode", self.mode)?,
            version: storable("version", self.version)?,
            pid: self.pid.into(),
            starttime: time("startTime", self.start_time, now)?,
            destructiontime: Some(NEVER_FINISHED),
            heartbeattime: now,
            refreshtime: time("refreshTime", self.refresh_time, now)?,
            status: AgentStatus::Online.as_str().to_owned(),
            environment,
            tags,
            loadername: String::new(),
            invalid: InvalidColumns::default(),
        })
    }

    /// Returns the tags as one object, each under its name.
    fn tags(&self) -> Result<String, serde_json::Error> {
        let mut tags: std::collections::BTreeMap<&str, Box<RawValue>> = Default::default();
        for tag in &self.tags {
            tags.insert(&tag.name, to_raw_value(&tag.value)?);
        }
        serde_json::to_string(&tags)
    }
}

impl Environment {
    fn kept(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Kept {
            init: &self.init,
            ident: &self.ident,
            os: &self.os,
            arch: &self.arch,
            isproxied: self.is_proxied,
            proxy: &self.proxy,
            addresses: &self.addresses,
            publicip: &self.public_ip,
            aws: Aws {},
            modules: &self.modules,
        })
    }
}

/// Returns a text that every database can keep.
fn storable(field: &'static str, text: String) -> Result<String, Unheard> {
    if text.contains('\0') || text.chars().count() > TEXT_CHARS_MAX {
        let text = format!("it must have no NUL and at most {TEXT_CHARS_MAX} characters");
        return Err(Unheard::Field { field, text });
    }
    Ok(text)
}

/// Reads a time; one that is not told is now.
fn time(field: &'static str, told: Option<String>, now: Timestamp) -> Result<Timestamp, Unheard> {
    let Some(told) = told else { return Ok(now) };
    let read = told.parse::<Time>();
    read.map(Time::timestamp).map_err(|error| Unheard::Field { field, text: error.to_string() })
}
