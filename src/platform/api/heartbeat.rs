//! `POST heartbeat`: an agent that is not connected to the relay registers itself.
//!
//! As in the original, the request needs no authentication; the API listens on loopback by default.
//! The heartbeat is stored as the agent's row, so that searches and counts include the agent.
//! Commands reach only this host's own agent, so those to other agents expire, as they do in the
//! original if an agent does not fetch them.
//!
//! **Invariants.** A request cannot replace the row of this host's own agent. Every field, and the
//! number of agents, has a limit, so the requests of unknown senders cannot fill memory or disk.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::{RawValue, to_raw_value};

use super::{Api, ApiRequest, ApiResponse, Body, Repeatable};
use crate::chain::Chain;
use crate::clock::before;
use crate::data::DataError;
use crate::go::time::Time;
use crate::logging::Suppressed;
use crate::platform::agents::{self, SILENCE_MAX};
use crate::relay::{Heartbeat, sent_bytes};

/// Maximum number of agents that have sent a heartbeat within [`SILENCE_MAX`] or are still to be
/// removed; further ones are refused. With the limits on each field, this limits the size of the
/// table.
const AGENTS_MAX: i64 = 1000;
/// Maximum size of each of an agent's texts as it is sent, in bytes. The columns hold as many
/// characters.
const TEXT_BYTES_MAX: u64 = 2048;
/// Maximum size of the environment as it is sent, in bytes. A real one has a few hundred, or a few
/// thousand if the host has an address for each of a hundred containers.
const ENVIRONMENT_BYTES_MAX: u64 = 8 << 10;
/// Maximum number of tags.
const TAGS_MAX: usize = 64;
/// Maximum size of all tags as they are sent, in bytes.
const TAGS_BYTES_MAX: u64 = 2 << 10;

/// The body of the request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct HeartbeatRequest {
    name: String,
    mode: String,
    version: String,
    pid: u32,
    queue_loc: String,
    start_time: Option<String>,
    refresh_time: Option<String>,
    environment: RequestEnvironment,
    tags: Vec<Tag>,
}

/// The properties of the agent's host.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestEnvironment {
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

/// The properties of a host in the form that the table contains.
#[derive(Debug, Serialize)]
struct StoredEnvironment<'a> {
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

/// Why a heartbeat is refused; the texts are the original's where it has one.
#[derive(Debug, thiserror::Error)]
enum HeartbeatRefusal {
    #[error("Failed to decode request body: {0}")]
    Body(String),
    #[error("Missing fields in request body: missing field(s): {0}")]
    Missing(String),
    #[error("Failed to read field {field}: {text}")]
    Field { field: &'static str, text: String },
    #[error(
        "this platform already has {AGENTS_MAX} agents, its maximum: send the heartbeat again when others have been removed, a day after their last one"
    )]
    Full,
    #[error("Failed to store agent: {}", Chain(.0))]
    Store(#[from] DataError),
    #[error("Failed to store agent: {0}")]
    Json(#[from] serde_json::Error),
}

impl HeartbeatRefusal {
    fn status(&self) -> u16 {
        match self {
            HeartbeatRefusal::Body(_)
            | HeartbeatRefusal::Missing(_)
            | HeartbeatRefusal::Field { .. } => 400,
            HeartbeatRefusal::Store(error) if error.is_temporary() => 503,
            HeartbeatRefusal::Full | HeartbeatRefusal::Store(_) | HeartbeatRefusal::Json(_) => 500,
        }
    }
}

#[derive(Debug, Serialize)]
struct HeartbeatResponse {
    error: Option<String>,
}

impl Api {
    /// Stores the heartbeat in a request.
    pub(super) fn post_heartbeat(&self, request: &ApiRequest, body: &Body) -> ApiResponse {
        let (status, error) = match self.save_heartbeat(request, body) {
            Ok(()) => (200, None),
            Err(refusal) => (refusal.status(), Some(refusal.to_string())),
        };
        let body = serde_json::to_string(&HeartbeatResponse { error }).unwrap_or_default();
        ApiResponse::plain_json(status, format!("{body}\n"))
    }

    fn save_heartbeat(&self, request: &ApiRequest, body: &Body) -> Result<(), HeartbeatRefusal> {
        let now = self.clock.now();
        let heartbeat = HeartbeatRequest::parse(body)?.heartbeat(now)?;
        if heartbeat.queue == self.local_queue {
            if let Some(suppressed) = self.repeats.record(Repeatable::LocalQueue, now) {
                slog::warn!(self.log, "ignored heartbeat with the queue of this host's agent";
                    "peer" => %request.peer, Suppressed(suppressed));
            }
            return Ok(());
        }
        let id = match self.store.agent_id_at(&heartbeat.queue)? {
            Some(known) => known,
            None if self.store.current_agents(before(now, SILENCE_MAX))? >= AGENTS_MAX => {
                return Err(HeartbeatRefusal::Full);
            }
            None => self.ids.next(),
        };
        Ok(self.store.upsert_agent(&agents::row(id, heartbeat))?)
    }
}

impl HeartbeatRequest {
    fn parse(body: &Body) -> Result<HeartbeatRequest, HeartbeatRefusal> {
        let Body::Whole(body) = body else {
            return Err(HeartbeatRefusal::Body("http: request body too large".to_owned()));
        };
        let request: HeartbeatRequest = serde_json::from_slice(body).map_err(|error| {
            HeartbeatRefusal::Body(match error.classify() {
                Category::Eof if body.trim_ascii().is_empty() => "EOF".to_owned(),
                Category::Eof => "unexpected EOF".to_owned(),
                _ => error.to_string(),
            })
        })?;
        let missing: Vec<&str> = [
            ("name", request.name.is_empty()),
            ("mode", request.mode.is_empty()),
            ("version", request.version.is_empty()),
            ("pid", request.pid == 0),
            ("queueLoc", request.queue_loc.is_empty()),
        ]
        .into_iter()
        .filter_map(|(name, is_missing)| is_missing.then_some(name))
        .collect();
        if missing.is_empty() {
            Ok(request)
        } else {
            Err(HeartbeatRefusal::Missing(missing.join(", ")))
        }
    }

    /// Returns the heartbeat that was received at `now`.
    fn heartbeat(self, now: Timestamp) -> Result<Heartbeat, HeartbeatRefusal> {
        if self.tags.len() > TAGS_MAX {
            let text = format!("it must have at most {TAGS_MAX} tags");
            return Err(HeartbeatRefusal::Field { field: "tags", text });
        }
        let environment =
            short_json("environment", self.environment.stored()?, ENVIRONMENT_BYTES_MAX)?;
        let tags = short_json("tags", self.tags()?, TAGS_BYTES_MAX)?;
        Ok(Heartbeat {
            name: storable("name", self.name)?,
            queue: storable("queueLoc", self.queue_loc)?,
            mode: storable("mode", self.mode)?,
            version: storable("version", self.version)?,
            pid: self.pid,
            started: time("startTime", self.start_time, now)?,
            sent: now,
            refreshed: time("refreshTime", self.refresh_time, now)?,
            environment,
            tags,
        })
    }

    /// Returns the tags as a JSON object.
    fn tags(&self) -> Result<String, serde_json::Error> {
        let mut tags: std::collections::BTreeMap<&str, Box<RawValue>> = Default::default();
        for tag in &self.tags {
            tags.insert(&tag.name, to_raw_value(&tag.value)?);
        }
        serde_json::to_string(&tags)
    }
}

impl RequestEnvironment {
    fn stored(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&StoredEnvironment {
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

/// Returns a text if every database can store it.
fn storable(field: &'static str, text: String) -> Result<String, HeartbeatRefusal> {
    short_json(field, serde_json::to_string(&text)?, TEXT_BYTES_MAX).map(|_| text)
}

/// Returns JSON if it is not too long, and if every database can convert its strings to text.
fn short_json(
    field: &'static str,
    json: String,
    bytes_max: u64,
) -> Result<String, HeartbeatRefusal> {
    if has_nul(&json) || sent_bytes(&json) > bytes_max {
        let text = format!("it must contain no NUL and have at most {bytes_max} bytes as JSON");
        return Err(HeartbeatRefusal::Field { field, text });
    }
    Ok(json)
}

/// Returns whether a string in JSON contains a NUL, which JSON always escapes.
fn has_nul(json: &str) -> bool {
    let mut rest = json;
    while let Some((_, escape)) = rest.split_once('\\') {
        if escape.starts_with("u0000") {
            return true;
        }
        // The escaped character may be a backslash.
        rest = escape.get(1..).unwrap_or_default();
    }
    false
}

/// Parses a time; `now` if there is none.
fn time(
    field: &'static str,
    text: Option<String>,
    now: Timestamp,
) -> Result<Timestamp, HeartbeatRefusal> {
    let Some(text) = text else { return Ok(now) };
    let parsed = text.parse::<Time>();
    parsed
        .map(Time::timestamp)
        .map_err(|error| HeartbeatRefusal::Field { field, text: error.to_string() })
}
