//! What came back, before it is judged.
//!
//! Two kinds of answer are read in two ways: a short one into memory, so that a
//! judge can look at all of it; a page of results while it arrives.

use std::io::{self, Read};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{ApiError, Call, Said};
use super::limit::{Limits, Meter, Metered};
use super::wire::{Document, Sink, Stop, WireError, walk};
use crate::chain::excerpt;

/// What the API says where a search has no, or no further, result.
const NO_RESULTS: &str = "no results found";
/// How the API's message ends where one thing was asked for by its id.
const NOT_FOUND: &str = " not found";
/// What is read of a short answer: an action of 10 MiB, each byte of it escaped.
const SHORT: Limits = Limits { answer_bytes_max: 64 << 20, item_bytes_max: 64 << 20 };
/// What is read of a page: a command is what an agent found on one machine.
const PAGE: Limits = Limits { answer_bytes_max: 4 << 30, item_bytes_max: 64 << 20 };
/// How much of a body is kept for messages, in bytes.
const HEAD_BYTES_MAX: usize = 1024;
/// How much is told of what is wrong in a document, in bytes.
const WHAT_BYTES_MAX: usize = 160;

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// When to try again, if the answer tells.
    pub(super) retry_after: Option<Duration>,
    /// The body; or why it is not whole.
    pub(super) body: Result<Vec<u8>, ApiError>,
}

/// An action as the API answers it, as far as we look at it.
#[derive(Debug, Deserialize)]
pub(super) struct Action {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) pgpsignatures: Option<Vec<String>>,
    /// How many commands it has, by state. An odd value must not hide the rest of the answer.
    #[serde(default)]
    pub(super) counters: serde_json::Value,
}

impl Answer {
    /// Reads a body into memory.
    pub(super) fn read(
        call: &Call,
        status: u16,
        retry_after: Option<Duration>,
        body: impl Read,
    ) -> Answer {
        let meter = Meter::new(SHORT);
        let mut bytes = Vec::new();
        let body = match Metered::new(body, &meter).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(broken(call, status, &meter, WireError::Read(error))),
        };
        Answer { status, retry_after, body }
    }

    /// Walks the body of an answer that says success.
    pub(super) fn walk(
        self,
        call: &Call,
        wants: fn(&str) -> bool,
        sink: Sink<'_>,
    ) -> Result<(), ApiError> {
        walk_success(call, self.status, self.body?.as_slice(), SHORT, wants, sink).map(drop)
    }

    /// Returns how the body begins, for messages.
    pub(super) fn head(&self) -> String {
        self.body.as_ref().map_or(String::new(), |body| head(body))
    }

    /// Tells whether it is the API's word that a search has no result.
    pub(super) fn is_no_results(&self) -> bool {
        self.status == 404
            && self.body.as_ref().is_ok_and(|body| said(body) == Said::Api(NO_RESULTS.to_owned()))
    }

    /// Tells whether it is the API's word that there is no such thing.
    pub(super) fn is_not_found(&self) -> bool {
        self.status == 404
            && self.body.as_ref().is_ok_and(
                |body| matches!(said(body), Said::Api(message) if message.ends_with(NOT_FOUND)),
            )
    }

    /// Returns the refusal that it is.
    pub(super) fn refusal(self, call: &Call) -> ApiError {
        let said = self.body.map_or(Said::Lost, |body| said(&body));
        let Answer { status, retry_after, .. } = self;
        ApiError::Status { call: call.clone(), status, said, retry_after }
    }
}

/// Walks a page of results while it arrives.
///
/// # Errors
/// As [`walk_success`].
pub(super) fn walk_page(
    call: &Call,
    body: impl Read,
    wants: fn(&str) -> bool,
    sink: Sink<'_>,
) -> Result<u64, ApiError> {
    walk_success(call, 200, body, PAGE, wants, sink).map(|document| document.values)
}

/// Walks a document that came with a status of success, which must have items and no complaint.
fn walk_success(
    call: &Call,
    status: u16,
    body: impl Read,
    limits: Limits,
    wants: fn(&str) -> bool,
    sink: Sink<'_>,
) -> Result<Document, ApiError> {
    let meter = Meter::new(limits);
    let document =
        walk(body, &meter, wants, sink).map_err(|error| broken(call, status, &meter, error))?;
    if let Some(message) = document.message {
        let (call, said) = (call.clone(), Said::Api(message));
        return Err(ApiError::Status { call, status, said, retry_after: None });
    }
    if !document.has_items {
        return Err(wrong(call, status, "it has no items", meter.head()));
    }
    Ok(Document { message: None, ..document })
}

/// Returns the error for an answer that is not what it should be.
pub(super) fn wrong(call: &Call, status: u16, what: &str, head: String) -> ApiError {
    let what = excerpt(what, WHAT_BYTES_MAX).into_owned();
    ApiError::Answer { call: call.clone(), status, what, head }
}

/// Returns the error for a body that could not be walked to its end.
fn broken(call: &Call, status: u16, meter: &Meter, error: WireError) -> ApiError {
    let call = call.clone();
    match (error, meter.exceeded()) {
        (WireError::Sink(source), _) => ApiError::Sink { call, source },
        (WireError::Read(_), Some(limit_bytes)) => ApiError::TooLong { call, limit_bytes },
        (WireError::Read(error), None) => {
            ApiError::Exchange { call, timeout: is_timeout(&error), source: Box::new(error) }
        }
        (WireError::Json(_), _) if meter.head().is_empty() => {
            wrong(&call, status, "it is empty", String::new())
        }
        (WireError::Json(error), _) => wrong(&call, status, &error.to_string(), meter.head()),
    }
}

/// Tells whether reading a body failed because the time was over.
fn is_timeout(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
    inner.is_some_and(reqwest::Error::is_timeout) || error.kind() == io::ErrorKind::TimedOut
}

/// Returns how a body begins: more than is ever shown need not be kept.
fn head(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(..HEAD_BYTES_MAX).unwrap_or(body)).into_owned()
}

/// Returns what was said with a refusal.
fn said(body: &[u8]) -> Said {
    let complaint = walk(body, &Meter::new(SHORT), |_| false, &mut |_| Ok(()));
    match complaint.ok().and_then(|document| document.message) {
        Some(message) => Said::Api(message),
        None => Said::Other(head(body)),
    }
}

impl From<serde_json::Error> for Stop {
    fn from(error: serde_json::Error) -> Stop {
        Stop::Wrong(error)
    }
}

/// Reads an action out of a value of the API.
pub(super) fn action(value: &RawValue) -> Result<Action, Stop> {
    Ok(serde_json::from_str(value.get())?)
}
