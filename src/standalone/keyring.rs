//! Who signed: signatures checked against the keys of the active investigators.
//!
//! The database says who is an investigator; the GnuPG home only holds the keys
//! that verifying takes. A key that was added to the database since is imported
//! when a signature is found that no known key made.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::chain::Chain;
use crate::data::{DataError, InvestigatorRow, Store};
use crate::pgp::{Verifier, VerifyError};

/// Why a signature does not count; the texts are those of the platform's OpenPGP library.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignatureError {
    /// No active investigator has the key.
    #[error("openpgp: signature made by unknown entity")]
    Unknown,
    /// It is not the signature of this text.
    #[error("openpgp: invalid signature: hash tag doesn't match")]
    Bad,
    /// It ends before it has begun.
    #[error("EOF")]
    Empty,
    /// It has characters that no signature has.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
    /// It is something else.
    #[error("openpgp: invalid data: tag byte does not have MSB set")]
    NoPacket,
    /// It cannot be checked.
    #[error("cannot check the signature")]
    Engine(#[source] VerifyError),
    /// It is not known who is an investigator.
    #[error("cannot find out who signed")]
    Data(#[from] DataError),
}

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// GnuPG does not take it.
    #[error("cannot import the key of investigator {name}")]
    Import {
        /// Whose key it is.
        name: String,
        /// Why.
        source: VerifyError,
    },
    /// It is not known who is an investigator.
    #[error("cannot read the investigators")]
    Data(#[from] DataError),
}

/// The keys of the investigators.
#[derive(Debug)]
pub(crate) struct Keyring {
    store: Arc<Store>,
    keys: Mutex<Keys>,
    log: slog::Logger,
}

#[derive(Debug)]
struct Keys {
    verifier: Verifier,
    /// The fingerprints of the keys that were imported.
    imported: HashSet<String>,
}

impl Keyring {
    /// Returns the keyring in the GnuPG home `home`, with the keys of all active investigators.
    pub(crate) fn open(home: &Path, store: Arc<Store>, log: slog::Logger) -> Result<Keyring, VerifyError> {
        let verifier = Verifier::new(home)?;
        let keys = Mutex::new(Keys { verifier, imported: HashSet::new() });
        Ok(Keyring { store, keys, log })
    }

    /// Returns the active investigator who signed `data` with the one-line `signature`.
    pub(crate) fn signer(&self, data: &[u8], signature: &str) -> Result<InvestigatorRow, SignatureError> {
        check_form(signature)?;
        let fingerprint = match self.verify(data, signature) {
            Err(SignatureError::Unknown) if self.import()? => self.verify(data, signature)?,
            verified => verified?,
        };
        let investigator = self.store.investigator(&fingerprint)?;
        investigator.filter(InvestigatorRow::is_active).ok_or(SignatureError::Unknown)
    }

    fn verify(&self, data: &[u8], signature: &str) -> Result<String, SignatureError> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.verifier.verify(data, signature).map_err(|error| match error {
            VerifyError::UnknownKey => SignatureError::Unknown,
            VerifyError::BadSignature => SignatureError::Bad,
            error => SignatureError::Engine(error),
        })
    }

    /// Imports the keys that are not known yet; tells whether there were any. One that
    /// cannot be imported is reported once and keeps nobody else out.
    fn import(&self) -> Result<bool, DataError> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let before = keys.imported.len();
        for investigator in self.store.investigators()? {
            if !investigator.is_active() || investigator.publickey.is_empty() {
                continue;
            }
            if keys.imported.insert(investigator.fingerprint)
                && let Err(error) = keys.verifier.import(&investigator.publickey)
            {
                slog::error!(self.log, "key cannot be used";
                    "investigator" => investigator.name, "error" => %Chain(&error));
            }
        }
        Ok(keys.imported.len() > before)
    }
}

/// Checks what can be told of a one-line signature without a key.
fn check_form(signature: &str) -> Result<(), SignatureError> {
    let (payload, _checksum) = signature.rsplit_once('=').ok_or(SignatureError::Empty)?;
    let is_base64 = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=');
    if let Some(at) = payload.bytes().position(|byte| !is_base64(&byte)) {
        // The library reads four characters at a time and names the first of them.
        return Err(SignatureError::Base64(at - at % 4));
    }
    let head = payload.get(..4).map(|head| STANDARD.decode(head)).transpose();
    match head.ok().flatten().as_deref() {
        Some([first, ..]) if first & 0x80 != 0 => Ok(()),
        Some(_) => Err(SignatureError::NoPacket),
        None => Err(SignatureError::Empty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(signature: &str) -> String {
        check_form(signature).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn what_is_no_signature_is_told_in_the_platforms_words() {
        assert_eq!(told("wsBcBAABCAAQ=abcd"), "");
        assert_eq!(told(""), "EOF");
        assert_eq!(told("wsBcBAABCAAQ"), "EOF");
        assert_eq!(told("!!!!=abcd"), "illegal base64 data at input byte 0");
        assert_eq!(told("AAAA=abcd"), "openpgp: invalid data: tag byte does not have MSB set");
    }
}
