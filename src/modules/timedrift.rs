//! The module `timedrift`: the tolerance with which the clock is compared.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::parameters::{self, ParameterError};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TimedriftParameters {
    drift: String,
}

/// Returns the tolerance as a duration in Go's form, or `None` if the clock is not to be compared.
pub(crate) fn read(parameters: &RawValue) -> Result<Option<String>, ParameterError> {
    let TimedriftParameters { drift } = parameters::read(parameters)?;
    Ok(Some(drift).filter(|drift| !drift.is_empty()))
}
