//! The API of the platform: what is asked of it, and what its answers mean.
//!
//! The stages see the trait [`Api`] and nothing of HTTP. An answer is judged in
//! one place ([`verdict`]), because the API's own status codes say little: it
//! answers 500 to every action that it refuses, 401 when its database is away,
//! and a 500 may still have put the action on the fleet.
//!
//! **Invariants.** Only [`client`] opens sockets. No request is sent twice
//! behind the caller's back, except once with a fresh token after a 401, which
//! is known to have done nothing. Redirects are never followed. Every call ends
//! within its time limit and every answer is bounded, in memory too: a page of
//! results is handed on command by command.
//!
//! **Failure.** Whatever the other side sends is an [`ApiError`], never a panic.

mod answer;
pub(crate) mod backoff;
mod client;
mod error;
mod feed;
mod form;
mod limit;
pub(crate) mod proxy;
mod settings;
mod skew;
mod token;
pub(crate) mod verdict;
mod wire;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;

use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;

use crate::action::Signature;
use crate::names::ActionId;

pub(crate) use client::Client;
pub(crate) use error::{ApiError, Scope};
pub(crate) use form::{FORM_BYTES_MAX, form_bytes};
pub(crate) use proxy::Route;
pub(crate) use settings::{Credentials, HttpSettings, SettingsError};

/// The API, as the stages see it.
pub(crate) trait Api: Debug + Send + Sync {
    /// Posts a signed action. The answer must carry one of `signatures`, which are the run's.
    fn post(&self, action_json: &str, signatures: &[Signature]) -> Posted;

    /// Looks for an action by its signatures, after a POST of which the outcome is unknown.
    ///
    /// One that bears them is found however full the answer is; that there is none is believed
    /// of an answer only that had room for more.
    ///
    /// # Errors
    /// The outcome is as unknown as before.
    fn find(&self, search: &Search<'_>) -> Result<Found, ApiError>;

    /// Returns what the API knows of an action; `None` if it says that there is no such action.
    ///
    /// An API without authentication says so of every action while its database is away.
    ///
    /// # Errors
    /// There was no answer, or another one.
    fn action(&self, id: ActionId) -> Result<Option<Seen>, ApiError>;

    /// Reads a page of an action's commands and hands each to `sink`, byte for byte as it was sent.
    ///
    /// A page with no command is the normal end. A command is one JSON object, which may hold line
    /// feeds between its tokens, though the real API sends none.
    ///
    /// # Errors
    /// [`ApiError::Sink`] if `sink` failed; else the page is not whole, and what `sink` took of it
    /// will come again.
    fn commands(
        &self,
        id: ActionId,
        offset: u64,
        limit: u32,
        sink: &mut dyn FnMut(&RawValue) -> io::Result<()>,
    ) -> Result<Page, ApiError>;

    /// Asks for the dashboard, which needs the API, its database and our key to work.
    ///
    /// # Errors
    /// One of them does not.
    fn dashboard(&self) -> Result<Dashboard, ApiError>;

    /// Returns how far this machine's clock was ahead of the API's at the last answer.
    fn skew(&self) -> Option<SignedDuration>;
}

/// What became of a POST.
#[derive(Debug)]
#[must_use = "a run whose outcome is forgotten may be posted twice"]
pub(crate) enum Posted {
    /// The API has it.
    Accepted {
        /// The id that the API gave it.
        id: ActionId,
        /// The action as the API answered it.
        action: Box<RawValue>,
    },
    /// It is known that the API does not have it.
    Refused {
        cause: ApiError,
        /// What to do with the run.
        next: Next,
    },
    /// The API may have it: to be looked for before it is posted or signed again.
    Unknown {
        /// What came instead of an answer.
        cause: ApiError,
    },
}

/// What to do with a run that the API refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing helps: the action itself is refused.
    Invalid,
    /// Its period is over: it is dated and signed anew.
    DateAnew,
    /// Its signature is good but its RSA number is not of the length that the platform demands: it is signed
    /// anew.
    SignAnew,
    /// This run is tried later; the others are not concerned.
    BackOff,
    /// Every run is tried later: the API, the network or the key is at fault.
    BackOffAll,
}

/// What tells a run's action from all others, for [`Api::find`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search<'a> {
    /// The action's name, exactly.
    pub(crate) name: &'a str,
    /// The start of its period, in whole seconds.
    pub(crate) valid_from: Timestamp,
    /// The end of its period, in whole seconds.
    pub(crate) expire_after: Timestamp,
    /// Every signature ever made for the run.
    pub(crate) signatures: &'a [Signature],
    /// Actions of other runs, which are never adopted.
    pub(crate) taken: &'a BTreeSet<ActionId>,
}

/// What a search by signature found.
#[derive(Debug)]
pub(crate) enum Found {
    /// The action, to be adopted.
    Action {
        id: ActionId,
        /// The action as the API answered it.
        action: Box<RawValue>,
    },
    /// The API answered, and has no such action.
    None,
    /// The answer was full without it: as unknown as before.
    TooMany,
}

/// What the API knows of an action.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Its status: `pending`, `scheduled`, `preparing`, `inflight`, `completed`, `invalid` …
    pub(crate) status: String,
    /// How many commands it has; 0 if it has none, or the API does not count them.
    pub(crate) sent: u64,
}

impl Seen {
    /// Tells whether every command of the action is done.
    pub(crate) fn is_completed(&self) -> bool {
        self.status == "completed"
    }
}

/// A page of results that was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// How many commands it held.
    pub(crate) items: u64,
    /// How many commands the action has in all, as its first command says.
    pub(crate) sent: Option<u64>,
}

/// What the dashboard says, as far as it is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dashboard {
    /// How many agents are online.
    pub(crate) agents_online: Option<u64>,
}
