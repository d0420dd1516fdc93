//! The API's functions: a request in, an answer out, no socket anywhere.
//!
//! What is answered, down to the texts, is what the real platform answers: programs
//! written for it match on them. Where it would fail for a fault of its own, ours
//! does what was meant; each such place says so.
//!
//! **Failure.** Only a verdict has the original's status and text. A request that could not be judged
//! (the disk is full, the database is away, GnuPG cannot be started) is answered 503, and nothing of
//! it is kept.

mod answer;
mod auth;
mod create;
mod heartbeat;
mod investigators;
mod multipart;
mod read;
mod request;
mod search;

use std::sync::Arc;

pub(super) use answer::Answer;
use answer::{Item, collection};
pub(super) use request::{BODY_BYTES_MAX, Body, Request};

use super::signers::Signers;
use super::view::ViewError;
use crate::api::verdict::UNJUDGED;
use crate::chain::Chain;
use crate::clock::Clock;
use crate::data::{DataError, Id, Ids, Permission, Store};

/// Where the API begins.
const ROOT: &str = "/api/v1/";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    Heartbeat,
    Heard,
    Ip,
    PublicKey(&'a str),
    Create,
    Action,
    Command,
    Agent,
    Investigator,
    InvestigatorCreate,
    InvestigatorUpdate,
    Search,
    Dashboard,
}

impl Route<'_> {
    /// Returns what a request asks for, if it is anything.
    fn of<'a>(method: &str, path: &'a str) -> Option<Route<'a>> {
        let name = path.strip_prefix(ROOT)?;
        Some(match (method, name) {
            ("GET", "heartbeat") => Route::Heartbeat,
            ("POST", "heartbeat") => Route::Heard,
            ("GET", "ip") => Route::Ip,
            ("GET", "action") => Route::Action,
            ("GET", "command") => Route::Command,
            ("GET", "agent") => Route::Agent,
            ("GET", "investigator") => Route::Investigator,
            ("GET", "search") => Route::Search,
            ("GET", "dashboard") => Route::Dashboard,
            ("POST", "action/create/") => Route::Create,
            ("POST", "investigator/create/") => Route::InvestigatorCreate,
            ("POST", "investigator/update/") => Route::InvestigatorUpdate,
            ("GET", name) => {
                let fingerprint = name.strip_prefix("publickey/")?;
                if fingerprint.is_empty() || fingerprint.contains('/') {
                    return None;
                }
                Route::PublicKey(fingerprint)
            }
            _ => return None,
        })
    }

    /// Returns what one must be permitted to ask for it; `None` if everybody may.
    fn permission(&self) -> Option<Permission> {
        match self {
            Route::Heartbeat | Route::Heard | Route::Ip | Route::PublicKey(_) => None,
            Route::Create => Some(Permission::ActionCreate),
            Route::Action => Some(Permission::Action),
            Route::Command => Some(Permission::Command),
            Route::Agent => Some(Permission::Agent),
            Route::Investigator => Some(Permission::Investigator),
            Route::InvestigatorCreate => Some(Permission::InvestigatorCreate),
            Route::InvestigatorUpdate => Some(Permission::InvestigatorUpdate),
            Route::Search => Some(Permission::Search),
            Route::Dashboard => Some(Permission::Dashboard),
        }
    }
}

/// A request that is not granted.
#[derive(Debug)]
struct Refusal {
    status: u16,
    message: String,
    /// What is told beside the message.
    items: Vec<Item>,
}

impl Refusal {
    fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, message: message.into(), items: Vec::new() }
    }

    /// Returns the answer to a request that cannot be judged now.
    fn unjudged(error: &(dyn std::error::Error + 'static)) -> Refusal {
        Refusal::new(503, format!("{UNJUDGED}{}", Chain(error)))
    }
}

impl From<DataError> for Refusal {
    fn from(error: DataError) -> Refusal {
        match error.is_temporary() {
            true => Refusal::unjudged(&error),
            false => Refusal::new(500, Chain(&error).to_string()),
        }
    }
}

impl From<ViewError> for Refusal {
    fn from(error: ViewError) -> Refusal {
        Refusal::new(500, Chain(&error).to_string())
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Refusal {
        Refusal::new(500, Chain(&error).to_string())
    }
}

#[derive(Debug)]
pub(super) struct Api {
    pub(super) store: Arc<Store>,
    /// Those who may ask.
    pub(super) signers: Arc<Signers>,
    /// Where ids come from.
    pub(super) ids: Arc<Ids>,
    /// What time it is.
    pub(super) clock: Arc<dyn Clock>,
    /// The queue of this host's own agent, for which no other host can send heartbeats.
    pub(super) local_queue: String,
    /// What every link begins with, as `http://127.0.0.1:1664`.
    pub(super) base: String,
    /// Where errors are told.
    pub(super) log: slog::Logger,
}

impl Api {
    pub(super) fn answer(&self, request: &Request) -> Answer {
        let clean = clean(&request.path);
        if clean != request.path {
            let location = Request { path: clean, ..request.clone() }.uri();
            return Answer::moved(&location, request.method == "GET");
        }
        let Some(route) = Route::of(&request.method, &request.path) else {
            return Answer::not_found();
        };
        let operation = self.ids.next();
        let refusal = match self.granted(&route, request) {
            Ok(answer) => return answer,
            Err(refusal) => refusal,
        };
        if refusal.status >= 500 {
            slog::warn!(self.log, "request failed"; "path" => &request.path, "error" => &refusal.message);
        }
        let failure = Some((operation, refusal.message.as_str()));
        let href = format!("{}{}", self.base, request.uri());
        collection(refusal.status, &href, &refusal.items, failure)
            .unwrap_or_else(|error| Answer::json(500, error.to_string()))
    }

    fn granted(&self, route: &Route<'_>, request: &Request) -> Result<Answer, Refusal> {
        if let Some(permission) = route.permission() {
            let investigator = self.authenticate(request)?;
            if !investigator.permissions.allow(permission) {
                return Err(Refusal::new(401, "Insufficient permissions to access endpoint"));
            }
        }
        match route {
            Route::Heartbeat => self.heartbeat(request),
            Route::Heard => Ok(self.heard(request)),
            Route::Ip => Ok(Answer::json(200, request.peer.to_string())),
            Route::PublicKey(fingerprint) => self.public_key(fingerprint),
            Route::Create => self.create(request),
            Route::Action => self.action(request),
            Route::Command => self.command(request),
            Route::Agent => self.agent(request),
            Route::Investigator => self.investigator(request),
            Route::InvestigatorCreate => self.create_investigator(request),
            Route::InvestigatorUpdate => self.update_investigator(request),
            Route::Search => self.search(request),
            Route::Dashboard => self.dashboard(request),
        }
    }

    /// Returns the answer that all went well and these are the entries.
    fn found(&self, request: &Request, items: &[Item]) -> Result<Answer, Refusal> {
        Ok(collection(200, &format!("{}{}", self.base, request.uri()), items, None)?)
    }

    /// Returns the link to a thing, as `…/action?actionid=7`.
    fn link(&self, kind: &str, id: Id) -> String {
        format!("{}{ROOT}{kind}?{kind}id={id}", self.base)
    }
}

/// Returns a path as it is meant: without empty and dot components, a slash at its end kept.
fn clean(path: &str) -> String {
    let mut components: Vec<&str> = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(components.pop()),
            component => components.push(component),
        }
    }
    let mut clean: String = components.iter().flat_map(|component| ["/", component]).collect();
    if path.ends_with('/') || clean.is_empty() {
        clean.push('/');
    }
    clean
}

#[cfg(test)]
mod tests;
