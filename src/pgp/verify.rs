//! Verifying, for the one-host platform: against a home that holds the investigators' keys.
//!
//! Its errors have the texts of the platform's own library, since they end up
//! in its answers, where clients read them.

use std::path::{Path, PathBuf};

use gpgme::{Error, Key};

use super::Fingerprint;
use super::armor::{self, LineError};
use super::engine;
use super::key::Part;
use super::packet::{SIGNATURE, packets};
use super::padding;
use super::public::{PublicKey, PublicKeyError};
use super::setup::{self, SetupFault};
use super::signature::KeyId;
#[cfg(feature = "platform")]
use super::signature::Signature;
use crate::spawn::converse;

/// Public keys, and signatures verified with them.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    home: PathBuf,
}

/// Why a key is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// It is not a key that the platform can verify with.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
    /// GnuPG's configuration is at fault.
    #[error("cannot use the keyring")]
    Setup(#[source] SetupFault),
    /// GnuPG refuses here what it took in a home without a configuration.
    #[error("GnuPG refuses to import the key {key} into the GnuPG home {}", home.display())]
    Refused { key: Fingerprint, home: PathBuf },
    #[error("cannot import a public key into the GnuPG home {}", home.display())]
    Engine { home: PathBuf, source: Error },
}

impl ImportError {
    /// Returns whether this is a verdict on the key. Otherwise the same key may be imported later.
    #[cfg(feature = "platform")]
    pub(crate) fn is_verdict(&self) -> bool {
        match self {
            ImportError::Key(PublicKeyError::Folder(_) | PublicKeyError::Engine(_))
            | ImportError::Setup(_)
            | ImportError::Engine { .. } => false,
            ImportError::Key(_) | ImportError::Refused { .. } => true,
        }
    }
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
    /// It was made with a key that is expired or revoked, which the platform does not know either.
    #[error("openpgp: signature made by unknown entity")]
    UnusableKey,
    /// It was made in a way that is not supported.
    #[error("openpgp: unsupported feature: algorithm of the signature")]
    Unsupported,
    /// It was made over something else.
    #[error("openpgp: invalid signature: hash tag doesn't match")]
    Bad,
    /// Its RSA number is shorter than the key.
    #[error("openpgp: invalid signature: RSA verification failure")]
    Short,
    /// GnuPG's configuration is at fault, so that nothing is known of the signature.
    #[error("cannot verify a signature")]
    Setup(#[source] SetupFault),
    #[error("cannot verify a signature")]
    Engine(#[source] Error),
}

/// Which RSA numbers hold in a signature that GnuPG calls good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Numbers of the key's length, which is all that the original's agents take.
    Whole,
    /// Those that GnuPG writes without their leading zero bytes as well.
    Any,
}

impl Verifier {
    /// Returns a verifier with the keys in `home`, a folder of its own.
    pub(crate) fn new(home: &Path) -> Verifier {
        Verifier { home: home.to_owned() }
    }

    /// Looks for GnuPG. Its library looks once in the life of a process and remembers a failure, so this is
    /// done at the start, which can be repeated.
    ///
    /// # Errors
    /// GnuPG is not there or cannot be started.
    #[cfg(feature = "platform")]
    pub(crate) fn ready(&self) -> Result<(), VerifyError> {
        let _turn = converse();
        let context = engine::context(&self.home).map_err(VerifyError::Engine)?;
        match context.engine_info().version() {
            Ok(_) => Ok(()),
            Err(_) => Err(VerifyError::Engine(Error::INV_ENGINE)),
        }
    }

    /// Adds the public key in an armored text; one that is there already is brought up to date. Nothing is
    /// added before the key has been checked.
    ///
    /// # Errors
    /// It is not one public key, or the platform cannot verify with it.
    pub(crate) fn import(&self, armored: &[u8]) -> Result<Fingerprint, ImportError> {
        let key = PublicKey::read(&self.home, armored)?;
        setup::check_files(&self.home).map_err(ImportError::Setup)?;
        self.imported(&key)
            .map_err(|error| setup::fault(&self.home, None).map_or(error, ImportError::Setup))?;
        Ok(key.fingerprint)
    }

    fn imported(&self, key: &PublicKey) -> Result<(), ImportError> {
        let failed = |source| ImportError::Engine { home: self.home.clone(), source };
        let _turn = converse();
        let imported = engine::import(&self.home, key.data()).map_err(failed)?;
        if imported.as_ref() == Some(&key.fingerprint) {
            return Ok(());
        }
        Err(ImportError::Refused { key: key.fingerprint.clone(), home: self.home.clone() })
    }

    /// Verifies a signature on one line over `data`; returns the fingerprint of the key that made it.
    ///
    /// # Errors
    /// It does not hold, or GnuPG failed.
    pub(crate) fn verify(
        &self,
        data: &[u8],
        one_line: &str,
        numbers: Numbers,
    ) -> Result<Fingerprint, VerifyError> {
        let signature = armor::from_line(one_line).map_err(|error| match error {
            LineError::NoChecksum => VerifyError::Eof,
            LineError::Base64(at) => VerifyError::Base64(at),
        })?;
        // Every packet of OpenPGP begins with this bit.
        if signature.first().is_none_or(|tag| tag & 0x80 == 0) {
            return Err(VerifyError::NoSignature);
        }
        setup::check_files(&self.home).map_err(VerifyError::Setup)?;
        self.verified(data, &signature, numbers).map_err(|error| match error {
            // GnuPG's library reports the same for data that is not a signature.
            VerifyError::NoSignature | VerifyError::Engine(_) => {
                setup::fault(&self.home, None).map_or(error, VerifyError::Setup)
            }
            error => error,
        })
    }

    fn verified(
        &self,
        data: &[u8],
        signature: &[u8],
        numbers: Numbers,
    ) -> Result<Fingerprint, VerifyError> {
        let _turn = converse();
        let mut context = engine::context(&self.home).map_err(VerifyError::Engine)?;
        let result = context.verify_detached(signature, data).map_err(meaning)?;
        let is_signature = packets(signature)
            .is_ok_and(|packets| packets.iter().any(|packet| packet.tag == SIGNATURE));
        // GnuPG that was killed or could not be started reports no signature.
        let made = result.signatures().next().ok_or(match is_signature {
            true => VerifyError::Engine(Error::NOT_PROCESSED),
            false => VerifyError::NoSignature,
        })?;
        made.status().map_err(|error| match meaning(error) {
            VerifyError::Engine(_) => VerifyError::Unsupported,
            meaning => meaning,
        })?;
        // GnuPG that was killed half-way has not named the key yet.
        let by = made.fingerprint().map_err(|_| VerifyError::Engine(Error::NOT_PROCESSED))?;
        // A subkey may have signed; the platform knows keys by their primary one.
        let key = context.get_key(by).map_err(VerifyError::Engine)?;
        if numbers == Numbers::Whole && is_short(signature, &key) {
            return Err(VerifyError::Short);
        }
        key.fingerprint().map(Fingerprint::new).map_err(|_| VerifyError::UnknownEntity)
    }

    /// Returns whether a signature on one line says that one of these keys made it.
    #[cfg(feature = "platform")]
    pub(crate) fn is_said_to_be_by(one_line: &str, fingerprints: &[Fingerprint]) -> bool {
        let Ok(bytes) = armor::from_line(one_line) else { return false };
        let packets = packets(&bytes).unwrap_or_default();
        let mut issuers = packets
            .iter()
            .filter(|packet| packet.tag == SIGNATURE)
            .filter_map(|packet| Some(Signature::read(packet.body).ok()?.issuer));
        issuers.any(|issuer| fingerprints.iter().any(|known| known.id() == Some(issuer)))
    }
}

/// Returns whether the number of a signature is shorter than the key that made it.
fn is_short(signature: &[u8], key: &Key) -> bool {
    let length = |id: &KeyId, _| {
        let mut parts = key.subkeys().filter_map(|part| Part::new(&part));
        Some(parts.find(|part| part.fingerprint.id().as_ref() == Some(id))?.bytes)
    };
    padding::pad(signature, length).is_some()
}

/// Says what an error of GnuPG is on the platform.
fn meaning(error: Error) -> VerifyError {
    let is = |errors: &[Error]| errors.iter().any(|known| known.code() == error.code());
    if is(&[Error::NO_PUBKEY]) {
        VerifyError::UnknownEntity
    } else if is(&[Error::KEY_EXPIRED, Error::CERT_REVOKED]) {
        VerifyError::UnusableKey
    } else if is(&[Error::BAD_SIGNATURE, Error::SIG_EXPIRED]) {
        VerifyError::Bad
    } else if is(&[Error::NO_DATA, Error::INV_PACKET, Error::SIG_CLASS, Error::UNEXPECTED]) {
        VerifyError::NoSignature
    } else {
        VerifyError::Engine(error)
    }
}
