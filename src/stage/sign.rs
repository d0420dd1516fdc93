//! Dating and signing an action, done by a worker right before the POST.
//!
//! Dates are set when a worker is free, so that a run that had to wait does not lose part of its
//! validity.

use super::presigned;
use super::signed::{Period, SignedAction, SigningError};
use crate::action::{Action, Signer};
use crate::spool::Record;

/// Dates and signs the action of a run, valid in `period`. An action that came with signatures is
/// taken as it is. `expand` returns the target that a macro stands for.
pub(crate) fn sign(
    record: &Record,
    period: Period,
    signer: &dyn Signer,
    expand: &dyn Fn(&str) -> Option<String>,
) -> Result<SignedAction, SigningError> {
    let mut action =
        Action::parse(record.request.template.as_bytes()).map_err(SigningError::Parse)?;
    if record.request.verbatim {
        return presigned::signed(record, &action, signer);
    }
    if let Some(target) = expand(&action.target) {
        action.set_target(&target);
    }
    action.dated(&record.request.action_name, period.from, period.until);
    let signature = action.sign_with(signer).map_err(SigningError::Key)?;
    action.check().map_err(SigningError::Check)?;
    Ok(SignedAction {
        posted: action.to_json(),
        signatures: vec![signature.into()],
        valid_from: period.from,
        expire_after: period.until,
    })
}
