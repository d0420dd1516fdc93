//! The API's functions: they take a request and return a response, without a socket.
//!
//! Responses are identical to those of the original, including the texts, because its clients match
//! on them. Where the original fails because of a bug, this API does what was intended; a comment
//! marks each such place.
//!
//! **Failure.** A response has the original's status and text only if the request could be checked.
//! If it cannot be checked now (the disk is full, the database is unavailable, GnuPG cannot be
//! started), the response is 503 and nothing is stored.

mod auth;
mod create;
mod heartbeat;
mod investigators;
mod multipart;
mod read;
mod request;
mod response;
mod search;

use std::sync::Arc;

pub(super) use request::{ApiRequest, BODY_BYTES_MAX, Body};
pub(super) use response::ApiResponse;
use response::{Item, collection};

use super::signers::Signers;
use super::view::ViewError;
use crate::api::verdict::UNJUDGED;
use crate::chain::Chain;
use crate::clock::Clock;
use crate::data::{DataError, Id, Ids, Permission, Store};

/// The path prefix of the API.
const ROOT: &str = "/api/v1/";

#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    GetHeartbeat,
    PostHeartbeat,
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
    /// Returns the route of a request; `None` if there is no such route.
    fn of<'a>(method: &str, path: &'a str) -> Option<Route<'a>> {
        let name = path.strip_prefix(ROOT)?;
        Some(match (method, name) {
            ("GET", "heartbeat") => Route::GetHeartbeat,
            ("POST", "heartbeat") => Route::PostHeartbeat,
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

    /// Returns the permission that a route requires; `None` if it needs no authentication.
    fn permission(&self) -> Option<Permission> {
        match self {
            Route::GetHeartbeat | Route::PostHeartbeat | Route::Ip | Route::PublicKey(_) => None,
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

/// The error response to a request.
#[derive(Debug)]
struct Refusal {
    status: u16,
    message: String,
    /// Items that the response contains in addition to the message.
    items: Vec<Item>,
}

impl Refusal {
    fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, message: message.into(), items: Vec::new() }
    }

    /// Returns the response to a request that cannot be checked now.
    fn unavailable(error: &(dyn std::error::Error + 'static)) -> Refusal {
        Refusal::new(503, format!("{UNJUDGED}{}", Chain(error)))
    }
}

impl From<DataError> for Refusal {
    fn from(error: DataError) -> Refusal {
        match error.is_temporary() {
            true => Refusal::unavailable(&error),
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
    pub(super) signers: Arc<Signers>,
    pub(super) ids: Arc<Ids>,
    pub(super) clock: Arc<dyn Clock>,
    /// The queue of this host's own agent, for which no other host can send heartbeats.
    pub(super) local_queue: String,
    /// The start of every link, such as `http://127.0.0.1:1664`.
    pub(super) base: String,
    pub(super) log: slog::Logger,
}

impl Api {
    pub(super) fn answer(&self, request: &ApiRequest) -> ApiResponse {
        let canonical = canonical(&request.path);
        if canonical != request.path {
            let location = ApiRequest { path: canonical, ..request.clone() }.uri();
            return ApiResponse::moved(&location, request.method == "GET");
        }
        let Some(route) = Route::of(&request.method, &request.path) else {
            return ApiResponse::not_found();
        };
        let operation = self.ids.next();
        let refusal = match self.authorized(&route, request) {
            Ok(answer) => return answer,
            Err(refusal) => refusal,
        };
        if refusal.status >= 500 {
            slog::warn!(self.log, "request failed"; "path" => &request.path, "error" => &refusal.message);
        }
        let failure = Some((operation, refusal.message.as_str()));
        let href = format!("{}{}", self.base, request.uri());
        collection(refusal.status, &href, &refusal.items, failure)
            .unwrap_or_else(|error| ApiResponse::json(500, error.to_string()))
    }

    fn authorized(&self, route: &Route<'_>, request: &ApiRequest) -> Result<ApiResponse, Refusal> {
        if let Some(permission) = route.permission() {
            let investigator = self.authenticate(request)?;
            if !investigator.permissions.allows(permission) {
                return Err(Refusal::new(401, "Insufficient permissions to access endpoint"));
            }
        }
        match route {
            Route::GetHeartbeat => self.get_heartbeat(request),
            Route::PostHeartbeat => Ok(self.post_heartbeat(request)),
            Route::Ip => Ok(ApiResponse::json(200, request.peer.to_string())),
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

    /// Returns a successful response with these items.
    fn found(&self, request: &ApiRequest, items: &[Item]) -> Result<ApiResponse, Refusal> {
        Ok(collection(200, &format!("{}{}", self.base, request.uri()), items, None)?)
    }

    /// Returns the link to a resource, such as `…/action?actionid=7`.
    fn link(&self, kind: &str, id: Id) -> String {
        format!("{}{ROOT}{kind}?{kind}id={id}", self.base)
    }
}

/// Returns the canonical form of a path: without empty and dot components, with its final slash.
fn canonical(path: &str) -> String {
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
