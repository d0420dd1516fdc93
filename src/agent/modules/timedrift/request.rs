//! What was asked: how far the clock may be off.

use jiff::SignedDuration;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::parameters::{Place, ReadError, Structure, TypeError, parse};
use crate::go::duration::{self, DurationError};

/// Parameters that make no sense.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// They cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The tolerance is no span of time.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// The tolerance is below zero.
    #[error("the drift must not be negative, got {0}")]
    Negative(String),
}

/// Reads the parameters of the module; `None` if only the time is asked for.
pub(super) fn read(parameters: &RawValue) -> Result<Option<SignedDuration>, RequestError> {
    let drift = parse(parameters, drift)?;
    if drift.is_empty() {
        return Ok(None);
    }
    let tolerance = duration::parse(&drift)?;
    if tolerance.is_negative() {
        return Err(RequestError::Negative(drift));
    }
    Ok(Some(tolerance))
}

fn drift(parameters: &Value) -> Result<String, TypeError> {
    Structure::new(parameters, &Place::Whole, "params", "timedrift.params")?.text("drift")
}
