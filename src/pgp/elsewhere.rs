//! Signatures that other people made: padded like ours, as far as their keys are known.
//!
//! The length of a key is read from the public key in the runner's own GnuPG home. If the key is not there,
//! the caller decides between leaving the signature as it is and padding it to the next length that GnuPG
//! makes keys of.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use gpgme::Error;

use super::key::Part;
use super::signature::KeyId;
use super::signer::SignFault;
use super::{armor, engine, padding};
use crate::action::{Signature, Unknown};
use crate::spawn::converse;

/// Returns a signature on one line with its RSA numbers padded; `None` if nothing is to be padded, or the
/// line is not a signature that can be read.
///
/// # Errors
/// GnuPG failed, or did not answer in time.
pub(super) fn padded(
    home: &Path,
    line: &str,
    unknown: Unknown,
    deadline: Duration,
) -> Result<Option<Signature>, SignFault> {
    let Ok(content) = armor::from_line(line) else { return Ok(None) };
    let ids = padding::issuers(&content);
    if ids.is_empty() {
        return Ok(None);
    }
    let known = lengths_in_time(home, ids, deadline)?;
    let length = |id: &KeyId, bytes: usize| match (known.get(id), unknown) {
        (Some(length), _) => Some(*length),
        (None, Unknown::Keep) => None,
        (None, Unknown::Guess) => padding::probable(bytes),
    };
    let padded = padding::pad(&content, length);
    Ok(padded.map(|padded| armor::to_line(&padded)).transpose()?)
}

/// Returns the lengths of the keys that are in the home.
fn lengths_in_time(
    home: &Path,
    ids: Vec<KeyId>,
    deadline: Duration,
) -> Result<HashMap<KeyId, usize>, SignFault> {
    let (home, (answer, answers)) = (PathBuf::from(home), mpsc::channel());
    // GnuPG may hang, and a thread that waits for it cannot be interrupted.
    let work = move || answer.send(lengths(&home, &ids)).is_ok();
    thread::Builder::new().name("key".to_owned()).spawn(work).map_err(SignFault::Thread)?;
    answers.recv_timeout(deadline).unwrap_or_else(|error| match error {
        RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected => {
            Err(SignFault::Deadline(deadline))
        }
    })
}

fn lengths(home: &Path, ids: &[KeyId]) -> Result<HashMap<KeyId, usize>, SignFault> {
    let _turn = converse();
    let mut context = engine::context(home).map_err(SignFault::Engine)?;
    let mut lengths = HashMap::new();
    for id in ids {
        let key = match context.get_key(format!("{:016X}", u64::from_be_bytes(*id))) {
            Ok(key) => key,
            Err(error) if is_unknown(error) => continue,
            Err(error) => return Err(SignFault::Engine(error)),
        };
        let mut parts = key.subkeys().filter_map(|part| Part::new(&part));
        if let Some(part) = parts.find(|part| part.fingerprint.id().as_ref() == Some(id)) {
            lengths.insert(*id, part.bytes);
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
