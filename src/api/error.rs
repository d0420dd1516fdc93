//! What went wrong between us and the API, and how far it reaches.
//!
//! **Invariant.** No secret is in an error: an URL is kept without its user and
//! password, and no header is kept at all. What the API said is escaped and cut.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::Url;

use super::token::TokenError;
use crate::chain::excerpt;

/// How much of what the API says is shown, in bytes.
const SAID_BYTES_MAX: usize = 512;
/// How much of an URL is shown, in bytes.
const URL_BYTES_MAX: usize = 300;

/// A request, as it is named in messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    method: &'static str,
    url: String,
}

impl Call {
    /// Names a request; what is secret in the URL is left out.
    pub(super) fn new(method: &'static str, url: &Url) -> Call {
        let mut url = url.clone();
        // Both fail only for an URL that cannot hold a user or a password.
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

/// How far a fault reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// This request: others may well succeed.
    Request,
    /// The API, the network or the key: no request can succeed.
    Api,
}

/// Why a request has no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// There is no token; nothing was sent.
    #[error("cannot make the token for {call}")]
    Token { call: Call, source: TokenError },
    /// A stop was asked for; nothing was sent, or nothing but a request that was answered 401.
    #[error("the runner stopped before {call}")]
    Stopped { call: Call },
    /// The request could not be made; nothing was sent.
    #[error("cannot make {call}")]
    Request { call: Call, source: reqwest::Error },
    /// The action is bigger than the API reads; nothing was sent.
    #[error(
        "the action is {bytes} bytes as a form and the API reads {limit}: ask for its operations to be compressed, or split it"
    )]
    FormTooLong {
        bytes: usize,
        /// The most that the API reads.
        limit: usize,
    },
    /// There is no connection; nothing was sent.
    #[error("cannot connect for {call}")]
    Connect { call: Call, source: reqwest::Error },
    /// The connection broke, or the time was over, before the answer was whole.
    #[error("no whole answer to {call}{}", if *timeout { " in time" } else { "" })]
    Exchange {
        call: Call,
        /// Whether time ran out.
        timeout: bool,
        source: Box<dyn Error + Send + Sync>,
    },
    /// The answer is a refusal.
    #[error("{call} was answered {status}{said}{}", remedy(*status, said))]
    Status {
        call: Call,
        status: u16,
        said: Said,
        /// When to try again, if the answer tells.
        retry_after: Option<Duration>,
    },
    /// The answer says success and is not what the API says then.
    #[error("the answer to {call} ({status}) cannot be used: {what}{}", beginning(head))]
    Answer {
        call: Call,
        status: u16,
        /// What is wrong with it.
        what: String,
        head: String,
    },
    /// The answer is longer than any that the API should give.
    #[error("the answer to {call} exceeds {limit_bytes} bytes")]
    TooLong {
        call: Call,
        /// The most that is read.
        limit_bytes: u64,
    },
    /// Whoever takes the commands failed; the API is not at fault.
    #[error("cannot take a command out of the answer to {call}")]
    Sink { call: Call, source: io::Error },
}

/// Shows how an answer begins, if it does.
fn beginning(head: &str) -> String {
    if head.is_empty() {
        return String::new();
    }
    format!("; it begins: {}", excerpt(head, SAID_BYTES_MAX))
}

/// Returns what to do about a refusal that has one usual reason.
fn remedy(status: u16, said: &Said) -> &'static str {
    match (status, said) {
        (_, Said::Api(_)) => "",
        (300..=399 | 404 | 405, _) => "; check the url of the API",
        (403 | 407, _) => "; check what stands in front of the API",
        _ => "",
    }
}

/// What was said with a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// The API's own message.
    Api(String),
    /// Something that the API does not write: a proxy's page, for instance.
    Other(String),
    /// Something that did not arrive as a whole.
    Lost,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Api(message) => write!(f, ": {}", excerpt(message, SAID_BYTES_MAX)),
            Said::Lost => f.write_str(", and the rest did not arrive"),
            Said::Other(text) if text.trim().is_empty() => f.write_str(" and nothing else"),
            Said::Other(text) => {
                let text = excerpt(text.trim(), SAID_BYTES_MAX);
                write!(f, " without a message of the API: {text}")
            }
        }
    }
}

impl ApiError {
    /// Tells how far the fault reaches: whether other requests are worth a try.
    pub(crate) fn scope(&self) -> Scope {
        match self {
            ApiError::FormTooLong { .. }
            | ApiError::Answer { .. }
            | ApiError::TooLong { .. }
            | ApiError::Stopped { .. }
            | ApiError::Sink { .. } => Scope::Request,
            // A page that takes long to compute says nothing of others.
            ApiError::Exchange { timeout: true, call, .. } if call.method == "GET" => {
                Scope::Request
            }
            ApiError::Token { .. }
            | ApiError::Request { .. }
            | ApiError::Connect { .. }
            | ApiError::Exchange { .. } => Scope::Api,
            // The API gives 500 for whatever it dislikes in a request, and means only that.
            ApiError::Status { status: 400 | 413 | 422, .. }
            | ApiError::Status { status: 404 | 500, said: Said::Api(_), .. } => Scope::Request,
            ApiError::Status { .. } => Scope::Api,
        }
    }

    /// Tells whether it is certain that no byte of the request was sent.
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

    /// Tells whether the time ran out before the answer was whole; a smaller page may succeed.
    pub(crate) fn is_timeout(&self) -> bool {
        // 504 is what a proxy says for an API that took too long.
        matches!(
            self,
            ApiError::Exchange { timeout: true, .. } | ApiError::Status { status: 504, .. }
        )
    }

    /// Returns how long the answer asks us to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            ApiError::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
