//! The client of the MIG API: requests, responses and what they mean.
//!
//! The stages use the trait [`Api`] and do not see HTTP. One function, in [`verdict`], interprets
//! the response to a POST, because the API's status codes say little: it answers 500 to every
//! action that it refuses and 401 while its database is down, and a 500 may still have put the
//! action on the fleet.
//!
//! **Invariants.** Only [`client`] opens sockets. No request is repeated without the caller's
//! knowledge, except once with a fresh token after a 401, which is known to have had no effect.
//! Redirects are never followed. Every call ends within its time limit and every response is
//! bounded, in memory too: a page of results is passed on command by command.
//!
//! **Failure.** Whatever the server sends results in an [`ApiError`], never in a panic.

mod answer;
pub(crate) mod backoff;
mod beginning;
mod client;
mod cursor;
mod error;
mod exposure;
mod feed;
mod form;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod limit;
mod memory;
pub(crate) mod proxy;
mod settings;
mod skew;
mod skip;
mod token;
pub(crate) mod verdict;
mod wanted;
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

use crate::action::{CommandText, Signature};
use crate::names::ActionId;

#[cfg(feature = "platform")]
pub(crate) use answer::COMMAND_BYTES_MAX;
pub(crate) use client::Client;
pub(crate) use error::{ApiError, Scope};
pub(crate) use form::{FORM_BYTES_MAX, form_bytes};
pub(crate) use memory::LargePermit;
pub(crate) use proxy::Route;
pub(crate) use settings::{Credentials, HttpSettings, SettingsError};

pub(crate) trait Api: Debug + Send + Sync {
    /// Posts a signed action. The response must carry one of `signatures`, which are those of the
    /// run.
    fn post(&self, action_json: &str, signatures: &[Signature]) -> Posted;

    /// Searches for an action by its signatures, after a POST with unknown outcome.
    ///
    /// An action with one of the signatures is found even in a truncated response. Its absence is
    /// established only by a response that was not truncated.
    ///
    /// # Errors
    /// The outcome of the POST remains unknown.
    fn find(&self, search: &Search<'_>) -> Result<Found, ApiError>;

    /// Returns the state of an action, or `None` if the API answers that there is no such action.
    ///
    /// While its database is down, an API without authentication answers this for every action.
    ///
    /// # Errors
    /// The API did not answer, or answered something else.
    fn action(&self, id: ActionId) -> Result<Option<ActionState>, ApiError>;

    /// Reads a page of an action's commands and passes each to `sink`, byte for byte as it was
    /// sent.
    ///
    /// A page without commands is the normal end. A command is one JSON object, which may have line
    /// feeds between its tokens, though the real API sends none. A command that is too large is
    /// replaced by a placeholder.
    ///
    /// # Errors
    /// [`ApiError::Sink`] if `sink` failed. After any other error the page is incomplete, and the
    /// commands that `sink` received are sent again with the next attempt.
    fn commands(
        &self,
        id: ActionId,
        offset: u64,
        limit: u32,
        sink: &mut dyn FnMut(CommandText<'_>) -> io::Result<()>,
    ) -> Result<Page, ApiError>;

    /// Requests the dashboard. This succeeds only if the API, its database and our key work.
    fn dashboard(&self) -> Result<Dashboard, ApiError>;

    /// Returns how far this machine's clock was ahead of the API's at the last response with a
    /// date.
    fn skew(&self) -> Option<SignedDuration>;
}

/// The outcome of a POST.
#[derive(Debug)]
#[must_use = "a run whose outcome is forgotten may be posted twice"]
pub(crate) enum Posted {
    Accepted {
        id: ActionId,
        /// The action as the API returned it.
        action: Box<RawValue>,
    },
    /// The API certainly did not insert the action.
    Refused { cause: ApiError, next: Next },
    /// The API may have inserted the action: the run is searched for before it is posted or signed
    /// again.
    Unknown {
        /// The error that occurred instead of a response.
        cause: ApiError,
    },
}

/// The next step for a run that the API refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The action itself is refused; the run becomes a dead letter.
    Invalid,
    /// The action's validity period has ended: date and sign the run again.
    DateAnew,
    /// The signature is correct, but its RSA number does not have the length that the platform
    /// demands: sign the run again.
    SignAnew,
    /// Retry this run later; other runs are not affected.
    BackOff,
    /// Retry every run later: the API, the network or the key is at fault.
    BackOffAll,
}

/// The properties that identify a run's action, for [`Api::find`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search<'a> {
    pub(crate) name: &'a str,
    /// Start of the validity period, in whole seconds.
    pub(crate) valid_from: Timestamp,
    /// End of the validity period, in whole seconds.
    pub(crate) expire_after: Timestamp,
    /// Every signature ever made for the run.
    pub(crate) signatures: &'a [Signature],
    /// Actions that belong to other runs.
    pub(crate) taken: &'a BTreeSet<ActionId>,
}

/// The result of a search by signature.
#[derive(Debug)]
pub(crate) enum Found {
    Action {
        id: ActionId,
        /// The action as the API returned it.
        action: Box<RawValue>,
    },
    /// The API has no such action.
    None,
    /// The response was truncated and does not contain the action: its fate remains unknown.
    TooMany,
}

/// The state of an action, as the API reports it.
#[derive(Debug)]
pub(crate) struct ActionState {
    /// `pending`, `scheduled`, `preparing`, `inflight`, `completed`, `invalid` …
    pub(crate) status: String,
    /// The number of its commands; 0 also if the API does not report it.
    pub(crate) sent: u64,
}

impl ActionState {
    /// Returns whether every command of the action is done.
    pub(crate) fn is_completed(&self) -> bool {
        self.status == "completed"
    }
}

/// Statistics of a page of results that was read completely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// The number of commands on the page.
    pub(crate) items: u64,
    /// The number of commands of the action, as stated in the first command.
    pub(crate) sent: Option<u64>,
}

/// The part of the dashboard that the runner uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dashboard {
    pub(crate) agents_online: Option<u64>,
}
