//! The outcome of an attempt to fetch results.

use jiff::Timestamp;

use crate::action::{LargeAnswer, Summary};
use crate::api::{ActionState, ApiError};
use crate::disk::DiskError;
use crate::names::ActionId;
use crate::stage::document::DocumentError;

/// Status that the platform gives to an action without a matching agent.
pub(in crate::stage) const INVALID: &str = "invalid";
/// What that status means, for the author of the action.
pub(in crate::stage) const NO_AGENT: &str = "no agent matched the target";
/// Maximum number of documents of one action. An action has several if its results are fetched
/// anew.
pub(super) const DOCUMENTS_MAX: u32 = 1000;

/// Returns whether an action gets no further commands and answers.
pub(in crate::stage) fn has_ended(seen: &ActionState) -> bool {
    seen.is_completed() || seen.status == INVALID
}

/// A complete document.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    /// Relative to the runner's directory.
    pub(crate) document: String,
    pub(crate) summary: Summary,
    /// The first of the answers that were too large.
    pub(crate) large: Vec<LargeAnswer>,
    /// The action's status if no agent was sent the action and the platform reports one.
    pub(crate) status: Option<String>,
}

/// Why a fetch did not finish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the record has no action id or no action")]
    NoAction,
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The API sent an unexpected command, or the disk failed.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The API returned fewer commands than it counts.
    #[error("the API returned {found} of {sent} commands")]
    Missing { found: u64, sent: u64 },
    /// The results are complete, but commands may still change and the grace period has not ended.
    #[error("{commands} commands may still change")]
    NotFinal {
        commands: u64,
        /// When the results first were complete.
        since: Timestamp,
    },
    #[error("action {0} has {DOCUMENTS_MAX} documents: remove some")]
    Crowded(ActionId),
    #[error("the runner is stopping")]
    Stopped,
}

impl From<DiskError> for FetchError {
    fn from(source: DiskError) -> FetchError {
        FetchError::Document(DocumentError::Disk { source })
    }
}
