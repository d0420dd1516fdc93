//! Parameters of the module `timedrift`: the tolerated difference of the clock.

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::parameters::{self, ParameterError};
use crate::go::duration;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TimedriftParameters {
    drift: String,
}

/// The parameters of the module are invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TimedriftError {
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    #[error("drift {0:?} is not a duration such as 500ms or 1m30s")]
    Invalid(String),
    #[error("drift {0:?} is negative")]
    Negative(String),
}

/// Returns the tolerance, or `None` if the clock is not to be compared.
pub(crate) fn read(parameters: &RawValue) -> Result<Option<SignedDuration>, TimedriftError> {
    let TimedriftParameters { drift } = parameters::read(parameters)?;
    if drift.is_empty() {
        return Ok(None);
    }
    match duration::parse(&drift) {
        Ok(tolerance) if tolerance.is_negative() => Err(TimedriftError::Negative(drift)),
        Ok(tolerance) => Ok(Some(tolerance)),
        Err(_) => Err(TimedriftError::Invalid(drift)),
    }
}
