//! The client: requests out, answers in. The only code that opens sockets.
//!
//! Every request has a time limit of its own, over all of it, body included: the
//! library's default would hold each read to the limit, not their sum.
//!
//! The names below the base are spelled with care: `action/create/` has a slash at its
//! end and nothing else has; the API redirects or denies any other spelling.

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
use serde_json::value::RawValue;
use slog::{Logger, debug};

use super::answer::{Action, Answer, action, walk_page, wrong};
use super::error::{ApiError, Call};
use super::proxy::Route;
use super::settings::{self, HttpSettings, SettingsError};
use super::skew::{Skew, http_date};
use super::token::{Authority, Pass};
use super::verdict::{is_ours, judge};
use super::wire::{Sink, Stop};
use super::{Api, Dashboard, Found, Page, Posted, Search, Seen, form};
use crate::action::{Counters, Signature};
use crate::clock::{Clock, after, before, elapsed};
use crate::names::ActionId;
use crate::wake;

/// How many actions the search by signature asks for; so many in the answer, and some may be missing.
const SEARCH_ROWS: u64 = 1000;
/// How much wider than an action's period the search is, at either end.
const SEARCH_MARGIN_SPAN: Duration = Duration::from_secs(1);

/// The API at the other end of a connection.
pub(crate) struct Client {
    http: Http,
    route: Route,
    base: Url,
    authority: Authority,
    call_span: Duration,
    page_span: Duration,
    clock: Arc<dyn Clock>,
    skew: Skew,
    stop: wake::Stop,
    log: Logger,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The base may hold a password.
        f.debug_struct("Client").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// A request before it is sent.
struct Ask {
    call: Call,
    url: Url,
    form: Option<String>,
    span: Duration,
}

impl Client {
    /// Returns a client; nothing is sent yet.
    ///
    /// # Errors
    /// The settings are no good.
    pub(crate) fn new(
        settings: HttpSettings,
        clock: Arc<dyn Clock>,
        log: Logger,
    ) -> Result<Client, SettingsError> {
        let (http, route) = settings::http(&settings)?;
        Ok(Client {
            http,
            route,
            base: settings::base(&settings.url)?,
            call_span: settings.call_span,
            page_span: settings.page_span,
            authority: Authority::new(settings.credentials)?,
            clock,
            skew: Skew::default(),
            stop: wake::Stop::new(),
            log,
        })
    }

    /// Returns the client, which sends no more requests once `stop` was asked for.
    pub(crate) fn stopped_by(self, stop: wake::Stop) -> Client {
        Client { stop, ..self }
    }

    /// Returns how the API is reached.
    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    /// Returns a request for a resource below the base.
    fn get(&self, resource: &str, query: &[(&str, &str)]) -> Ask {
        let mut url = self.resource(resource);
        if !query.is_empty() {
            url.set_query(Some(&form::encode(query)));
        }
        Ask { call: Call::new("GET", &url), url, form: None, span: self.call_span }
    }

    fn resource(&self, resource: &str) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}{resource}", url.path());
        url.set_path(&path);
        url
    }

    /// Sends a request, and once more with a fresh token if the first is refused.
    ///
    /// A 401 is given before the request is looked at, so the repetition is no second POST.
    fn send(&self, ask: &Ask) -> Result<Response, ApiError> {
        let token = |source| ApiError::Token { call: ask.call.clone(), source };
        let pass = self.authority.pass(self.clock.now()).map_err(token)?;
        let response = self.send_with(ask, &pass)?;
        if response.status() != 401 {
            return Ok(response);
        }
        match self.authority.renewed(&pass, self.clock.now()).map_err(token)? {
            Some(pass) => self.send_with(ask, &pass),
            None => Ok(response),
        }
    }

    fn send_with(&self, ask: &Ask, pass: &Pass) -> Result<Response, ApiError> {
        // Asked here, because it may have taken a while to sign the token.
        if self.stop.asked() {
            return Err(ApiError::Stopped { call: ask.call.clone() });
        }
        let mut request = match &ask.form {
            Some(form) => self
                .http
                .post(ask.url.clone())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.clone()),
            None => self.http.get(ask.url.clone()),
        };
        request = request.header(&pass.name, &pass.value).timeout(ask.span);
        let sent = self.clock.now();
        let response = request.send().map_err(|error| failed(&ask.call, error))?;
        let received = self.clock.now();
        if let Some(theirs) = date(response.headers()) {
            self.skew.note(sent, received, theirs, &self.log);
        }
        debug!(self.log, "answered";
            "call" => %ask.call,
            "status" => response.status().as_u16(),
            "took_ms" => elapsed(sent, received).as_millis(),
        );
        Ok(response)
    }

    /// Sends a request and reads its answer into memory.
    fn ask(&self, ask: &Ask) -> Result<Answer, ApiError> {
        Ok(self.read(ask, self.send(ask)?))
    }

    fn read(&self, ask: &Ask, response: Response) -> Answer {
        let retry_after = retry_after(response.headers(), self.clock.now());
        Answer::read(&ask.call, response.status().as_u16(), retry_after, response)
    }

    /// Sends a search and walks its results while they arrive; returns how many there were.
    fn search(&self, ask: &Ask, wants: fn(&str) -> bool, sink: Sink<'_>) -> Result<u64, ApiError> {
        let response = self.send(ask)?;
        if response.status() == 200 {
            return walk_page(&ask.call, response, wants, sink);
        }
        let answer = self.read(ask, response);
        if answer.is_no_results() { Ok(0) } else { Err(answer.refusal(&ask.call)) }
    }

    fn post_once(&self, ask: &mut Ask, action_json: &str) -> Result<Answer, ApiError> {
        let bytes = form::form_bytes(action_json);
        if bytes > form::FORM_BYTES_MAX {
            return Err(ApiError::FormTooLong { bytes, limit: form::FORM_BYTES_MAX });
        }
        ask.form = Some(form::action_form(action_json));
        self.ask(ask)
    }
}

impl Api for Client {
    fn post(&self, action_json: &str, signatures: &[Signature]) -> Posted {
        let mut ask = self.get("action/create/", &[]);
        ask.call = Call::new("POST", &ask.url);
        let outcome = self.post_once(&mut ask, action_json);
        judge(&ask.call, outcome, signatures)
    }

    fn find(&self, search: &Search<'_>) -> Result<Found, ApiError> {
        let mut ask = self.get(
            "search",
            &[
                ("type", "action"),
                ("limit", &SEARCH_ROWS.to_string()),
                ("actionname", &like(search.name)),
                ("after", &seconds(before(search.valid_from, SEARCH_MARGIN_SPAN))),
                ("before", &seconds(after(search.expire_after, SEARCH_MARGIN_SPAN))),
            ],
        );
        ask.span = self.page_span;
        let mut found: Option<(ActionId, Box<RawValue>)> = None;
        let rows = self.search(&ask, |name| name == "action", &mut |value| {
            let seen = action(value)?;
            let id = ActionId(seen.id);
            // Of several with our signature the first that was made is the one that was asked for.
            let is_first = found.as_ref().is_none_or(|(first, _)| id < *first);
            if is_ours(&seen, search.signatures) && !search.taken.contains(&id) && is_first {
                found = Some((id, value.to_owned()));
            }
            Ok(())
        })?;
        Ok(match found {
            Some((id, action)) => Found::Action { id, action },
            None if rows < SEARCH_ROWS => Found::None,
            None => Found::TooMany,
        })
    }

    fn action(&self, id: ActionId) -> Result<Option<Seen>, ApiError> {
        let ask = self.get("action", &[("actionid", &id.to_string())]);
        let answer = self.ask(&ask)?;
        if answer.is_not_found() {
            return Ok(None);
        }
        if answer.status != 200 {
            return Err(answer.refusal(&ask.call));
        }
        let (mut seen, head) = (None, answer.head());
        answer.walk(&ask.call, |name| name == "action", &mut |value| {
            let Action { id: theirs, status, counters, .. } = action(value)?;
            if theirs == id.0 {
                let sent = counters.get("sent").and_then(serde_json::Value::as_u64);
                let sent = sent.unwrap_or_default();
                seen = Some(Seen { status, sent });
            }
            Ok(())
        })?;
        match seen {
            Some(seen) => Ok(Some(seen)),
            None => Err(wrong(&ask.call, 200, "the action is not in it", head)),
        }
    }

    fn commands(
        &self,
        id: ActionId,
        offset: u64,
        limit: u32,
        sink: &mut dyn FnMut(&RawValue) -> io::Result<()>,
    ) -> Result<Page, ApiError> {
        let mut ask = self.get(
            "search",
            &[
                ("type", "command"),
                ("limit", &limit.to_string()),
                ("offset", &offset.to_string()),
                ("actionid", &id.to_string()),
            ],
        );
        ask.span = self.page_span;
        let mut first: Option<First> = None;
        let items = self.search(&ask, |name| name == "command", &mut |value| {
            if !value.get().starts_with('{') {
                return Err(Stop::Wrong(serde_json::Error::custom("a command is no object")));
            }
            if first.is_none() {
                first = Some(serde_json::from_str(value.get())?);
            }
            sink(value).map_err(Stop::Failed)
        })?;
        let sent = first.and_then(|first| u64::try_from(first.action.counters.sent).ok());
        Ok(Page { items, sent: sent.filter(|&sent| sent > 0) })
    }

    fn dashboard(&self) -> Result<Dashboard, ApiError> {
        let ask = self.get("dashboard", &[]);
        let answer = self.ask(&ask)?;
        if answer.status != 200 {
            return Err(answer.refusal(&ask.call));
        }
        let mut agents_online = None;
        answer.walk(&ask.call, |name| name == "online agents", &mut |value| {
            agents_online = Some(serde_json::from_str(value.get())?);
            Ok(())
        })?;
        Ok(Dashboard { agents_online })
    }

    fn skew(&self) -> Option<SignedDuration> {
        self.skew.last()
    }
}

/// What the first command of a page tells of its action.
#[derive(Debug, Deserialize)]
struct First {
    #[serde(default)]
    action: Whole,
}

/// The action that a command belongs to.
#[derive(Debug, Default, Deserialize)]
struct Whole {
    #[serde(default)]
    counters: Counters,
}

/// Returns the error for a request that has no answer.
fn failed(call: &Call, error: reqwest::Error) -> ApiError {
    // The URL is in the call, without its secrets.
    let (call, source) = (call.clone(), error.without_url());
    if source.is_builder() {
        ApiError::Request { call, source }
    } else if source.is_connect() {
        ApiError::Connect { call, source }
    } else {
        ApiError::Exchange { call, timeout: source.is_timeout(), source: Box::new(source) }
    }
}

/// Returns `text` as a pattern that only it matches, whatever its case.
fn like(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

/// Returns a time in whole seconds, as RFC 3339.
fn seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// Reads `Retry-After`, which is a number of seconds or a date by the server's clock.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let theirs = date(headers).unwrap_or(now);
    Some(elapsed(theirs, http_date(text)?))
}
