//! Checks the public key of a new investigator.

use crate::data::{DataError, Store};
use crate::pgp::{Fingerprint, ImportError, KeyIds, KeyText, Verifier};

/// Why a key is not admitted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdmitError {
    #[error(transparent)]
    Key(#[from] ImportError),
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Checks that the platform can verify signatures with an armored public key, and that no part of it
/// has the id of a part of another investigator's key. Returns its fingerprint.
pub(super) fn admit(
    store: &Store,
    verifier: &Verifier,
    armored: &[u8],
) -> Result<Fingerprint, AdmitError> {
    let fingerprint = verifier.check(armored)?;
    let ids = |fingerprint: &str, armored: &[u8]| {
        KeyIds::new(fingerprint, KeyText::read(armored).ok().as_ref())
    };
    let own = ids(fingerprint.as_str(), armored);
    let mut others = store.investigators()?.into_iter();
    let other = others.find(|other| {
        other.fingerprint != fingerprint.as_str()
            && own.meet(&ids(&other.fingerprint, &other.publickey))
    });
    match other {
        Some(other) => Err(ImportError::Shared { owner: other.name }.into()),
        None => Ok(fingerprint),
    }
}
