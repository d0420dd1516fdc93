//! Opens a key in the signer: asks GnuPG which part of it signs, and exports this part.

use std::time::{SystemTime, UNIX_EPOCH};

use gpgme::{Key, Subkey};

use super::Stamps;
use super::protocol::{OpenKey, SigningPart};
use crate::chain::Chain;
use crate::pgp::armor;
use crate::pgp::calls::{Digests, Session, signing_part};
use crate::pgp::fingerprint::Fingerprint;
use crate::pgp::padding;
use crate::pgp::secret::{RsaKey, SecretBlock, SecretKeyError};
use crate::pgp::signing_error::SigningError;

/// The text that GnuPG signs first. The signature is discarded.
const PROBE: &[u8] = b"mig-runner opens its key";

/// A key that is ready, or why only GnuPG can sign with it.
pub(super) type OpenedKey = Result<(SigningPart, RsaKey), String>;

/// Opens a key.
///
/// # Errors
/// GnuPG does not sign with the key.
pub(super) fn open(call: &OpenKey) -> Result<(Stamps, OpenedKey), SigningError> {
    // The states are taken before GnuPG reads the files, so that any later change is noticed.
    let mut stamps = Stamps::of(&call.home);
    let mut session = Session::new(&call.home, &call.key, call.passphrase.clone());
    let listed = session.listed()?;
    for part in listed.subkeys().filter(Subkey::is_secret) {
        part.keygrip().into_iter().for_each(|grip| stamps.add_secret_key(&call.home, grip));
    }
    // A card is not asked for a test signature: it may count signatures, or require a touch.
    if signing_part(&listed).is_some_and(|part| part.is_card_key()) {
        return Ok((stamps, Err("it is on a smartcard".to_owned())));
    }
    let line = session.sign(PROBE, Digests::Any)?;
    let Some(part) = part_of(line.as_str(), &listed) else {
        return Ok((stamps, Err("GnuPG does not list the part that signs".to_owned())));
    };
    // A failed export is tried once more, because gpg-agent may have ended just now.
    let exported = session.export(&part.fingerprint).or_else(|_| session.export(&part.fingerprint));
    let exported = match exported {
        Ok(exported) => exported,
        // GnuPG's compliance mode is not the reason: it would have forbidden the signature as well.
        Err(SigningError::Forbidden) => {
            return Ok((stamps, Err("gpg-agent does not allow to export it".to_owned())));
        }
        Err(error) => {
            let reason = format!("gpg-agent does not export it: {}", Chain(&error));
            return Ok((stamps, Err(reason)));
        }
    };
    let passphrase = call.passphrase.as_ref().map(|passphrase| passphrase.0.as_slice());
    let unlocked = unlock(&exported, &part, passphrase);
    Ok((stamps, unlocked.map(|key| (part, key)).map_err(|error| Chain(&error).to_string())))
}

fn unlock(
    exported: &[u8],
    part: &SigningPart,
    passphrase: Option<&[u8]>,
) -> Result<RsaKey, SecretKeyError> {
    SecretBlock::from_armor(exported)?.part(&part.fingerprint)?.unlock(passphrase)
}

/// Returns the part of a key that made a signature.
fn part_of(line: &str, key: &Key) -> Option<SigningPart> {
    let content = armor::from_line(line).ok()?;
    let [issuer] = padding::issuers(&content)[..] else { return None };
    let is_issuer = |part: &Subkey<'_>| {
        part.fingerprint().is_ok_and(|text| Fingerprint::new(text).id() == Some(issuer))
    };
    let (primary, part) = (key.primary_key()?, key.subkeys().find(is_issuer)?);
    let begins = [primary.creation_time(), part.creation_time()];
    let ends = [primary.expiration_time(), part.expiration_time()];
    Some(SigningPart {
        fingerprint: Fingerprint::new(part.fingerprint().ok()?),
        modulus_bytes: part.length().div_ceil(8),
        begins: begins.into_iter().flatten().map(seconds).max().unwrap_or_default(),
        ends: ends.into_iter().flatten().map(seconds).min(),
    })
}

/// Returns the seconds since 1970.
fn seconds(time: SystemTime) -> i64 {
    let span = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}
