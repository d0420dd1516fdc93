//! A plain MIG action that the operator put into `action/new`: it becomes a run and is sent once.

use std::time::Duration;

use jiff::Timestamp;

use super::launch::RunDefaults;
use crate::action::{Action, CheckError};
use crate::clock::after;
use crate::go::json::ParseError;
use crate::names::{JobName, RunId};
use crate::spool::{Launch, Origin, Record};

/// Time after its last change during which a file that does not parse may still be being written.
pub(crate) const WRITE_SPAN: Duration = Duration::from_secs(10);
/// Stem of the run id if the file name cannot be used.
const STEM: &str = "action";

/// Why a dropped file is not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    #[error("it is not a valid action")]
    Parse(#[source] ParseError),
    /// The platform would not accept the action.
    #[error("the platform would not accept it")]
    Check(#[source] CheckError),
}

/// Returns the id of the run that a dropped file becomes; `mark` makes it unique.
pub(crate) fn id_of(file_name: &str, now: Timestamp, mark: &str) -> Option<RunId> {
    let stem = file_name.strip_suffix(".json").unwrap_or(file_name);
    // The stem becomes the run's name as well, which has a job's limits.
    let stem = stem.parse::<JobName>().map_or(STEM, |_| stem);
    RunId::marked(stem, now, mark).ok()
}

/// Returns whether a file with this id was claimed already: claimed ids have a mark.
pub(crate) fn is_claimed(id: &RunId) -> bool {
    !id.is_scheduled()
}

/// Returns the first record of a dropped action. One that is signed and has not expired is posted
/// unchanged, so that an action signed by several investigators can be sent.
pub(crate) fn record(
    id: RunId,
    name: JobName,
    text: String,
    defaults: &RunDefaults,
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
