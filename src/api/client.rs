//! The HTTP client, the only code that opens sockets.
//!
//! Every request has a time limit of its own, over the whole exchange including the body: the
//! library's default would apply the limit to each read.
//!
//! The spelling of resource names matters: `action/create/` ends with a slash and no other does;
//! the API redirects or denies any other spelling.

mod find;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use reqwest::blocking::{Client as Http, Response};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde::de::Error;
use slog::{Logger, debug};

use super::answer::{Answer, ApiAction, COMMANDS, action, unusable, walk_page};
use super::error::{ApiError, Call};
use super::exposure::Exposure;
use super::limit::Limits;
use super::proxy::Route;
use super::settings::{self, HttpSettings, SettingsError};
use super::skew::{Skew, http_date};
use super::token::{AuthHeader, Authorization};
use super::verdict::judge;
use super::wanted::{Value, Wanted};
use super::wire::{Sink, SinkError};
use super::{ActionState, Api, Dashboard, Found, Page, Posted, Search, form};
use crate::action::{CommandText, Counters, Signature};
use crate::clock::{Clock, elapsed};
use crate::names::ActionId;
use crate::wake;

/// An [`Api`] over HTTP.
pub(crate) struct Client {
    http: Http,
    route: Route,
    exposure: Option<Exposure>,
    base: Url,
    authorization: Authorization,
    call_span: Duration,
    page_span: Duration,
    clock: Arc<dyn Clock>,
    skew: Skew,
    stop: wake::Stop,
    log: Logger,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The base URL may contain a password.
        f.debug_struct("Client").field("authorization", &self.authorization).finish_non_exhaustive()
    }
}

struct ApiRequest {
    call: Call,
    url: Url,
    form: Option<String>,
    span: Duration,
}

impl Client {
    /// Returns a client without sending anything.
    ///
    /// # Errors
    /// The settings are invalid.
    pub(crate) fn new(
        settings: HttpSettings,
        clock: Arc<dyn Clock>,
        log: Logger,
    ) -> Result<Client, SettingsError> {
        let (http, route) = settings::http(&settings)?;
        let base = settings::base(&settings.url)?;
        Ok(Client {
            http,
            route,
            exposure: Exposure::of(&base, &settings.certificates),
            base,
            call_span: settings.call_span,
            page_span: settings.page_span,
            authorization: Authorization::new(settings.credentials)?,
            clock,
            skew: Skew::default(),
            stop: wake::Stop::new(),
            log,
        })
    }

    /// Makes the client send no more requests once `stop` is requested.
    pub(crate) fn stopped_by(self, stop: wake::Stop) -> Client {
        Client { stop, ..self }
    }

    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    /// Returns why others on the network can read or change the traffic, if they can.
    pub(crate) fn exposure(&self) -> Option<Exposure> {
        self.exposure
    }

    /// Returns a GET request for a resource below the base URL.
    fn get(&self, resource: &str, query: &[(&str, &str)]) -> ApiRequest {
        let mut url = self.resource(resource);
        if !query.is_empty() {
            url.set_query(Some(&form::encode(query)));
        }
        ApiRequest { call: Call::new("GET", &url), url, form: None, span: self.call_span }
    }

    fn resource(&self, resource: &str) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}{resource}", url.path());
        url.set_path(&path);
        url
    }

    /// Sends a request, and once more with a fresh token if the first token is refused.
    ///
    /// The API answers 401 before it processes a request, so an action is not posted twice.
    fn send(&self, request: &ApiRequest) -> Result<Response, ApiError> {
        let token = |source| ApiError::Token { call: request.call.clone(), source };
        let header = self.authorization.header(self.clock.now()).map_err(token)?;
        let response = self.send_with(request, &header)?;
        if response.status() != 401 {
            return Ok(response);
        }
        match self.authorization.renewed(&header, self.clock.now()).map_err(token)? {
            Some(header) => self.send_with(request, &header),
            None => Ok(response),
        }
    }

    fn send_with(&self, request: &ApiRequest, header: &AuthHeader) -> Result<Response, ApiError> {
        // Checked here because signing the token may have taken a while.
        if self.stop.is_requested() {
            return Err(ApiError::Stopped { call: request.call.clone() });
        }
        let mut sending = match &request.form {
            Some(form) => self
                .http
                .post(request.url.clone())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.clone()),
            None => self.http.get(request.url.clone()),
        };
        sending = sending.header(&header.name, &header.value).timeout(request.span);
        let sent = self.clock.now();
        let response = sending.send().map_err(|error| failed(&request.call, error))?;
        let received = self.clock.now();
        if let Some(theirs) = date(response.headers()) {
            self.skew.record(sent, received, theirs, &self.log);
        }
        debug!(self.log, "API request done";
            "call" => %request.call,
            "status" => response.status().as_u16(),
            "took_ms" => elapsed(sent, received).as_millis(),
        );
        Ok(response)
    }

    /// Sends a request and reads its response into memory.
    fn fetch(&self, request: &ApiRequest) -> Result<Answer, ApiError> {
        Ok(self.read(request, self.send(request)?))
    }

    fn read(&self, request: &ApiRequest, response: Response) -> Answer {
        let retry_after = retry_after(response.headers(), self.clock.now());
        Answer::read(&request.call, response.status().as_u16(), retry_after, response)
    }

    /// Sends a search and walks its results while they arrive; returns their number.
    fn search(
        &self,
        request: &ApiRequest,
        limits: Limits,
        wanted: Wanted,
        sink: Sink<'_>,
    ) -> Result<u64, ApiError> {
        let response = self.send(request)?;
        if response.status() == 200 {
            return walk_page(&request.call, response, limits, wanted, sink);
        }
        let answer = self.read(request, response);
        if answer.is_no_results() { Ok(0) } else { Err(answer.refusal(&request.call)) }
    }

    fn post_once(&self, request: &mut ApiRequest, action_json: &str) -> Result<Answer, ApiError> {
        let bytes = form::form_bytes(action_json);
        if bytes > form::FORM_BYTES_MAX {
            return Err(ApiError::FormTooLong { bytes, limit: form::FORM_BYTES_MAX });
        }
        request.form = Some(form::action_form(action_json));
        self.fetch(request)
    }
}

impl Api for Client {
    fn post(&self, action_json: &str, signatures: &[Signature]) -> Posted {
        let mut request = self.get("action/create/", &[]);
        request.call = Call::new("POST", &request.url);
        let outcome = self.post_once(&mut request, action_json);
        judge(&request.call, outcome, signatures)
    }

    fn find(&self, search: &Search<'_>) -> Result<Found, ApiError> {
        self.find_action(search)
    }

    fn action(&self, id: ActionId) -> Result<Option<ActionState>, ApiError> {
        let request = self.get("action", &[("actionid", &id.to_string())]);
        let answer = self.fetch(&request)?;
        if answer.is_not_found() {
            return Ok(None);
        }
        if answer.status != 200 {
            return Err(answer.refusal(&request.call));
        }
        let (mut seen, head) = (None, answer.head());
        answer.walk(&request.call, Wanted::Named(|name| name == "action"), &mut |value| {
            let ApiAction { id: theirs, status, counters, .. } = action(value.text)?;
            if theirs == id.0 {
                let sent = counters.get("sent").and_then(serde_json::Value::as_u64);
                let sent = sent.unwrap_or_default();
                seen = Some(ActionState { status, sent });
            }
            Ok(())
        })?;
        match seen {
            Some(seen) => Ok(Some(seen)),
            None => Err(unusable(&request.call, 200, "it does not contain the action", head)),
        }
    }

    fn commands(
        &self,
        id: ActionId,
        offset: u64,
        limit: u32,
        sink: &mut dyn FnMut(CommandText<'_>) -> io::Result<()>,
    ) -> Result<Page, ApiError> {
        let mut request = self.get(
            "search",
            &[
                ("type", "command"),
                ("limit", &limit.to_string()),
                ("offset", &offset.to_string()),
                ("actionid", &id.to_string()),
            ],
        );
        request.span = self.page_span;
        let mut first: Option<FirstCommand> = None;
        let items = self.search(&request, COMMANDS, Wanted::Commands, &mut |value| {
            let Value { text, command } = value;
            if !text.starts_with('{') {
                return Err(SinkError::Invalid(serde_json::Error::custom(
                    "a command is not an object",
                )));
            }
            if first.is_none() {
                first = Some(serde_json::from_str(text)?);
            }
            sink(CommandText::new(text, command)).map_err(SinkError::Failed)
        })?;
        let sent = first.and_then(|first| u64::try_from(first.action.counters.sent).ok());
        Ok(Page { items, sent: sent.filter(|&sent| sent > 0) })
    }

    fn dashboard(&self) -> Result<Dashboard, ApiError> {
        let request = self.get("dashboard", &[]);
        let answer = self.fetch(&request)?;
        if answer.status != 200 {
            return Err(answer.refusal(&request.call));
        }
        let mut agents_online = None;
        answer.walk(
            &request.call,
            Wanted::Named(|name| name == "online agents"),
            &mut |value| {
                agents_online = Some(serde_json::from_str(value.text)?);
                Ok(())
            },
        )?;
        Ok(Dashboard { agents_online })
    }

    fn skew(&self) -> Option<SignedDuration> {
        self.skew.last()
    }
}

/// The part of a page's first command that counts its action's commands.
#[derive(Debug, Deserialize)]
struct FirstCommand {
    #[serde(default)]
    action: ActionCounters,
}

#[derive(Debug, Default, Deserialize)]
struct ActionCounters {
    #[serde(default)]
    counters: Counters,
}

/// Returns the error for a request without a response.
fn failed(call: &Call, error: reqwest::Error) -> ApiError {
    // The call contains the URL, without its secrets.
    let (call, source) = (call.clone(), error.without_url());
    if source.is_builder() {
        ApiError::Request { call, source }
    } else if source.is_connect() {
        ApiError::Connect { call, source }
    } else {
        ApiError::Exchange { call, timeout: source.is_timeout(), source: Box::new(source) }
    }
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// Parses `Retry-After`, which is a number of seconds or a date of the server's clock.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let theirs = date(headers).unwrap_or(now);
    Some(elapsed(theirs, http_date(text)?))
}
