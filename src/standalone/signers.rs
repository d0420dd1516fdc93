//! Who signed: signatures checked against the keys of the active investigators.
//!
//! The database says who is an investigator; the GnuPG home only holds the keys
//! that verifying takes. A key that the database got since is imported when a
//! signature is found that no known key made.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::chain::Chain;
use crate::data::{DataError, InvestigatorRow, Store};
use crate::pgp::{Numbers, Verifier, VerifyError};

/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignatureError {
    /// It does not hold; the text is that of the platform's OpenPGP library.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// It is not known who is an investigator.
    #[error("Error while finding investigator")]
    Data(#[from] DataError),
}

/// Those who may sign.
#[derive(Debug)]
pub(super) struct Signers {
    store: Arc<Store>,
    verifier: Verifier,
    /// The fingerprints of the keys that were imported since the start.
    imported: Mutex<HashSet<String>>,
    log: slog::Logger,
}

impl Signers {
    /// Returns those of `store`, whose keys `verifier` gets as they are needed.
    pub(super) fn new(store: Arc<Store>, verifier: Verifier, log: slog::Logger) -> Signers {
        Signers { store, verifier, imported: Mutex::default(), log }
    }

    /// Returns the active investigator who signed `data` with the one-line `signature`, whose RSA number is
    /// one of `numbers`.
    pub(super) fn who_signed(
        &self,
        data: &[u8],
        signature: &str,
        numbers: Numbers,
    ) -> Result<InvestigatorRow, SignatureError> {
        let known = self.imported().len();
        let verified = match self.verifier.verify(data, signature, numbers) {
            // Another thread may have imported the key since.
            Err(VerifyError::UnknownEntity) if self.import()? > known => {
                self.verifier.verify(data, signature, numbers)
            }
            verified => verified,
        };
        let investigator = self.store.investigator(verified?.as_str())?;
        let active = investigator.filter(InvestigatorRow::is_active);
        active.ok_or(SignatureError::Verify(VerifyError::UnknownEntity))
    }

    fn imported(&self) -> MutexGuard<'_, HashSet<String>> {
        self.imported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Imports the keys that are new; returns how many were imported since the start. One
    /// that cannot be imported is reported once and keeps nobody else out.
    fn import(&self) -> Result<usize, DataError> {
        let mut imported = self.imported();
        for investigator in self.store.investigators()? {
            let is_usable = investigator.is_active() && !investigator.publickey.is_empty();
            if is_usable
                && imported.insert(investigator.fingerprint)
                && let Err(error) = self.verifier.import(&investigator.publickey)
            {
                slog::error!(self.log, "key cannot be used";
                    "investigator" => investigator.name, "error" => %Chain(&error));
            }
        }
        Ok(imported.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Signer;
    use crate::clock::{Clock, SystemClock};
    use crate::data::Permissions;
    use crate::data::testing::{Kind, Tables};
    use crate::pgp::testing::Home;
    use crate::pgp::{Keyring, PublicKey, export};

    #[test]
    fn a_damaged_key_in_the_database_is_not_imported() {
        let (home, keys) = (Home::new(), Home::new());
        let key = home.key("rsa1024", None);
        let armored = export(home.path(), &key).unwrap();
        let keyring = Keyring::open(home.path(), key.as_str(), None).unwrap();
        let signature = keyring.sign(b"text").unwrap();
        let who = |key_in_database: &[u8]| {
            let tables = Tables::new(Kind::Sqlite);
            let store = Arc::new(tables.open().unwrap());
            let (permissions, now) = (Permissions::RUNNER, SystemClock.now());
            store
                .insert_investigator("bob", key.as_str(), key_in_database, permissions, now)
                .unwrap();
            let log = slog::Logger::root(slog::Discard, slog::o!());
            let signers = Signers::new(store, Verifier::new(keys.path()), log);
            signers.who_signed(b"text", signature.as_str(), Numbers::Whole)
        };
        let imported = || PublicKey::export(keys.path(), &key).unwrap();
        let error = who(&armored[..armored.len() / 2]).unwrap_err();
        assert!(matches!(error, SignatureError::Verify(VerifyError::UnknownEntity)), "{error}");
        assert_eq!(imported(), None);
        assert_eq!(who(&armored).unwrap().name, "bob");
        assert_eq!(imported(), Some(armored.clone()));
    }
}
