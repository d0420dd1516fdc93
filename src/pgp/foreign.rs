//! Pads signatures that other keys made, such as those in an action signed elsewhere.
//!
//! The length of a key is read from its public key in the runner's own GnuPG home. If the home does
//! not have the key, the caller decides whether to leave the signature unchanged or to pad it to
//! the next length of keys that GnuPG creates. GnuPG receives only the ids of keys.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use super::calls::ReadLengths;
use super::one_line;
use super::signature::KeyId;
use super::signing_error::SigningError;
use super::{armor, padding, worker};
use crate::action::{Signature, UnknownKey};

/// Returns a signature on one line with its RSA numbers padded; `None` if no padding is needed or
/// the line cannot be parsed as a signature.
pub(super) fn padded(
    home: &Path,
    line: &str,
    unknown: UnknownKey,
    timeout: Duration,
) -> Result<Option<Signature>, SigningError> {
    let Ok(content) = one_line::content(line) else { return Ok(None) };
    let ids = padding::issuers(&content);
    if ids.is_empty() {
        return Ok(None);
    }
    let known: HashMap<KeyId, usize> = lengths(home, ids, timeout)?;
    let length = |id: &KeyId, bytes: usize| match (known.get(id), unknown) {
        (Some(length), _) => Some(*length),
        (None, UnknownKey::Keep) => None,
        (None, UnknownKey::Guess) => padding::probable(bytes),
    };
    let padded = padding::pad(&content, length);
    Ok(padded.map(|padded| armor::to_line(&padded)).transpose()?)
}

/// Returns the lengths of those keys that are in the home, within a time limit.
fn lengths(
    home: &Path,
    ids: Vec<KeyId>,
    timeout: Duration,
) -> Result<HashMap<KeyId, usize>, SigningError> {
    let lengths = worker::call(ReadLengths { home: home.to_owned(), ids }, timeout)?;
    let lengths = lengths.map_err(|error| SigningError::GnuPg(error.0))?;
    Ok(lengths.into_iter().collect())
}
