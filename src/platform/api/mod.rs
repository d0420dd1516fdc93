//! The API's functions: they take a request and return a response, without a socket.
//!
//! Responses are identical to those of the original, including the texts, because its clients match
//! on them. Where the original fails because of a bug, this API does what was intended; a comment
//! marks each such place.
//!
//! **Failure.** A response has the original's status and text only if the request could be checked.
//! If it cannot be checked now (the disk is full, the database is unavailable, GnuPG cannot be
//! started), the response is 503 and nothing is stored.
//!
//! **Order.** A request is checked in stages, so that a request that will be refused costs little:
//! [`Api::route`] finds the route and checks the headers, [`Api::admit`] authenticates, and only then
//! does the server read the body, up to the limit of the route, for [`Api::answer`].

mod auth;
mod create;
mod heartbeat;
mod hosts;
mod investigators;
mod multipart;
mod page;
mod read;
mod repeats;
mod request;
mod response;
mod route;
mod search;

use std::mem::discriminant;
use std::sync::Arc;

pub(super) use hosts::HostNames;
use repeats::Repeatable;
pub(super) use repeats::Repeats;
pub(super) use request::{ApiRequest, Body};
pub(super) use response::ApiResponse;
use response::{Item, collection};
use route::Route;

use super::signers::Signers;
use super::view::ViewError;
use crate::api::verdict::UNJUDGED;
use crate::chain::{Chain, excerpt};
use crate::clock::Clock;
use crate::data::{DataError, Id, Ids, Store};
use crate::logging::Suppressed;

/// The path prefix of the API.
const ROOT: &str = "/api/v1/";
/// Maximum length of a client's text in a log message, in bytes.
const LOGGED_BYTES_MAX: usize = 512;

/// A request with a route, whose headers were accepted.
#[derive(Debug)]
pub(super) struct RoutedRequest {
    request: ApiRequest,
    route: Route,
}

impl RoutedRequest {
    /// Returns whether the request must be authenticated.
    pub(super) fn is_protected(&self) -> bool {
        self.route.permission().is_some()
    }
}

/// A request whose sender may use its route.
#[derive(Debug)]
pub(super) struct AdmittedRequest(RoutedRequest);

impl AdmittedRequest {
    /// Returns the maximum size of the body, in bytes; `None` if the route has no body.
    pub(super) fn body_bytes_max(&self) -> Option<usize> {
        self.0.route.body_bytes_max()
    }

    /// Returns whether the sender was authenticated.
    pub(super) fn is_authenticated(&self) -> bool {
        self.0.is_protected()
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
        Refusal::unjudged(503, &Chain(error).to_string())
    }

    /// Returns the response to a request that is not checked, and of which nothing is stored.
    fn unjudged(status: u16, reason: &str) -> Refusal {
        Refusal::new(status, format!("{UNJUDGED}{reason}"))
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
    /// The names under which clients may address the API.
    pub(super) hosts: HostNames,
    /// The events that are not logged each time.
    pub(super) repeats: Repeats,
    pub(super) log: slog::Logger,
}

impl Api {
    /// Returns a request with its route, or the response to one without a route or with refused
    /// headers. Waits for nothing.
    pub(super) fn route(&self, request: ApiRequest) -> Result<RoutedRequest, ApiResponse> {
        let canonical = canonical(&request.path);
        if canonical != request.path {
            let is_get = request.method == "GET";
            return Err(ApiResponse::moved(
                &ApiRequest { path: canonical, ..request }.uri(),
                is_get,
            ));
        }
        let route = Route::of(&request.method, &request.path).ok_or_else(ApiResponse::not_found)?;
        self.hosts.check(&request).map_err(|refusal| {
            self.refusal(&request.uri(), &Refusal::unjudged(403, &refusal.to_string()))
        })?;
        Ok(RoutedRequest { request, route })
    }

    /// Authenticates the sender of a request, if its route requires this; returns the response to a
    /// request that is refused.
    pub(super) fn admit(&self, routed: RoutedRequest) -> Result<AdmittedRequest, ApiResponse> {
        let Some(permission) = routed.route.permission() else {
            return Ok(AdmittedRequest(routed));
        };
        let investigator = self.authenticate(&routed.request);
        let allowed = investigator.and_then(|investigator| {
            let is_allowed = investigator.permissions.allows(permission);
            let refusal = || Refusal::new(401, "Insufficient permissions to access endpoint");
            is_allowed.then_some(()).ok_or_else(refusal)
        });
        match allowed {
            Ok(()) => Ok(AdmittedRequest(routed)),
            Err(refusal) => Err(self.refused(&routed, false, &refusal)),
        }
    }

    /// Returns the response to a request with its body; `body` is empty if the route has none.
    pub(super) fn answer(&self, admitted: &AdmittedRequest, body: &Body) -> ApiResponse {
        let AdmittedRequest(routed) = admitted;
        self.perform(&routed.route, &routed.request, body)
            .unwrap_or_else(|refusal| self.refused(routed, admitted.is_authenticated(), &refusal))
    }

    /// Returns the response to a request that the server has no room for now. `uri` is its path with
    /// the query.
    pub(super) fn busy(&self, uri: &str, reason: &str) -> ApiResponse {
        let refusal = Refusal::unjudged(503, reason);
        self.log_repeatable(Repeatable::Busy, uri, &refusal);
        self.refusal(uri, &refusal)
    }

    /// Returns the response to a request whose body arrived too slowly.
    pub(super) fn slow(&self, uri: &str) -> ApiResponse {
        self.refusal(uri, &Refusal::unjudged(408, "its body arrived too slowly; send it again"))
    }

    /// Returns the response to a request that is refused or has failed.
    fn refused(
        &self,
        routed: &RoutedRequest,
        is_authenticated: bool,
        refusal: &Refusal,
    ) -> ApiResponse {
        let RoutedRequest { request, route } = routed;
        match (refusal.status >= 500, is_authenticated) {
            (true, true) => self.log_failure(&request.path, refusal, 0),
            (true, false) => {
                let event = Repeatable::Failure(discriminant(route), refusal.status);
                self.log_repeatable(event, &request.path, refusal);
            }
            (false, _) => {}
        }
        self.refusal(&request.uri(), refusal)
    }

    /// Logs a failure that any client can repeat, unless one was logged shortly before.
    fn log_repeatable(&self, event: Repeatable, path: &str, refusal: &Refusal) {
        if let Some(suppressed) = self.repeats.record(event, self.clock.now()) {
            self.log_failure(path, refusal, suppressed);
        }
    }

    fn log_failure(&self, path: &str, refusal: &Refusal, suppressed: u64) {
        slog::warn!(self.log, "request failed"; "path" => &*excerpt(path, LOGGED_BYTES_MAX),
            "error" => &*excerpt(&refusal.message, LOGGED_BYTES_MAX), Suppressed(suppressed));
    }

    fn refusal(&self, uri: &str, refusal: &Refusal) -> ApiResponse {
        let failure = Some((self.ids.next(), refusal.message.as_str()));
        let href = format!("{}{uri}", self.base);
        collection(refusal.status, &href, &refusal.items, failure)
            .unwrap_or_else(|error| ApiResponse::json(500, error.to_string()))
    }

    fn perform(
        &self,
        route: &Route,
        request: &ApiRequest,
        body: &Body,
    ) -> Result<ApiResponse, Refusal> {
        match route {
            Route::GetHeartbeat => self.get_heartbeat(request),
            Route::PostHeartbeat => Ok(self.post_heartbeat(request, body)),
            Route::Ip => Ok(ApiResponse::json(200, request.peer.to_string())),
            Route::PublicKey(fingerprint) => self.public_key(fingerprint),
            Route::Create => self.create(request, body),
            Route::Action => self.action(request),
            Route::Command => self.command(request),
            Route::Agent => self.agent(request),
            Route::Investigator => self.investigator(request),
            Route::InvestigatorCreate => self.create_investigator(request, body),
            Route::InvestigatorUpdate => self.update_investigator(request, body),
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
