//! Responses of the API, read from the connection.
//!
//! A short response is read into memory as a whole, so that all of it can be inspected. A page of
//! results is processed while it arrives.

use std::io::{self, Read};
use std::time::Duration;

use serde::Deserialize;

use super::error::{ApiError, Call, RefusalMessage};
use super::feed::WireError;
use super::limit::{Limits, Meter, Metered};
use super::memory::{LARGE_BYTES, LargePermit};
use super::wanted::Wanted;
use super::wire::{Document, Sink, SinkError, walk};
use crate::chain::excerpt;

/// The API's message for a search without results, or without further results.
const NO_RESULTS: &str = "no results found";
/// The end of the API's message for an object that does not exist.
const NOT_FOUND: &str = " not found";
/// Limits of a short response: an action of 10 MiB with each byte escaped.
const SHORT: Limits =
    Limits { answer_bytes_max: 64 << 20, item_bytes_max: 64 << 20, replaces_large: false };
/// Maximum size of a command in a page, in bytes: one agent's findings.
pub(crate) const COMMAND_BYTES_MAX: u64 = 64 << 20;
/// Limits of a page of actions.
pub(super) const ACTIONS: Limits =
    Limits { answer_bytes_max: 4 << 30, item_bytes_max: COMMAND_BYTES_MAX, replaces_large: false };
/// Limits of a page of commands.
pub(super) const COMMANDS: Limits = Limits { replaces_large: true, ..ACTIONS };
/// Size limit, in bytes, of the beginning of a body that is kept for messages.
const HEAD_BYTES_MAX: usize = 1024;
/// Size limit, in bytes, of the description of a fault in a document.
const WHAT_BYTES_MAX: usize = 160;

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The value of `Retry-After`.
    pub(super) retry_after: Option<Duration>,
    /// The body, or the error that left it incomplete.
    pub(super) body: Result<Vec<u8>, ApiError>,
    /// Held while a large body is in memory.
    _permit: Option<LargePermit>,
}

/// The part of an action in a response that the runner uses.
#[derive(Debug, Deserialize)]
pub(super) struct ApiAction {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) pgpsignatures: Option<Vec<String>>,
    /// The number of commands by state. Untyped, so that an unexpected value does not invalidate
    /// the rest.
    #[serde(default)]
    pub(super) counters: serde_json::Value,
}

impl Answer {
    #[cfg(test)]
    pub(super) fn of(status: u16, body: Result<Vec<u8>, ApiError>) -> Answer {
        Answer { status, retry_after: None, body, _permit: None }
    }

    pub(super) fn read(
        call: &Call,
        status: u16,
        retry_after: Option<Duration>,
        body: impl Read,
    ) -> Answer {
        let meter = Meter::new(SHORT);
        let (mut bytes, mut permit) = (Vec::new(), None);
        let mut body = Metered::new(body, &meter);
        let read =
            body.by_ref().take(LARGE_BYTES as u64).read_to_end(&mut bytes).and_then(|count| {
                permit = (count == LARGE_BYTES).then(LargePermit::wait);
                body.read_to_end(&mut bytes)
            });
        let body = match read {
            Ok(_) => Ok(bytes),
            Err(error) => Err(body_error(call, status, &meter, WireError::Read(error))),
        };
        Answer { status, retry_after, body, _permit: permit }
    }

    /// Walks the body of a successful response.
    pub(super) fn walk(self, call: &Call, wanted: Wanted, sink: Sink<'_>) -> Result<(), ApiError> {
        walk_success(call, self.status, self.body?.as_slice(), SHORT, wanted, sink).map(drop)
    }

    /// Returns the beginning of the body, for messages.
    pub(super) fn head(&self) -> String {
        self.body.as_ref().map_or(String::new(), |body| head(body))
    }

    /// Returns whether the API itself states that the search has no results.
    pub(super) fn is_no_results(&self) -> bool {
        self.status == 404
            && self.body.as_ref().is_ok_and(|body| {
                refusal_message(body) == RefusalMessage::Api(NO_RESULTS.to_owned())
            })
    }

    /// Returns whether the API itself states that the object does not exist.
    pub(super) fn is_not_found(&self) -> bool {
        self.status == 404
            && self.body.as_ref().is_ok_and(
                |body| matches!(refusal_message(body), RefusalMessage::Api(message) if message.ends_with(NOT_FOUND)),
            )
    }

    /// Converts the response to an error.
    pub(super) fn refusal(self, call: &Call) -> ApiError {
        let message = self.body.map_or(RefusalMessage::Incomplete, |body| refusal_message(&body));
        let (status, retry_after) = (self.status, self.retry_after);
        ApiError::Status { call: call.clone(), status, message, retry_after }
    }
}

/// Walks a page of results while it arrives; returns the number of wanted values.
pub(super) fn walk_page(
    call: &Call,
    body: impl Read,
    limits: Limits,
    wanted: Wanted,
    sink: Sink<'_>,
) -> Result<u64, ApiError> {
    walk_success(call, 200, body, limits, wanted, sink).map(|document| document.values)
}

/// Walks the body of a successful response, which must have items and no error message.
fn walk_success(
    call: &Call,
    status: u16,
    body: impl Read,
    limits: Limits,
    wanted: Wanted,
    sink: Sink<'_>,
) -> Result<Document, ApiError> {
    let meter = Meter::new(limits);
    let document = walk(body, &meter, wanted, sink)
        .map_err(|error| body_error(call, status, &meter, error))?;
    if let Some(message) = document.message {
        let (call, message) = (call.clone(), RefusalMessage::Api(message));
        return Err(ApiError::Status { call, status, message, retry_after: None });
    }
    if !document.has_items {
        return Err(unusable(call, status, "it has no items", meter.head()));
    }
    Ok(Document { message: None, ..document })
}

/// Returns the error for a response with unexpected content.
pub(super) fn unusable(call: &Call, status: u16, what: &str, head: String) -> ApiError {
    let what = excerpt(what, WHAT_BYTES_MAX).into_owned();
    ApiError::Answer { call: call.clone(), status, what, head }
}

/// Returns the error for a body that could not be processed to its end.
fn body_error(call: &Call, status: u16, meter: &Meter, error: WireError) -> ApiError {
    let call = call.clone();
    match (error, meter.exceeded()) {
        (WireError::Sink(source), _) => ApiError::Sink { call, source },
        (WireError::Read(_), Some(limit_bytes)) => ApiError::TooLong { call, limit_bytes },
        (WireError::Read(error), None) => {
            ApiError::Exchange { call, timeout: is_timeout(&error), source: Box::new(error) }
        }
        (WireError::Json(_), _) if meter.head().is_empty() => {
            unusable(&call, status, "it is empty", String::new())
        }
        (WireError::Json(error), _) => unusable(&call, status, &error.to_string(), meter.head()),
    }
}

/// Returns whether reading a body failed because the time limit was reached.
fn is_timeout(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
    inner.is_some_and(reqwest::Error::is_timeout) || error.kind() == io::ErrorKind::TimedOut
}

/// Returns the beginning of a body.
fn head(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(..HEAD_BYTES_MAX).unwrap_or(body)).into_owned()
}

/// Returns the message in the body of a refusal.
fn refusal_message(body: &[u8]) -> RefusalMessage {
    let walked = walk(body, &Meter::new(SHORT), Wanted::Named(|_| false), &mut |_| Ok(()));
    match walked.ok().and_then(|document| document.message) {
        Some(message) => RefusalMessage::Api(message),
        None => RefusalMessage::Other(head(body)),
    }
}

impl From<serde_json::Error> for SinkError {
    fn from(error: serde_json::Error) -> SinkError {
        SinkError::Invalid(error)
    }
}

/// Parses a value as an action.
pub(super) fn action(value: &str) -> Result<ApiAction, SinkError> {
    Ok(serde_json::from_str(value)?)
}
