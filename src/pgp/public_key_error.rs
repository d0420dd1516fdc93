//! Why a text is not a public key that the platform can use.

use std::borrow::Cow;

use gpgme::Error;
use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::key_text_error::KeyTextError;
use super::wire;
use super::worker_error::WorkerError;
use crate::disk::DiskError;

/// Why a text is not one key that the platform can use.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum PublicKeyError {
    #[error(transparent)]
    #[serde(skip)]
    Text(#[from] KeyTextError),
    #[error("cannot create a temporary folder for GnuPG")]
    #[serde(skip)]
    Folder(#[from] DiskError),
    #[error(
        "GnuPG finds no valid self-signature in it: export the key again with gpg --armor --export \
         KEY, and check whether this machine's clock is behind"
    )]
    SelfSignature,
    /// Some parts of it are damaged.
    #[error(
        "GnuPG rejects {count} of the user ids, subkeys and signatures of the key {key}: import it \
         into your keyring, and export it with gpg --armor --export-options export-clean --export {key}"
    )]
    Partial { key: Fingerprint, count: usize },
    /// It has expired or is revoked, for example.
    #[error("the key {key} {why}")]
    Unusable { key: Fingerprint, why: Cow<'static, str> },
    /// The platform's library does not support keys of this type.
    #[error(
        "the key {key} is of type {algorithm}, which the platform cannot verify: use an RSA key"
    )]
    Type { key: Fingerprint, algorithm: String },
    #[error("GnuPG cannot read it")]
    GnuPg(
        #[source]
        #[serde(with = "wire::gnupg")]
        Error,
    ),
    /// GnuPG did not answer.
    #[error("GnuPG could not check it")]
    #[serde(skip)]
    Worker(#[from] WorkerError),
}

impl PublicKeyError {
    /// Returns whether the fault lies with the key. Otherwise a retry may succeed.
    pub(crate) fn is_verdict(&self) -> bool {
        !matches!(
            self,
            PublicKeyError::Folder(_) | PublicKeyError::GnuPg(_) | PublicKeyError::Worker(_)
        )
    }
}
