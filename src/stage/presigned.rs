//! Actions that came with signatures: posted unchanged, except that short signatures are padded.
//!
//! The runner cannot sign such an action again, because the signature must be that of the
//! investigator who made it. It can only pad the number of a short signature (see
//! [`Signer::padded`]), which changes no signed byte.
//!
//! A signature of an unknown key is posted unchanged at first, since padding it by a guess could
//! make a good signature bad. If the platform then refuses the action because of an RSA number, the
//! guess is posted. If that is refused as well, the signers must sign the action again.

use super::signed::{SignedAction, SigningError};
use crate::action::{Action, Signer, UnknownKey};
use crate::spool::Record;

/// Returns what to post for an action that came with signatures.
///
/// # Errors
/// `Key` if the length of a key cannot be read, `Presigned` if everything that can be posted was
/// refused.
pub(super) fn signed(
    record: &Record,
    action: &Action,
    signer: &dyn Signer,
) -> Result<SignedAction, SigningError> {
    let refused = refused(record);
    let mut padded = action.clone();
    let unknown = if refused.is_some() { UnknownKey::Guess } else { UnknownKey::Keep };
    padded.pad_with(signer, unknown).map_err(SigningError::Key)?;
    let signatures = padded.signatures.clone().unwrap_or_default();
    if let Some(error) = refused
        && signatures.iter().all(|signature| record.request.signatures.contains(signature))
    {
        return Err(SigningError::Presigned(error.to_owned()));
    }
    Ok(SignedAction {
        posted: text(&record.request.template, action, &padded),
        signatures,
        valid_from: action.valid_from.timestamp(),
        expire_after: action.expire_after.timestamp(),
    })
}

/// Returns the error with which the platform refused the posted text; `None` if nothing was
/// refused, or if the operator has put the run back since.
fn refused(record: &Record) -> Option<&str> {
    let request = &record.request;
    // After any other outcome the text is kept, to be posted again.
    let is_refused = request.posted.is_none() && !request.signatures.is_empty();
    record.error.as_deref().filter(|_| is_refused)
}

/// Returns the text of `action`, which is `template`, with the signatures replaced by those of
/// `padded`.
fn text(template: &str, action: &Action, padded: &Action) -> String {
    let pairs = action.signatures.iter().flatten().zip(padded.signatures.iter().flatten());
    let mut text = template.to_owned();
    for (old, new) in pairs.filter(|(old, new)| old != new) {
        let quoted = |line: &str| format!("\"{line}\"");
        text = text.replace(&quoted(old), &quoted(new));
    }
    match Action::parse(text.as_bytes()) {
        Ok(read) if read == *padded => text,
        // The template contains escapes in its signatures. The platform reads both forms alike.
        _ => padded.to_json(),
    }
}

#[cfg(test)]
mod tests;
