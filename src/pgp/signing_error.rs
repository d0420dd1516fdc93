//! The errors of signing, and what the caller does about each of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::armor::ArmorError;
use super::gnupg;
use super::key::KeyError;
use super::wire;
use super::worker_error::WorkerError;
use crate::action::SignVerdict;

/// The reason why no signature was made.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum SigningError {
    /// The key can no longer be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the passphrase is wrong")]
    Passphrase,
    #[error(
        "the key needs a passphrase: set passphrase in [client], passphrasefile or $MIGPGPPASSPHRASE"
    )]
    NoPassphrase,
    /// The agent refuses to use the key.
    #[error(
        "gpg-agent refuses the key: remove no-allow-loopback-pinentry from gpg-agent.conf of the GnuPG home, \
         if present"
    )]
    Refused(
        #[source]
        #[serde(with = "wire::gnupg")]
        gpgme::Error,
    ),
    /// GnuPG's compliance mode forbids the signature.
    #[error(
        "GnuPG's compliance mode forbids the signature: remove compliance from gpg.conf of the GnuPG home"
    )]
    Forbidden,
    #[error("GnuPG failed")]
    GnuPg(
        #[source]
        #[serde(with = "wire::gnupg")]
        gpgme::Error,
    ),
    /// GnuPG signed with another key.
    #[error(
        "GnuPG signed with the key {0}, which is not the configured one: remove local-user from gpg.conf of the \
         GnuPG home"
    )]
    OtherKey(String),
    /// GnuPG used a digest that the platform does not support.
    #[error(
        "GnuPG used the digest {0}, which the platform cannot verify: remove digest-algo and \
         personal-digest-preferences from gpg.conf of the GnuPG home"
    )]
    Digest(String),
    /// GnuPG's signature cannot be parsed.
    #[error(transparent)]
    Armor(#[from] ArmorError),
    /// GnuPG did not answer in time.
    #[error("no answer from gpg-agent in {} s: if it hangs, end it with gpgconf --kill gpg-agent", .0.as_secs())]
    Timeout(Duration),
    #[error(transparent)]
    #[serde(skip)]
    Worker(WorkerError),
}

impl From<WorkerError> for SigningError {
    fn from(error: WorkerError) -> SigningError {
        match error {
            WorkerError::Timeout(span) => SigningError::Timeout(span),
            error => SigningError::Worker(error),
        }
    }
}

impl SigningError {
    pub(super) fn verdict(&self) -> SignVerdict {
        let is_transient = match self {
            SigningError::Key(error) => error.is_transient(),
            SigningError::GnuPg(error) => !gnupg::is_permanent(*error),
            SigningError::Armor(_) | SigningError::Timeout(_) | SigningError::Worker(_) => true,
            SigningError::Passphrase
            | SigningError::NoPassphrase
            | SigningError::Refused(_)
            | SigningError::Forbidden
            | SigningError::OtherKey(_)
            | SigningError::Digest(_) => false,
        };
        if is_transient { SignVerdict::RetryLater } else { SignVerdict::KeyUnusable }
    }
}
