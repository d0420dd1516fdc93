//! Verifies signatures for the one-host platform, against a home with the investigators' keys.
//!
//! Errors have the texts of the original platform's library, because the API's answers contain them
//! and clients read them.

use std::path::{Path, PathBuf};

use gpgme::{Error, Key};

use super::armor::{self, LineError};
use super::configuration::{self, ConfigurationError};
use super::fingerprint::Fingerprint;
use super::gnupg;
use super::key::KeyPart;
use super::packet::{SIGNATURE, packets};
use super::padding;
use super::public_key::{PublicKey, PublicKeyError};
use super::signature::KeyId;
#[cfg(feature = "platform")]
use super::signature::SignaturePacket;
use crate::spawn::begin_library_call;

#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    home: PathBuf,
}

/// Why a key was not imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error(transparent)]
    Key(#[from] PublicKeyError),
    #[error("cannot use the keyring")]
    Configuration(#[source] ConfigurationError),
    /// GnuPG rejects a key that it accepted in the temporary home, which has another configuration.
    #[error("GnuPG refuses to import the key {key} into the GnuPG home {}", home.display())]
    Refused { key: Fingerprint, home: PathBuf },
    #[error("cannot import a public key into the GnuPG home {}", home.display())]
    GnuPg { home: PathBuf, source: Error },
}

impl ImportError {
    /// Returns whether the fault lies with the key. Otherwise a retry may succeed.
    #[cfg(feature = "platform")]
    pub(crate) fn is_verdict(&self) -> bool {
        match self {
            ImportError::Key(PublicKeyError::Folder(_) | PublicKeyError::GnuPg(_))
            | ImportError::Configuration(_)
            | ImportError::GnuPg { .. } => false,
            ImportError::Key(_) | ImportError::Refused { .. } => true,
        }
    }
}

/// Why a signature is not valid, with the texts of the original platform.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// The line has no checksum, so the platform finds no content.
    #[error("EOF")]
    Eof,
    /// The line is not in base64.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
    /// The content of the line is not OpenPGP.
    #[error("openpgp: invalid data: tag byte does not have MSB set")]
    NoSignature,
    /// It was made with an unknown key.
    #[error("openpgp: signature made by unknown entity")]
    UnknownEntity,
    /// It was made with an expired or revoked key, which the platform treats like an unknown key.
    #[error("openpgp: signature made by unknown entity")]
    UnusableKey,
    /// Its algorithm or digest is not supported.
    #[error("openpgp: unsupported feature: algorithm of the signature")]
    Unsupported,
    /// It was made for other data.
    #[error("openpgp: invalid signature: hash tag doesn't match")]
    Bad,
    /// Its RSA number is shorter than the key.
    #[error("openpgp: invalid signature: RSA verification failure")]
    Short,
    /// GnuPG's configuration has a fault, so the signature could not be checked.
    #[error("cannot verify a signature")]
    Configuration(#[source] ConfigurationError),
    #[error("cannot verify a signature")]
    GnuPg(#[source] Error),
}

/// Which lengths of RSA numbers are accepted in a signature that GnuPG calls good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RsaNumbers {
    /// Only numbers of the key's length, as the original's agents require.
    FullLength,
    /// Also shorter numbers, because GnuPG omits leading zero bytes.
    AnyLength,
}

impl Verifier {
    /// Returns a verifier with the keys in the GnuPG home `home`.
    pub(crate) fn new(home: &Path) -> Verifier {
        Verifier { home: home.to_owned() }
    }

    /// Checks that GnuPG is installed and can be started. Its library searches for GnuPG only once
    /// in a process and remembers a failure, so this is checked at the start of the program, which
    /// can be repeated.
    #[cfg(feature = "platform")]
    pub(crate) fn check_gnupg(&self) -> Result<(), VerifyError> {
        let _call = begin_library_call();
        let context = gnupg::context(&self.home).map_err(VerifyError::GnuPg)?;
        match context.engine_info().version() {
            Ok(_) => Ok(()),
            Err(_) => Err(VerifyError::GnuPg(Error::INV_ENGINE)),
        }
    }

    /// Adds the public key in an armored text, or updates it. The key is checked before GnuPG
    /// imports it.
    pub(crate) fn import(&self, armored: &[u8]) -> Result<Fingerprint, ImportError> {
        let key = PublicKey::read(&self.home, armored)?;
        configuration::check_files(&self.home).map_err(ImportError::Configuration)?;
        self.import_checked(&key).map_err(|error| {
            configuration::fault(&self.home, None).map_or(error, ImportError::Configuration)
        })?;
        Ok(key.fingerprint)
    }

    fn import_checked(&self, key: &PublicKey) -> Result<(), ImportError> {
        let failed = |source| ImportError::GnuPg { home: self.home.clone(), source };
        let _call = begin_library_call();
        let imported = gnupg::import(&self.home, key.data()).map_err(failed)?;
        if imported.as_ref() == Some(&key.fingerprint) {
            return Ok(());
        }
        Err(ImportError::Refused { key: key.fingerprint.clone(), home: self.home.clone() })
    }

    /// Verifies a signature on one line for `data`; returns the fingerprint of the key that made
    /// it.
    pub(crate) fn verify(
        &self,
        data: &[u8],
        one_line: &str,
        numbers: RsaNumbers,
    ) -> Result<Fingerprint, VerifyError> {
        let signature = armor::from_line(one_line).map_err(|error| match error {
            LineError::NoChecksum => VerifyError::Eof,
            LineError::Base64(at) => VerifyError::Base64(at),
        })?;
        // Every OpenPGP packet begins with this bit.
        if signature.first().is_none_or(|tag| tag & 0x80 == 0) {
            return Err(VerifyError::NoSignature);
        }
        configuration::check_files(&self.home).map_err(VerifyError::Configuration)?;
        self.verify_packets(data, &signature, numbers).map_err(|error| match error {
            // For data that is not a signature, GnuPG's library reports the same error.
            VerifyError::NoSignature | VerifyError::GnuPg(_) => {
                configuration::fault(&self.home, None).map_or(error, VerifyError::Configuration)
            }
            error => error,
        })
    }

    fn verify_packets(
        &self,
        data: &[u8],
        signature: &[u8],
        numbers: RsaNumbers,
    ) -> Result<Fingerprint, VerifyError> {
        let _call = begin_library_call();
        let mut context = gnupg::context(&self.home).map_err(VerifyError::GnuPg)?;
        let result = context.verify_detached(signature, data).map_err(convert)?;
        let is_signature = packets(signature)
            .is_ok_and(|packets| packets.iter().any(|packet| packet.tag == SIGNATURE));
        // If GnuPG was killed or could not be started, it reports no signature.
        let made = result.signatures().next().ok_or(match is_signature {
            true => VerifyError::GnuPg(Error::NOT_PROCESSED),
            false => VerifyError::NoSignature,
        })?;
        made.status().map_err(|error| match convert(error) {
            VerifyError::GnuPg(_) => VerifyError::Unsupported,
            converted => converted,
        })?;
        // If GnuPG was killed during the check, it may not have named the key yet.
        let by = made.fingerprint().map_err(|_| VerifyError::GnuPg(Error::NOT_PROCESSED))?;
        // A subkey may have signed; the platform identifies keys by their primary key.
        let key = context.get_key(by).map_err(VerifyError::GnuPg)?;
        if numbers == RsaNumbers::FullLength && is_short(signature, &key) {
            return Err(VerifyError::Short);
        }
        key.fingerprint().map(Fingerprint::new).map_err(|_| VerifyError::UnknownEntity)
    }

    /// Returns whether a signature on one line names one of these keys as its issuer.
    #[cfg(feature = "platform")]
    pub(crate) fn names_issuer(one_line: &str, fingerprints: &[Fingerprint]) -> bool {
        let Ok(bytes) = armor::from_line(one_line) else { return false };
        let packets = packets(&bytes).unwrap_or_default();
        let mut issuers = packets
            .iter()
            .filter(|packet| packet.tag == SIGNATURE)
            .filter_map(|packet| Some(SignaturePacket::read(packet.body).ok()?.issuer));
        issuers.any(|issuer| fingerprints.iter().any(|known| known.id() == Some(issuer)))
    }
}

/// Returns whether the number of a signature is shorter than its key.
fn is_short(signature: &[u8], key: &Key) -> bool {
    let length = |id: &KeyId, _| {
        let mut parts = key.subkeys().filter_map(|part| KeyPart::new(&part));
        Some(parts.find(|part| part.fingerprint.id().as_ref() == Some(id))?.modulus_bytes)
    };
    padding::pad(signature, length).is_some()
}

/// Converts an error of GnuPG to that of the platform.
fn convert(error: Error) -> VerifyError {
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
        VerifyError::GnuPg(error)
    }
}
