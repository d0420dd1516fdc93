//! Errors of requests to the API, and how many other requests they affect.
//!
//! **Invariant.** Errors contain no secrets: a URL is kept without user and password, and headers
//! are not kept. The API's messages are escaped and truncated.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::Url;

use super::token::TokenError;
use crate::chain::excerpt;

/// Size limit, in bytes, of an API message in an error.
const MESSAGE_BYTES_MAX: usize = 512;
/// Size limit, in bytes, of a URL in an error.
const URL_BYTES_MAX: usize = 300;

/// A request's method and URL, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    method: &'static str,
    url: String,
}

impl Call {
    /// Describes a request, without the secrets of its URL.
    pub(super) fn new(method: &'static str, url: &Url) -> Call {
        let mut url = url.clone();
        // Both fail only for a URL that cannot hold a user or a password.
        if url.set_username("").is_err() || url.set_password(None).is_err() {
            url.set_query(None);
        }
        Call { method, url: excerpt(url.as_str(), URL_BYTES_MAX).into_owned() }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

/// Which requests a fault affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Only this request: others may succeed.
    Request,
    /// All requests: the API, the network or the key is at fault.
    Api,
}

/// A request without a usable response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The token could not be created; nothing was sent.
    #[error("cannot create the token for {call}")]
    Token { call: Call, source: TokenError },
    /// A stop was requested; nothing was sent, or only a request that was answered 401.
    #[error("the runner stopped before {call}")]
    Stopped { call: Call },
    /// The request could not be built; nothing was sent.
    #[error("cannot build the request {call}")]
    Request { call: Call, source: reqwest::Error },
    /// The action is larger than the API accepts; nothing was sent.
    #[error(
        "the action is {bytes} bytes as a form and the API accepts {limit}: set want_compressed in its operations, or split it"
    )]
    FormTooLong { bytes: usize, limit: usize },
    /// No connection could be established; nothing was sent.
    #[error("cannot connect for {call}")]
    Connect { call: Call, source: reqwest::Error },
    /// The connection broke, or the time limit was reached, before the response was complete.
    #[error("no complete answer to {call}{}", if *timeout { " within the time limit" } else { "" })]
    Exchange {
        call: Call,
        /// Whether the time limit was reached.
        timeout: bool,
        source: Box<dyn Error + Send + Sync>,
    },
    /// The response is a refusal.
    #[error("{call} was answered {status}{message}{}", remedy(*status, message))]
    Status {
        call: Call,
        status: u16,
        message: RefusalMessage,
        /// The value of `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The status is success, but the body is not what the API sends then.
    #[error("the answer to {call} ({status}) cannot be used: {what}{}", beginning(head))]
    Answer {
        call: Call,
        status: u16,
        /// The fault in the body.
        what: String,
        head: String,
    },
    /// The response is longer than any that the API should send.
    #[error("the answer to {call} exceeds {limit_bytes} bytes")]
    TooLong { call: Call, limit_bytes: u64 },
    /// The sink of the commands failed; the API is not at fault.
    #[error("cannot process a command in the answer to {call}")]
    Sink { call: Call, source: io::Error },
}

/// Formats the beginning of a response, if it is not empty.
fn beginning(head: &str) -> String {
    if head.is_empty() {
        return String::new();
    }
    format!("; it begins: {}", excerpt(head, MESSAGE_BYTES_MAX))
}

/// Returns the remedy for a refusal with one usual cause.
fn remedy(status: u16, message: &RefusalMessage) -> &'static str {
    match (status, message) {
        (_, RefusalMessage::Api(_)) => "",
        (300..=399 | 404 | 405, _) => "; check the url of the API",
        (403 | 407, _) => "; check the proxy in front of the API",
        _ => "",
    }
}

/// The message in a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefusalMessage {
    /// The API's own message.
    Api(String),
    /// A body that is not the API's, such as a proxy's error page.
    Other(String),
    /// The body did not arrive completely.
    Incomplete,
}

impl fmt::Display for RefusalMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefusalMessage::Api(message) => write!(f, ": {}", excerpt(message, MESSAGE_BYTES_MAX)),
            RefusalMessage::Incomplete => {
                f.write_str(", and the rest of the answer did not arrive")
            }
            RefusalMessage::Other(text) if text.trim().is_empty() => {
                f.write_str(" with an empty body")
            }
            RefusalMessage::Other(text) => {
                let text = excerpt(text.trim(), MESSAGE_BYTES_MAX);
                write!(f, " with a body that is not the API's: {text}")
            }
        }
    }
}

impl ApiError {
    /// Returns whether the fault affects only this request or all of them.
    pub(crate) fn scope(&self) -> Scope {
        match self {
            ApiError::FormTooLong { .. }
            | ApiError::Answer { .. }
            | ApiError::TooLong { .. }
            | ApiError::Stopped { .. }
            | ApiError::Sink { .. } => Scope::Request,
            // A page that takes too long to compute says nothing about other requests.
            ApiError::Exchange { timeout: true, call, .. } if call.method == "GET" => {
                Scope::Request
            }
            ApiError::Token { .. }
            | ApiError::Request { .. }
            | ApiError::Connect { .. }
            | ApiError::Exchange { .. } => Scope::Api,
            // The API answers 500 to anything it rejects in a request, and means only this request.
            ApiError::Status { status: 400 | 413 | 422, .. }
            | ApiError::Status { status: 404 | 500, message: RefusalMessage::Api(_), .. } => {
                Scope::Request
            }
            ApiError::Status { .. } => Scope::Api,
        }
    }

    /// Returns whether it is certain that no byte of the request was sent.
    pub(super) fn is_unsent(&self) -> bool {
        matches!(
            self,
            ApiError::Token { .. }
                | ApiError::Stopped { .. }
                | ApiError::Request { .. }
                | ApiError::FormTooLong { .. }
                | ApiError::Connect { .. }
        )
    }

    /// Returns whether the time limit was reached; a smaller page may succeed.
    pub(crate) fn is_timeout(&self) -> bool {
        // A proxy answers 504 if the API takes too long.
        matches!(
            self,
            ApiError::Exchange { timeout: true, .. } | ApiError::Status { status: 504, .. }
        )
    }

    #[cfg(test)]
    pub(crate) fn too_long() -> ApiError {
        let call = Call { method: "GET", url: String::new() };
        ApiError::TooLong { call, limit_bytes: 0 }
    }

    /// Returns whether the response exceeds its limit; a smaller page may fit.
    pub(crate) fn is_too_long(&self) -> bool {
        matches!(self, ApiError::TooLong { .. })
    }

    /// Returns the delay that the response demands.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            ApiError::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
