//! Verification of signatures with the keys of the active investigators.
//!
//! The database decides who is an investigator. A signature names the key that made it by an id, so
//! it is checked with the keys of the investigators who have that id: normally one. Each key has a
//! GnuPG home of its own, and is imported when a signature first needs it. A home is removed when
//! its investigator is found to be disabled or removed: by a signature, by a request to the API, or
//! by the check that the scheduler makes once a minute.
//!
//! **Failure.** Only a verdict is final. If a key could not be imported for a temporary reason (no
//! space, no descriptors, GnuPG could not be started), the import is repeated with the next
//! signature. Until then the signature counts as unchecked, not as invalid.

mod keys;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::action::Action;
use crate::chain::Chain;
use crate::data::{DataError, InvestigatorRow, Store};
use crate::pgp::{
    Fingerprint, ImportError, KeyText, OneLineSignature, RsaNumbers, Verifier, VerifyError,
};
use crate::platform::admit::{AdmitError, admit};
use crate::relay::{ActionVerifier, VerificationError};
use keys::Keys;

/// Number of times that a signature is checked if GnuPG does not find the imported key.
const ATTEMPTS: usize = 2;
/// Maximum number of signatures of an action that are checked.
const SIGNATURES_MAX: usize = 64;

/// Why a signature is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignatureError {
    /// The signature is invalid; the text is that of the original's OpenPGP library.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error("Error while finding investigator")]
    Data(#[from] DataError),
    /// The key of an investigator is not imported yet. The signature may be made with it.
    #[error("cannot import the key of investigator {name}")]
    Import {
        /// The name of the investigator.
        name: String,
        source: ImportError,
    },
    /// GnuPG does not find a key that was imported, and not after another import either.
    #[error("GnuPG does not find a key that was imported; the next signature imports it again")]
    Keyring,
    #[error("the action has more than {SIGNATURES_MAX} signatures")]
    TooMany,
}

impl SignatureError {
    /// Returns whether the signature was checked and found invalid. Otherwise it could not be
    /// checked, and may be valid.
    pub(crate) fn is_verdict(&self) -> bool {
        match self {
            SignatureError::Verify(error) => error.is_verdict(),
            SignatureError::TooMany => true,
            SignatureError::Data(_) | SignatureError::Import { .. } | SignatureError::Keyring => {
                false
            }
        }
    }
}

/// The investigators, and the verifier with their keys.
#[derive(Debug)]
pub(crate) struct Signers {
    store: Arc<Store>,
    verifier: Verifier,
    keys: Mutex<Keys>,
    log: slog::Logger,
}

impl Signers {
    /// Returns the signers of `store`, whose keys are imported into `verifier` when needed.
    pub(crate) fn new(store: Arc<Store>, verifier: Verifier, log: slog::Logger) -> Signers {
        Signers { store, verifier, keys: Mutex::default(), log }
    }

    /// Checks the public key of a new investigator.
    pub(crate) fn admit(&self, publickey: &[u8]) -> Result<Fingerprint, AdmitError> {
        admit(&self.store, &self.verifier, publickey)
    }

    /// Removes the imported key of an investigator who may not sign any more.
    pub(crate) fn withdraw(&self, fingerprint: &str) {
        let key = self.keys().forget(fingerprint);
        self.remove(key.as_deref());
    }

    /// Removes the imported keys that other programs have disabled, removed or replaced in the
    /// database.
    pub(crate) fn remove_withdrawn(&self) -> Result<(), DataError> {
        let is_any_imported = self.keys().is_any_imported();
        if is_any_imported { self.read_keys() } else { Ok(()) }
    }

    /// Returns the active investigator who has signed `data` with the one-line `signature`.
    /// `numbers` says whether the RSA number may be short.
    pub(crate) fn who_signed(
        &self,
        data: &[u8],
        signature: &str,
        numbers: RsaNumbers,
    ) -> Result<InvestigatorRow, SignatureError> {
        let signature = OneLineSignature::parse(signature)?;
        if let Some(signer) = self.signer(data, &signature, numbers)? {
            return Ok(signer);
        }
        self.read_keys()?;
        let signer = self.signer(data, &signature, numbers)?;
        signer.ok_or(SignatureError::Verify(VerifyError::UnknownEntity))
    }

    /// Checks a signature with all known keys that have the id of its issuer; `None` if there is no
    /// such key. If no key verifies it, the first verdict counts, unless a key could not be used now.
    /// So no key can keep a signature by another one from being accepted.
    fn signer(
        &self,
        data: &[u8],
        signature: &OneLineSignature,
        numbers: RsaNumbers,
    ) -> Result<Option<InvestigatorRow>, SignatureError> {
        let (mut refused, mut unchecked) = (None, None);
        let owners = self.keys().owners(signature);
        for owner in owners {
            match self.signed_by(&owner, data, signature, numbers) {
                Ok(Some(row)) => return Ok(Some(row)),
                Ok(None) => {}
                Err(error) if error.is_verdict() => refused = refused.or(Some(error)),
                Err(error) => unchecked = unchecked.or(Some(error)),
            }
        }
        unchecked.or(refused).map_or(Ok(None), Err)
    }

    /// Checks whether an investigator has made a signature; `None` if the investigator has no usable
    /// key that can have made it.
    fn signed_by(
        &self,
        fingerprint: &str,
        data: &[u8],
        signature: &OneLineSignature,
        numbers: RsaNumbers,
    ) -> Result<Option<InvestigatorRow>, SignatureError> {
        let row = self.store.investigator(fingerprint)?;
        let Some(row) = row.filter(InvestigatorRow::is_active) else {
            self.withdraw(fingerprint);
            return Ok(None);
        };
        for _ in 0..ATTEMPTS {
            let key = self.imported(&row)?;
            let Some(key) = key.filter(|key| key.parts().iter().any(|part| signature.names(part)))
            else {
                return Ok(None);
            };
            match self.verifier.verify(&key, data, signature, numbers) {
                Ok(()) => return Ok(Some(row)),
                // The home was damaged, or removed by another thread. GnuPG also treats a keyring
                // that it cannot open as empty.
                Err(VerifyError::UnknownEntity) => self.withdraw(fingerprint),
                Err(error) => return Err(error.into()),
            }
        }
        Err(SignatureError::Keyring)
    }

    /// Returns the key of an investigator after importing it; `None` if it cannot be used. A key
    /// that cannot be imported is logged when the reason changes.
    fn imported(&self, row: &InvestigatorRow) -> Result<Option<Arc<KeyText>>, SignatureError> {
        let fingerprint = &row.fingerprint;
        let unused = self.keys().update(row);
        self.remove(unused.as_deref());
        let Some(key) = self.keys().to_import(fingerprint) else {
            return Ok(self.keys().imported(fingerprint));
        };
        // A part of the key may be the key of another investigator, who must be known.
        self.read_keys()?;
        let checked = self.keys().check(fingerprint);
        let Err(error) = checked.and_then(|()| self.verifier.import(&key)) else {
            if self.keys().set_imported(fingerprint, &key, true) {
                return Ok(Some(key));
            }
            // The investigator was disabled or got another key meanwhile.
            self.remove(Some(&key));
            return Ok(None);
        };
        self.keys().set_fault(fingerprint, &error);
        self.log_faults();
        match error.is_verdict() {
            true => {
                self.keys().set_imported(fingerprint, &key, false);
                Ok(None)
            }
            false => Err(SignatureError::Import { name: row.name.clone(), source: error }),
        }
    }

    /// Reads the keys of all investigators that are new or were replaced. Removes the homes of keys
    /// that may not sign any more.
    fn read_keys(&self) -> Result<(), DataError> {
        let rows = self.store.investigators()?;
        let unused = self.keys().update_all(&rows);
        for key in unused {
            self.remove(Some(&key));
        }
        self.log_faults();
        Ok(())
    }

    /// Logs why keys cannot be used, unless it is logged already.
    fn log_faults(&self) {
        let faults = self.keys().take_unlogged();
        for (name, fault) in faults {
            slog::error!(self.log, "cannot use key"; "investigator" => name, "error" => fault);
        }
    }

    /// Removes the home of a key.
    fn remove(&self, key: Option<&KeyText>) {
        let removed = key.map_or(Ok(()), |key| self.verifier.remove(key));
        if let Err(error) = removed {
            slog::error!(self.log, "cannot remove a key that is not used any more";
                "error" => %Chain(&error));
        }
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActionVerifier for Signers {
    fn verify(&self, action: &Action) -> Result<(), VerificationError> {
        let text = action.signed_text();
        let signatures = action.signatures.as_deref().unwrap_or_default();
        check_number(signatures).map_err(|error| VerificationError::Refused(error.into()))?;
        for signature in signatures {
            // An earlier release of the API accepted short numbers; such actions are run.
            self.who_signed(text.as_bytes(), signature, RsaNumbers::AnyLength).map_err(
                |error| match error.is_verdict() {
                    true => VerificationError::Refused(error.into()),
                    false => VerificationError::Unavailable(error.into()),
                },
            )?;
        }
        Ok(())
    }
}

/// Checks that an action has not so many signatures that checking them takes long.
pub(crate) fn check_number(signatures: &[String]) -> Result<(), SignatureError> {
    match signatures.len() <= SIGNATURES_MAX {
        true => Ok(()),
        false => Err(SignatureError::TooMany),
    }
}

#[cfg(test)]
mod tests;
