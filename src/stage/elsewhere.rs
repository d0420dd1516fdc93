//! Actions that came with their signatures: posted as they are, but for the padding of the signatures.
//!
//! The runner cannot sign such an action again, because the signature has to be that of the person who made
//! it. It can only pad the number of a short signature (see [`Signer::padded`]), which changes no
//! byte that was signed.
//!
//! A signature of a key that is not known is posted unchanged first, since padding by a guess could make a
//! good signature bad. If the platform then refuses the action for an RSA number, the guess is posted. If
//! that is refused as well, only the signers can help.

use super::sign::{Signed, SigningError};
use crate::action::{Action, Signer, Unknown};
use crate::spool::Record;

/// Returns what is posted for an action that came with its signatures.
///
/// # Errors
/// The length of a key cannot be read, or all that can be posted was refused.
pub(super) fn signed(
    record: &Record,
    action: &Action,
    signer: &dyn Signer,
) -> Result<Signed, SigningError> {
    let refused = refused(record);
    let mut padded = action.clone();
    let unknown = if refused.is_some() { Unknown::Guess } else { Unknown::Keep };
    padded.pad_with(signer, unknown).map_err(SigningError::Key)?;
    let signatures = padded.signatures.clone().unwrap_or_default();
    if let Some(error) = refused
        && signatures.iter().all(|signature| record.request.signatures.contains(signature))
    {
        return Err(SigningError::Elsewhere(error.to_owned()));
    }
    Ok(Signed {
        posted: text(&record.request.template, action, &padded),
        signatures,
        valid_from: action.valid_from.timestamp(),
        expire_after: action.expire_after.timestamp(),
    })
}

/// Returns the error with which the platform refused what was posted; `None` if nothing was refused, or if a
/// person has put the run back since.
fn refused(record: &Record) -> Option<&str> {
    let request = &record.request;
    // After any other outcome the text is kept, to be posted again.
    let is_refused = request.posted.is_none() && !request.signatures.is_empty();
    record.error.as_deref().filter(|_| is_refused)
}

/// Returns the text of `action`, which is `template`, with the signatures of `padded` in it.
fn text(template: &str, action: &Action, padded: &Action) -> String {
    let pairs = action.signatures.iter().flatten().zip(padded.signatures.iter().flatten());
    let mut text = template.to_owned();
    for (old, new) in pairs.filter(|(old, new)| old != new) {
        let quoted = |line: &str| format!("\"{line}\"");
        text = text.replace(&quoted(old), &quoted(new));
    }
    match Action::parse(text.as_bytes()) {
        Ok(read) if read == *padded => text,
        // The template writes the signatures with escapes. The platform reads the same from its own form.
        _ => padded.to_json(),
    }
}

#[cfg(test)]
mod tests;
