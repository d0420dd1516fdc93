//! Why a signature is not valid, with the texts of the original platform's library: the API's
//! answers contain them, and clients read them.

use gpgme::Error;
use serde::{Deserialize, Serialize};

use super::configuration::ConfigurationError;
use super::one_line::LINE_BYTES_MAX;
use super::wire;
use super::worker_error::WorkerError;

/// Why a signature is not valid, or could not be checked.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum VerifyError {
    /// The line has no checksum, so the platform finds no content.
    #[error("EOF")]
    Eof,
    /// The line is longer than any signature.
    #[error("signature is longer than {LINE_BYTES_MAX} bytes")]
    Long,
    /// The line is not in base64.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
    /// The content of the line is not OpenPGP.
    #[error("openpgp: invalid data: tag byte does not have MSB set")]
    NoSignature,
    /// The content of the line is not only signatures, or too many, or too large ones.
    #[error("openpgp: invalid data: non signature packet found")]
    NotSignatures,
    /// It does not name one key as its issuer.
    #[error("openpgp: invalid data: signature doesn't have an issuer")]
    NoIssuer,
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
    GnuPg(
        #[source]
        #[serde(with = "wire::gnupg")]
        Error,
    ),
    /// GnuPG did not answer.
    #[error("cannot verify a signature")]
    #[serde(skip)]
    Worker(#[from] WorkerError),
}

impl VerifyError {
    /// Returns whether the signature was checked and found invalid. Otherwise it may be valid.
    pub(crate) fn is_verdict(&self) -> bool {
        !matches!(
            self,
            VerifyError::Configuration(_) | VerifyError::GnuPg(_) | VerifyError::Worker(_)
        )
    }
}
