//! The key that signs: found, and refused early if it is of no use.
//!
//! GnuPG says "End of file" to a key that is not there, a home that does not
//! exist and a home whose path is too long alike. So the home is looked at
//! first, and each error says which key was looked for, and where.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use gpgme::{Context, Error, Key, KeyAlgorithm, Subkey};

use super::engine;
use super::setup::{self, SetupFault};
use super::shortage::{self, Look};
use super::signature::KeyId;
use crate::disk::transient::is_transient;
use crate::spawn::converse;

/// The shortest and the longest id of a key, in hexadecimal digits.
const ID_DIGITS: std::ops::RangeInclusive<usize> = 8..=64;

/// The fault of a key whose secret part is missing.
const NO_SECRET: &str = "cannot sign: no part of it that may sign has its secret here";

/// A key's fingerprint, in upper-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(String);

impl Fingerprint {
    pub(super) fn new(text: &str) -> Fingerprint {
        Fingerprint(text.to_ascii_uppercase())
    }

    /// Returns the fingerprint as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id of a key of version 4: the last eight bytes.
    pub(super) fn id(&self) -> Option<KeyId> {
        let (_, digits) = self.0.split_at_checked(self.0.len().checked_sub(16)?)?;
        Some(u64::from_str_radix(digits, 16).ok()?.to_be_bytes())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key or a subkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) fingerprint: Fingerprint,
    /// The length of its modulus, in bytes.
    pub(crate) bytes: usize,
}

impl Part {
    pub(super) fn new(part: &Subkey<'_>) -> Option<Part> {
        let fingerprint = Fingerprint::new(part.fingerprint().ok()?);
        Some(Part { fingerprint, bytes: part.length().div_ceil(8) })
    }
}

/// A key that can sign what the platform verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretKey {
    /// The fingerprint of the key, the one by which the platform knows it.
    pub(crate) fingerprint: Fingerprint,
    /// The key and its subkeys, any of which GnuPG may sign with.
    pub(crate) parts: Vec<Part>,
    /// Whose key it is.
    pub(crate) owner: String,
}

impl SecretKey {
    /// Returns the length in bytes of the modulus of the part with this id.
    pub(super) fn bytes(&self, id: &KeyId) -> Option<usize> {
        let part = self.parts.iter().find(|part| part.fingerprint.id().as_ref() == Some(id));
        part.map(|part| part.bytes)
    }
}

/// Why a key is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// What is configured is no id.
    #[error("\"{0}\" is no key id: [gpg] keyid takes a fingerprint, 40 hexadecimal digits")]
    Id(String),
    /// The home is not there or cannot be looked at.
    #[error("cannot look for the key {key} in the GnuPG home {}", home.display())]
    Home {
        /// The id that was looked for.
        key: String,
        home: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The home is a file.
    #[error("cannot look for the key {key} in {}: [gpg] home must be a folder", home.display())]
    NoFolder {
        /// The id that was looked for.
        key: String,
        home: PathBuf,
    },
    /// The agent cannot open its sockets.
    #[error(
        "cannot use the key {key} in the GnuPG home {}: its path has {bytes} bytes, too long for the \
         agent's socket ({} at most): use a symbolic link with a shorter path", home.display(), engine::HOME_BYTES_MAX
    )]
    LongHome {
        /// The id that was looked for.
        key: String,
        home: PathBuf,
        /// How long its path is.
        bytes: usize,
    },
    /// The home does not have the key.
    #[error("no secret key {key} in the GnuPG home {}: gpg --homedir {} -K lists those it has{}", home.display(), home.display(), hint)]
    NotThere {
        /// The id that was looked for.
        key: String,
        home: PathBuf,
        /// What else may be the reason.
        hint: &'static str,
    },
    /// The key is there and cannot be used.
    #[error("the key {key} in the GnuPG home {} {why}", home.display())]
    Unusable {
        /// The id that was looked for.
        key: String,
        home: PathBuf,
        /// What is the matter with it.
        why: &'static str,
    },
    /// The platform's library does not know keys of this type.
    #[error(
        "the key {key} in the GnuPG home {} is of type {algorithm}, which the platform cannot verify: use an RSA key", home.display()
    )]
    Type {
        /// The id that was looked for.
        key: String,
        home: PathBuf,
        algorithm: String,
    },
    /// GnuPG did not answer in time.
    #[error(
        "no answer from gpg-agent about the key {key} in the GnuPG home {} in {} s: gpgconf --homedir {} --kill \
         gpg-agent ends one that hangs", home.display(), deadline.as_secs(), home.display()
    )]
    Hung {
        /// The id that was looked for.
        key: String,
        home: PathBuf,
        /// How long it was waited for.
        deadline: Duration,
    },
    /// GnuPG's configuration is at fault.
    #[error("cannot use the GnuPG home")]
    Setup(#[source] SetupFault),
    /// The system lacks something that GnuPG needs to look.
    #[error(
        "cannot look for the key {key} in the GnuPG home {}: GnuPG does not get what it needs; this may pass", home.display()
    )]
    Short {
        /// The id that was looked for.
        key: String,
        home: PathBuf,
        source: std::io::Error,
    },
    /// GnuPG failed in a way of its own.
    #[error("cannot look for the key {key} in the GnuPG home {}", home.display())]
    Engine {
        /// The id that was looked for.
        key: String,
        home: PathBuf,
        source: Error,
    },
}

impl KeyError {
    /// Tells whether the same look may go well later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            KeyError::Hung { .. } | KeyError::Short { .. } => true,
            KeyError::Home { source, .. } => is_transient(source),
            KeyError::Setup(fault) => fault.is_passing(),
            KeyError::Engine { source, .. } => !engine::is_final(*source),
            _ => false,
        }
    }
}

/// Finds the secret key `id` in the GnuPG home `home` and checks that it is of use.
///
/// GnuPG asks its agent for the key, and an agent may hang; so the search has
/// a thread of its own, which is abandoned after the deadline.
///
/// # Errors
/// It is not there, or the platform would not take its signatures.
pub(crate) fn find(home: &Path, id: &str, deadline: Duration) -> Result<SecretKey, KeyError> {
    let search = Search::new(home, id)?;
    let (key, home) = (search.id.clone(), search.home.clone());
    let (answer, answers) = mpsc::channel();
    let work = move || answer.send(search.secret_key().map(|(_, key)| key)).is_ok();
    match thread::Builder::new().name("key".to_owned()).spawn(work) {
        Ok(_) => {
            answers.recv_timeout(deadline).unwrap_or(Err(KeyError::Hung { key, home, deadline }))
        }
        Err(source) => Err(KeyError::Home { key, home, source }),
    }
}

/// One look for one key.
pub(super) struct Search {
    id: String,
    home: PathBuf,
}

impl Search {
    /// Checks the id and the home.
    pub(super) fn new(home: &Path, id: &str) -> Result<Search, KeyError> {
        let digits: String = id.chars().filter(|c| !c.is_whitespace()).collect();
        let digits = digits.strip_prefix("0x").unwrap_or(&digits).to_ascii_uppercase();
        if !ID_DIGITS.contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(KeyError::Id(id.to_owned()));
        }
        let search = Search { id: digits, home: home.to_owned() };
        let (key, home) = (search.id.clone(), search.home.clone());
        match search.home.metadata() {
            Ok(meta) if meta.is_dir() => {
                setup::check_files(&search.home).map_err(KeyError::Setup)?;
                Ok(search)
            }
            Ok(_) => Err(KeyError::NoFolder { key, home }),
            Err(source) => Err(KeyError::Home { key, home, source }),
        }
    }

    /// Opens the home and returns the key in it, ready to sign.
    pub(super) fn secret_key(&self) -> Result<(Context, SecretKey), KeyError> {
        let error = match self.open() {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        let may_be_there =
            matches!(error, KeyError::NotThere { .. } | KeyError::Unusable { why: NO_SECRET, .. });
        let look = may_be_there.then(|| shortage::look(&self.home, &self.id));
        match (look, self.explained(error)) {
            // What the system says weighs more than the configuration, which may only say that there is no agent.
            (Some(Look::Short(source)), _) if source.raw_os_error().is_some() => {
                Err(self.short(source))
            }
            // An agent that GnuPG has and cannot start may lack room for its sockets.
            (_, KeyError::Setup(fault)) if fault.is_passing() => {
                let lacking = shortage::probe(&self.home).err().filter(is_transient);
                Err(lacking.map_or(KeyError::Setup(fault), |source| self.short(source)))
            }
            (_, error @ KeyError::Setup(_)) => Err(error),
            (Some(Look::Short(source)), _) => Err(self.short(source)),
            // The shortage has ended meanwhile.
            (Some(Look::Found), KeyError::NotThere { .. }) => self.open(),
            (_, error) => Err(error),
        }
    }

    fn short(&self, source: std::io::Error) -> KeyError {
        KeyError::Short { key: self.id.clone(), home: self.home.clone(), source }
    }

    /// Returns the fault of the configuration that explains an error, or the error.
    fn explained(&self, error: KeyError) -> KeyError {
        let is_unclear = match &error {
            KeyError::NotThere { .. } => true,
            KeyError::Engine { source, .. } => setup::is_unclear(*source),
            _ => false,
        };
        let fault = is_unclear.then(|| setup::fault(&self.home, Some(&self.id))).flatten();
        fault.map_or(error, KeyError::Setup)
    }

    fn open(&self) -> Result<(Context, SecretKey), KeyError> {
        let _turn = converse();
        let mut context = engine::context(&self.home).map_err(|error| self.engine(error))?;
        let key =
            context.get_secret_key(self.id.as_str()).map_err(|error| self.not_found(error))?;
        let checked = self.check(&key)?;
        context.clear_signers();
        context.add_signer(&key).map_err(|error| self.engine(error))?;
        Ok((context, checked))
    }

    fn check(&self, key: &Key) -> Result<SecretKey, KeyError> {
        let (primary, fingerprint) = key
            .primary_key()
            .and_then(|primary| Some((primary, Fingerprint::new(primary.fingerprint().ok()?))))
            .ok_or_else(|| self.engine(Error::INV_VALUE))?;
        let why = [
            (
                key.is_revoked(),
                "is revoked: make a new key, and give the platform the new public key",
            ),
            (key.is_expired(), "is expired: extend it, and give the platform the new public key"),
            (key.is_disabled(), "is disabled: gpg --edit-key with enable makes it usable again"),
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
        // GnuPG signs with the newest part that can.
        let signing =
            able.max_by_key(Subkey::creation_time).ok_or_else(|| self.unusable(NO_SECRET))?;
        for part in [primary, signing] {
            if !matches!(part.algorithm(), KeyAlgorithm::Rsa | KeyAlgorithm::RsaSign) {
                let algorithm = part.algorithm_name().unwrap_or_else(|_| "unknown".to_owned());
                let (key, home) = (self.id.clone(), self.home.clone());
                return Err(KeyError::Type { key, home, algorithm });
            }
        }
        let parts = key.subkeys().filter_map(|part| Part::new(&part));
        let owner = key.user_ids().next().and_then(|user| user.id().ok()).unwrap_or_default();
        Ok(SecretKey { fingerprint, parts: parts.collect(), owner: owner.to_owned() })
    }

    fn not_found(&self, error: Error) -> KeyError {
        let (key, home) = (self.id.clone(), self.home.clone());
        let bytes = std::path::absolute(&home).unwrap_or_else(|_| home.clone()).as_os_str().len();
        if error.code() != Error::EOF.code() {
            return KeyError::Engine { key, home, source: error };
        }
        if bytes > engine::HOME_BYTES_MAX {
            return KeyError::LongHome { key, home, bytes };
        }
        let old = home.join("secring.gpg").exists() && !home.join(".gpg-v21-migrated").exists();
        let hint = if old {
            "; its old secring.gpg is converted when GnuPG first uses it, for which the home must be writable"
        } else {
            ""
        };
        KeyError::NotThere { key, home, hint }
    }

    fn unusable(&self, why: &'static str) -> KeyError {
        KeyError::Unusable { key: self.id.clone(), home: self.home.clone(), why }
    }

    fn engine(&self, source: Error) -> KeyError {
        KeyError::Engine { key: self.id.clone(), home: self.home.clone(), source }
    }
}
