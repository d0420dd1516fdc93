//! Verifying, for the one-host platform: against a home that holds the investigators' keys.
//!
//! Its errors have the texts of the platform's own library, since they end up
//! in its answers, where clients read them.

use std::path::{Path, PathBuf};

use gpgme::Error;

use super::Fingerprint;
use super::armor::{self, LineError};
use super::{engine, quiet};

/// Public keys, and signatures verified with them.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    home: PathBuf,
}

/// Why a key is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// There is no key in it, or more than one.
    #[error("the text holds {0} public keys: give one")]
    Count(usize),
    /// GnuPG failed.
    #[error("cannot import a public key into the GnuPG home {}", home.display())]
    Engine {
        /// The home.
        home: PathBuf,
        /// What GnuPG says.
        source: Error,
    },
}

/// Why a signature does not hold, in the words of the platform.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// The line has no checksum, so nothing is found in it.
    #[error("EOF")]
    Eof,
    /// The line is not in base64.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
    /// What is in the line is no OpenPGP.
    #[error("openpgp: invalid data: tag byte does not have MSB set")]
    NoSignature,
    /// It was made with a key that is not known.
    #[error("openpgp: signature made by unknown entity")]
    UnknownEntity,
    /// It was made over something else.
    #[error("openpgp: invalid signature: hash tag doesn't match")]
    Bad,
    /// GnuPG failed.
    #[error("cannot verify a signature")]
    Engine(#[source] Error),
}

impl Verifier {
    /// Returns a verifier with the keys in `home`, a folder of its own.
    pub(crate) fn new(home: &Path) -> Verifier {
        Verifier { home: home.to_owned() }
    }

    /// Adds a public key; one that is there already is brought up to date.
    ///
    /// # Errors
    /// It is not one public key.
    pub(crate) fn import(&self, armored_key: &[u8]) -> Result<Fingerprint, ImportError> {
        let failed = |source| ImportError::Engine { home: self.home.clone(), source };
        let _work = quiet::at_work();
        let mut context = engine::context(&self.home).map_err(failed)?;
        let result = context.import(armored_key).map_err(failed)?;
        let mut keys: Vec<Fingerprint> = Vec::new();
        for import in result.imports() {
            import.result().map_err(failed)?;
            let fingerprint = Fingerprint::new(import.fingerprint().unwrap_or_default());
            // A key that brings its secret is told twice.
            if !keys.contains(&fingerprint) {
                keys.push(fingerprint);
            }
        }
        let count = keys.len();
        keys.pop().filter(|_| count == 1).ok_or(ImportError::Count(count))
    }

    /// Verifies a signature on one line over `data`; returns the fingerprint of the key that made it.
    ///
    /// # Errors
    /// It does not hold, or GnuPG failed.
    pub(crate) fn verify(&self, data: &[u8], one_line: &str) -> Result<Fingerprint, VerifyError> {
        let signature = armor::from_line(one_line).map_err(|error| match error {
            LineError::NoChecksum => VerifyError::Eof,
            LineError::Base64(at) => VerifyError::Base64(at),
        })?;
        // Every packet of OpenPGP begins with this bit.
        if signature.first().is_none_or(|tag| tag & 0x80 == 0) {
            return Err(VerifyError::NoSignature);
        }
        let _work = quiet::at_work();
        let mut context = engine::context(&self.home).map_err(VerifyError::Engine)?;
        let result = context.verify_detached(signature, data).map_err(meaning)?;
        let made = result.signatures().next().ok_or(VerifyError::NoSignature)?;
        made.status().map_err(meaning)?;
        let by = made.fingerprint().map_err(|_| VerifyError::UnknownEntity)?;
        // A subkey may have signed; the platform knows keys by their primary one.
        let key = context.get_key(by).map_err(VerifyError::Engine)?;
        key.fingerprint().map(Fingerprint::new).map_err(|_| VerifyError::UnknownEntity)
    }
}

/// Says what an error of GnuPG is on the platform.
fn meaning(error: Error) -> VerifyError {
    let is = |errors: &[Error]| errors.iter().any(|known| known.code() == error.code());
    if is(&[Error::NO_PUBKEY, Error::KEY_EXPIRED, Error::CERT_REVOKED]) {
        VerifyError::UnknownEntity
    } else if is(&[Error::BAD_SIGNATURE, Error::SIG_EXPIRED]) {
        VerifyError::Bad
    } else if is(&[Error::NO_DATA, Error::INV_PACKET, Error::SIG_CLASS, Error::UNEXPECTED]) {
        VerifyError::NoSignature
    } else {
        VerifyError::Engine(error)
    }
}
