//! The signing key, and why it cannot be used.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use gpgme::{Error, Subkey};
use serde::{Deserialize, Serialize};

use super::configuration::ConfigurationError;
use super::fingerprint::Fingerprint;
use super::gnupg;
use super::signature::KeyId;
use super::wire;
use super::worker_error::WorkerError;
use crate::disk::transient::is_transient;

/// A primary key or a subkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyPart {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) modulus_bytes: usize,
}

impl KeyPart {
    pub(super) fn new(part: &Subkey<'_>) -> Option<KeyPart> {
        let fingerprint = Fingerprint::new(part.fingerprint().ok()?);
        Some(KeyPart { fingerprint, modulus_bytes: part.length().div_ceil(8) })
    }
}

/// A key whose signatures the platform can verify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretKey {
    /// The fingerprint of the primary key, by which the platform identifies it.
    pub(crate) fingerprint: Fingerprint,
    /// The primary key and its subkeys. GnuPG may sign with any of them.
    pub(crate) parts: Vec<KeyPart>,
    /// The first user id.
    pub(crate) owner: String,
}

impl SecretKey {
    pub(super) fn modulus_bytes(&self, id: &KeyId) -> Option<usize> {
        let part = self.parts.iter().find(|part| part.fingerprint.id().as_ref() == Some(id));
        part.map(|part| part.modulus_bytes)
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum KeyError {
    #[error("\"{0}\" is not a key id: [gpg] keyid takes a fingerprint, 40 hexadecimal digits")]
    Id(String),
    /// The home does not exist or cannot be accessed.
    #[error("cannot look up the key {key} in the GnuPG home {}", home.display())]
    Home {
        key: String,
        #[serde(with = "wire::path")]
        home: PathBuf,
        #[serde(with = "wire::system")]
        source: std::io::Error,
    },
    #[error("cannot look up the key {key} in {}: [gpg] home must be a folder", home.display())]
    NotFolder {
        key: String,
        #[serde(with = "wire::path")]
        home: PathBuf,
    },
    /// The path of the home is too long for the agent's sockets.
    #[error(
        "cannot use the key {key} in the GnuPG home {}: its path has {bytes} bytes, too long for the \
         agent's socket (at most {}): use a symbolic link with a shorter path", home.display(), gnupg::HOME_BYTES_MAX
    )]
    LongHome {
        key: String,
        #[serde(with = "wire::path")]
        home: PathBuf,
        /// Length of its path.
        bytes: usize,
    },
    /// The home does not contain the key.
    #[error("no secret key {key} in the GnuPG home {}: gpg --homedir {} -K lists its secret keys{}", home.display(), home.display(), hint)]
    NotFound {
        key: String,
        #[serde(with = "wire::path")]
        home: PathBuf,
        /// Another possible reason.
        hint: Cow<'static, str>,
    },
    /// The key exists and cannot be used.
    #[error("the key {key} in the GnuPG home {} {why}", home.display())]
    Unusable {
        key: String,
        #[serde(with = "wire::path")]
        home: PathBuf,
        why: Cow<'static, str>,
    },
    /// The platform's library does not support keys of this type.
    #[error(
        "the key {key} in the GnuPG home {} is of type {algorithm}, which the platform cannot verify: use an RSA key", home.display()
    )]
    Type {
        key: String,
        #[serde(with = "wire::path")]
        home: PathBuf,
        algorithm: String,
    },
    /// GnuPG did not answer in time.
    #[error(
        "no answer from gpg-agent about the key {key} in the GnuPG home {} in {} s: if it hangs, end it with \
         gpgconf --homedir {} --kill gpg-agent", home.display(), timeout.as_secs(), home.display()
    )]
    Hung {
        key: String,
        #[serde(with = "wire::path")]
        home: PathBuf,
        timeout: Duration,
    },
    /// GnuPG's configuration has a fault.
    #[error("cannot use the GnuPG home")]
    Configuration(#[source] ConfigurationError),
    /// The system is short of a resource that GnuPG needs.
    #[error(
        "cannot look up the key {key} in the GnuPG home {}: GnuPG lacks a system resource, perhaps only temporarily",
        home.display()
    )]
    Shortage {
        key: String,
        #[serde(with = "wire::path")]
        home: PathBuf,
        #[serde(with = "wire::system")]
        source: std::io::Error,
    },
    #[error("cannot look up the key {key} in the GnuPG home {}", home.display())]
    GnuPg {
        key: String,
        #[serde(with = "wire::path")]
        home: PathBuf,
        #[serde(with = "wire::gnupg")]
        source: Error,
    },
    #[error("cannot look up the key {key} in the GnuPG home {}", home.display())]
    #[serde(skip)]
    Worker { key: String, home: PathBuf, source: WorkerError },
}

impl KeyError {
    /// Returns whether a retry may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            KeyError::Hung { .. } | KeyError::Shortage { .. } | KeyError::Worker { .. } => true,
            KeyError::Home { source, .. } => is_transient(source),
            KeyError::Configuration(fault) => fault.is_transient(),
            KeyError::GnuPg { source, .. } => !gnupg::is_permanent(*source),
            _ => false,
        }
    }
}
