//! Pads signatures that other keys made, such as those in an action signed elsewhere.
//!
//! The length of a key is read from its public key in the runner's own GnuPG home. If the home does
//! not have the key, the caller decides whether to leave the signature unchanged or to pad it to
//! the next length of keys that GnuPG creates.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use gpgme::Error;

use super::key::KeyPart;
use super::signature::KeyId;
use super::signing_error::SigningError;
use super::{armor, gnupg, padding};
use crate::action::{Signature, UnknownKey};
use crate::spawn::begin_library_call;

/// Returns a signature on one line with its RSA numbers padded; `None` if no padding is needed or
/// the line cannot be parsed as a signature.
pub(super) fn padded(
    home: &Path,
    line: &str,
    unknown: UnknownKey,
    timeout: Duration,
) -> Result<Option<Signature>, SigningError> {
    let Ok(content) = armor::from_line(line) else { return Ok(None) };
    let ids = padding::issuers(&content);
    if ids.is_empty() {
        return Ok(None);
    }
    let known = lengths_in_time(home, ids, timeout)?;
    let length = |id: &KeyId, bytes: usize| match (known.get(id), unknown) {
        (Some(length), _) => Some(*length),
        (None, UnknownKey::Keep) => None,
        (None, UnknownKey::Guess) => padding::probable(bytes),
    };
    let padded = padding::pad(&content, length);
    Ok(padded.map(|padded| armor::to_line(&padded)).transpose()?)
}

/// Returns the lengths of those keys that are in the home, within a time limit.
fn lengths_in_time(
    home: &Path,
    ids: Vec<KeyId>,
    timeout: Duration,
) -> Result<HashMap<KeyId, usize>, SigningError> {
    let (home, (answer, answers)) = (PathBuf::from(home), mpsc::channel());
    // GnuPG may hang, and a thread that waits for it cannot be interrupted.
    let work = move || answer.send(lengths(&home, &ids)).is_ok();
    thread::Builder::new().name("key".to_owned()).spawn(work).map_err(SigningError::Thread)?;
    answers.recv_timeout(timeout).unwrap_or_else(|error| match error {
        RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected => {
            Err(SigningError::Timeout(timeout))
        }
    })
}

fn lengths(home: &Path, ids: &[KeyId]) -> Result<HashMap<KeyId, usize>, SigningError> {
    let _call = begin_library_call();
    let mut context = gnupg::context(home).map_err(SigningError::GnuPg)?;
    let mut lengths = HashMap::new();
    for id in ids {
        let key = match context.get_key(format!("{:016X}", u64::from_be_bytes(*id))) {
            Ok(key) => key,
            Err(error) if is_unknown(error) => continue,
            Err(error) => return Err(SigningError::GnuPg(error)),
        };
        let mut parts = key.subkeys().filter_map(|part| KeyPart::new(&part));
        if let Some(part) = parts.find(|part| part.fingerprint.id().as_ref() == Some(id)) {
            lengths.insert(*id, part.modulus_bytes);
        }
    }
    Ok(lengths)
}

/// Returns whether an error means that there is no such key, or that several keys have the id.
fn is_unknown(error: Error) -> bool {
    [Error::EOF, Error::NO_PUBKEY, Error::NOT_FOUND, Error::AMBIGUOUS_NAME]
        .iter()
        .any(|unknown| unknown.code() == error.code())
}
