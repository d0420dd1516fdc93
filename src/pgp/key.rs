//! Finds the signing key and rejects it early if it cannot be used.
//!
//! GnuPG reports the same "End of file" for a missing key, a missing home and a home whose path is
//! too long. So the home is checked first, and each error names the key and the home.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use gpgme::{Context, Error, Key, KeyAlgorithm, Subkey};

use super::configuration::{self, ConfigurationError};
use super::fingerprint::Fingerprint;
use super::gnupg;
use super::shortage::{self, KeyListing};
use super::signature::KeyId;
use crate::disk::transient::is_transient;
use crate::spawn::begin_library_call;

/// The allowed lengths of a key id, in hexadecimal digits.
const ID_DIGITS: std::ops::RangeInclusive<usize> = 8..=64;

/// The fault of a key without a usable secret key.
const NO_SECRET: &str = "cannot sign: no part of it that may sign has its secret key here";

/// A primary key or a subkey.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("\"{0}\" is not a key id: [gpg] keyid takes a fingerprint, 40 hexadecimal digits")]
    Id(String),
    /// The home does not exist or cannot be accessed.
    #[error("cannot look up the key {key} in the GnuPG home {}", home.display())]
    Home { key: String, home: PathBuf, source: std::io::Error },
    #[error("cannot look up the key {key} in {}: [gpg] home must be a folder", home.display())]
    NotFolder { key: String, home: PathBuf },
    /// The path of the home is too long for the agent's sockets.
    #[error(
        "cannot use the key {key} in the GnuPG home {}: its path has {bytes} bytes, too long for the \
         agent's socket (at most {}): use a symbolic link with a shorter path", home.display(), gnupg::HOME_BYTES_MAX
    )]
    LongHome {
        key: String,
        home: PathBuf,
        /// Length of its path.
        bytes: usize,
    },
    /// The home does not contain the key.
    #[error("no secret key {key} in the GnuPG home {}: gpg --homedir {} -K lists its secret keys{}", home.display(), home.display(), hint)]
    NotFound {
        key: String,
        home: PathBuf,
        /// Another possible reason.
        hint: &'static str,
    },
    /// The key exists and cannot be used.
    #[error("the key {key} in the GnuPG home {} {why}", home.display())]
    Unusable { key: String, home: PathBuf, why: &'static str },
    /// The platform's library does not support keys of this type.
    #[error(
        "the key {key} in the GnuPG home {} is of type {algorithm}, which the platform cannot verify: use an RSA key", home.display()
    )]
    Type { key: String, home: PathBuf, algorithm: String },
    /// GnuPG did not answer in time.
    #[error(
        "no answer from gpg-agent about the key {key} in the GnuPG home {} in {} s: if it hangs, end it with \
         gpgconf --homedir {} --kill gpg-agent", home.display(), timeout.as_secs(), home.display()
    )]
    Hung { key: String, home: PathBuf, timeout: Duration },
    /// GnuPG's configuration has a fault.
    #[error("cannot use the GnuPG home")]
    Configuration(#[source] ConfigurationError),
    /// The system is short of a resource that GnuPG needs.
    #[error(
        "cannot look up the key {key} in the GnuPG home {}: GnuPG lacks a system resource, perhaps only temporarily",
        home.display()
    )]
    Shortage { key: String, home: PathBuf, source: std::io::Error },
    #[error("cannot look up the key {key} in the GnuPG home {}", home.display())]
    GnuPg { key: String, home: PathBuf, source: Error },
}

impl KeyError {
    /// Returns whether a retry may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            KeyError::Hung { .. } | KeyError::Shortage { .. } => true,
            KeyError::Home { source, .. } => is_transient(source),
            KeyError::Configuration(fault) => fault.is_transient(),
            KeyError::GnuPg { source, .. } => !gnupg::is_permanent(*source),
            _ => false,
        }
    }
}

/// Finds the secret key `id` in the GnuPG home `home` and checks that it can be used.
///
/// GnuPG queries its agent, and an agent may hang. So the search runs on a thread of its own, which
/// is abandoned after the time limit.
pub(crate) fn find(home: &Path, id: &str, timeout: Duration) -> Result<SecretKey, KeyError> {
    let search = KeySearch::new(home, id)?;
    let (key, home) = (search.id.clone(), search.home.clone());
    let (answer, answers) = mpsc::channel();
    let work = move || answer.send(search.secret_key().map(|(_, key)| key)).is_ok();
    match thread::Builder::new().name("key".to_owned()).spawn(work) {
        Ok(_) => {
            answers.recv_timeout(timeout).unwrap_or(Err(KeyError::Hung { key, home, timeout }))
        }
        Err(source) => Err(KeyError::Home { key, home, source }),
    }
}

/// A search for a key in a home.
pub(super) struct KeySearch {
    id: String,
    home: PathBuf,
}

impl KeySearch {
    /// Checks the id and the home.
    pub(super) fn new(home: &Path, id: &str) -> Result<KeySearch, KeyError> {
        let digits: String = id.chars().filter(|c| !c.is_whitespace()).collect();
        let digits = digits.strip_prefix("0x").unwrap_or(&digits).to_ascii_uppercase();
        if !ID_DIGITS.contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(KeyError::Id(id.to_owned()));
        }
        let search = KeySearch { id: digits, home: home.to_owned() };
        let (key, home) = (search.id.clone(), search.home.clone());
        match search.home.metadata() {
            Ok(meta) if meta.is_dir() => {
                configuration::check_files(&search.home).map_err(KeyError::Configuration)?;
                Ok(search)
            }
            Ok(_) => Err(KeyError::NotFolder { key, home }),
            Err(source) => Err(KeyError::Home { key, home, source }),
        }
    }

    /// Opens the home and returns the key in it, ready to sign.
    pub(super) fn secret_key(&self) -> Result<(Context, SecretKey), KeyError> {
        let error = match self.open() {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        let may_exist =
            matches!(error, KeyError::NotFound { .. } | KeyError::Unusable { why: NO_SECRET, .. });
        let listing = may_exist.then(|| shortage::list_key(&self.home, &self.id));
        match (listing, self.explained(error)) {
            // A system error is a better explanation than a fault of the configuration, which may
            // only mean that no agent runs.
            (Some(KeyListing::Shortage(source)), _) if source.raw_os_error().is_some() => {
                Err(self.shortage(source))
            }
            // An agent that cannot be started may lack space for its sockets.
            (_, KeyError::Configuration(fault)) if fault.is_transient() => {
                let lacking = shortage::probe(&self.home).err().filter(is_transient);
                Err(lacking.map_or(KeyError::Configuration(fault), |source| self.shortage(source)))
            }
            (_, error @ KeyError::Configuration(_)) => Err(error),
            (Some(KeyListing::Shortage(source)), _) => Err(self.shortage(source)),
            // The shortage has ended in the meantime.
            (Some(KeyListing::Found), KeyError::NotFound { .. }) => self.open(),
            (_, error) => Err(error),
        }
    }

    fn shortage(&self, source: std::io::Error) -> KeyError {
        KeyError::Shortage { key: self.id.clone(), home: self.home.clone(), source }
    }

    /// Returns the fault of GnuPG's configuration that explains an error, or the error itself.
    fn explained(&self, error: KeyError) -> KeyError {
        let is_unclear = match &error {
            KeyError::NotFound { .. } => true,
            KeyError::GnuPg { source, .. } => configuration::may_be_cause(*source),
            _ => false,
        };
        let fault = is_unclear.then(|| configuration::fault(&self.home, Some(&self.id))).flatten();
        fault.map_or(error, KeyError::Configuration)
    }

    fn open(&self) -> Result<(Context, SecretKey), KeyError> {
        let _call = begin_library_call();
        let mut context = gnupg::context(&self.home).map_err(|error| self.gnupg(error))?;
        let key =
            context.get_secret_key(self.id.as_str()).map_err(|error| self.not_found(error))?;
        let checked = self.check(&key)?;
        context.clear_signers();
        context.add_signer(&key).map_err(|error| self.gnupg(error))?;
        Ok((context, checked))
    }

    fn check(&self, key: &Key) -> Result<SecretKey, KeyError> {
        let (primary, fingerprint) = key
            .primary_key()
            .and_then(|primary| Some((primary, Fingerprint::new(primary.fingerprint().ok()?))))
            .ok_or_else(|| self.gnupg(Error::INV_VALUE))?;
        let why = [
            (
                key.is_revoked(),
                "is revoked: generate a new key, and give the platform its public key",
            ),
            (key.is_expired(), "is expired: extend it, and give the platform the new public key"),
            (key.is_disabled(), "is disabled: enable it with gpg --edit-key"),
            (
                key.is_invalid(),
                "is invalid: either this machine's clock is before the key's creation, or weak-digest in the \
                 home's gpg.conf rejects the digest of its self-signature",
            ),
        ];
        if let Some((_, why)) = why.into_iter().find(|(is, _)| *is) {
            return Err(self.unusable(why));
        }
        let able =
            key.subkeys().filter(|part| part.can_sign() && part.is_secret() && !part.is_bad());
        // GnuPG signs with the newest part that can sign.
        let signing =
            able.max_by_key(Subkey::creation_time).ok_or_else(|| self.unusable(NO_SECRET))?;
        for part in [primary, signing] {
            if !matches!(part.algorithm(), KeyAlgorithm::Rsa | KeyAlgorithm::RsaSign) {
                let algorithm = part.algorithm_name().unwrap_or_else(|_| "unknown".to_owned());
                let (key, home) = (self.id.clone(), self.home.clone());
                return Err(KeyError::Type { key, home, algorithm });
            }
        }
        let parts = key.subkeys().filter_map(|part| KeyPart::new(&part));
        let owner = key.user_ids().next().and_then(|user| user.id().ok()).unwrap_or_default();
        Ok(SecretKey { fingerprint, parts: parts.collect(), owner: owner.to_owned() })
    }

    fn not_found(&self, error: Error) -> KeyError {
        let (key, home) = (self.id.clone(), self.home.clone());
        let bytes = std::path::absolute(&home).unwrap_or_else(|_| home.clone()).as_os_str().len();
        if error.code() != Error::EOF.code() {
            return KeyError::GnuPg { key, home, source: error };
        }
        if bytes > gnupg::HOME_BYTES_MAX {
            return KeyError::LongHome { key, home, bytes };
        }
        let old = home.join("secring.gpg").exists() && !home.join(".gpg-v21-migrated").exists();
        let hint = if old {
            "; its old secring.gpg is converted when GnuPG first uses it, for which the home must be writable"
        } else {
            ""
        };
        KeyError::NotFound { key, home, hint }
    }

    fn unusable(&self, why: &'static str) -> KeyError {
        KeyError::Unusable { key: self.id.clone(), home: self.home.clone(), why }
    }

    fn gnupg(&self, source: Error) -> KeyError {
        KeyError::GnuPg { key: self.id.clone(), home: self.home.clone(), source }
    }
}
