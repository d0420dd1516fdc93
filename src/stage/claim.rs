//! A plain MIG action that somebody put into `action/new`: it becomes a run and is sent once.

use std::time::Duration;

use jiff::Timestamp;

use super::launch::Defaults;
use crate::action::{Action, CheckError};
use crate::clock::after;
use crate::go::json::ParseError;
use crate::names::{JobName, RunId};
use crate::spool::{Launch, Origin, Record};

/// How long a file that does not parse is taken for one that is still being written.
pub(crate) const WRITING: Duration = Duration::from_secs(10);
/// What stands before the slot where a file's name cannot.
const STEM: &str = "action";

/// Why a dropped file is not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    /// It is no action.
    #[error("it is no action")]
    Parse(#[source] ParseError),
    /// The platform could not take the action.
    #[error("the platform could not take it")]
    Check(#[source] CheckError),
}

/// Returns the id of the run that a dropped file becomes; `mark` tells it from all others.
pub(crate) fn id_of(file_name: &str, now: Timestamp, mark: &str) -> Option<RunId> {
    let stem = file_name.strip_suffix(".json").unwrap_or(file_name);
    // The stem becomes the run's name as well, which has a job's limits.
    let stem = stem.parse::<JobName>().map_or(STEM, |_| stem);
    RunId::marked(stem, now, mark).ok()
}

/// Tells whether a file with this id has been claimed already: a claimed one bears a mark.
pub(crate) fn is_claimed(id: &RunId) -> bool {
    !id.is_scheduled()
}

/// Returns the first record of an action that was dropped in. One that is signed and not expired
/// is posted as it is: so an action that several investigators signed can be sent.
///
/// # Errors
/// The file is no action that could be sent.
pub(crate) fn record(
    id: RunId,
    name: JobName,
    text: String,
    defaults: &Defaults,
    now: Timestamp,
) -> Result<Record, ClaimError> {
    let action = Action::parse(text.as_bytes()).map_err(ClaimError::Parse)?;
    action.check().map_err(ClaimError::Check)?;
    let expire_after = action.expire_after.timestamp();
    let is_signed = action.signatures.as_ref().is_some_and(|signatures| !signatures.is_empty());
    let verbatim = is_signed && expire_after > now;
    let longest = after(now, defaults.deadline);
    let deadline = if verbatim { longest.min(expire_after) } else { longest };
    let launch = Launch {
        origin: Origin::Dropped,
        name,
        action_name: action.name,
        template: text,
        verbatim,
        settings: defaults.settings(deadline),
        plugins: Vec::new(),
        id,
    };
    Ok(Record::new(launch, now))
}
