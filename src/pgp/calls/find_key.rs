//! Finds the signing key and rejects it early if it cannot be used.
//!
//! GnuPG reports the same "End of file" for a missing key, a missing home and a home whose path is
//! too long. So the home is checked first, and each error names the key and the home.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use gpgme::{Context, Error, Key, KeyAlgorithm, Subkey};
use serde::{Deserialize, Serialize};

use super::{Call, Calls};
use crate::disk::transient::is_transient;
use crate::pgp::configuration;
use crate::pgp::fingerprint::Fingerprint;
use crate::pgp::gnupg;
use crate::pgp::key::{KeyError, KeyPart, SecretKey};
use crate::pgp::shortage::{self, KeyListing};
use crate::pgp::wire;

/// The allowed lengths of a key id, in hexadecimal digits.
const ID_DIGITS: std::ops::RangeInclusive<usize> = 8..=64;
/// The fault of a key without a usable secret key.
const NO_SECRET: &str = "cannot sign: no part of it that may sign has its secret key here";

/// Finds the secret key `id` and checks that it can be used.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pgp) struct FindKey {
    #[serde(with = "wire::path")]
    pub(in crate::pgp) home: PathBuf,
    pub(in crate::pgp) id: String,
}

impl Call for FindKey {
    type Answer = Result<SecretKey, KeyError>;

    fn run(self, _: &mut Calls) -> Self::Answer {
        KeySearch::new(&self.home, &self.id)?.secret_key().map(|found| found.key)
    }
}

/// A key that can sign, and the library's context that signs with it.
pub(in crate::pgp) struct FoundKey {
    pub(in crate::pgp) context: Context,
    pub(in crate::pgp) key: SecretKey,
    /// The key as GnuPG lists it.
    pub(in crate::pgp) listed: Key,
}

/// Returns the part with which GnuPG signs: the newest one that can sign.
pub(in crate::pgp) fn signing_part(key: &Key) -> Option<Subkey<'_>> {
    let able = key.subkeys().filter(|part| part.can_sign() && part.is_secret() && !part.is_bad());
    able.max_by_key(Subkey::creation_time)
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
    pub(super) fn secret_key(&self) -> Result<FoundKey, KeyError> {
        let error = match self.open() {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        let may_exist = match &error {
            KeyError::NotFound { .. } => true,
            KeyError::Unusable { why, .. } => why == NO_SECRET,
            _ => false,
        };
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

    fn open(&self) -> Result<FoundKey, KeyError> {
        let mut context = gnupg::context(&self.home).map_err(|error| self.gnupg(error))?;
        let key =
            context.get_secret_key(self.id.as_str()).map_err(|error| self.not_found(error))?;
        let checked = self.check(&key)?;
        context.clear_signers();
        context.add_signer(&key).map_err(|error| self.gnupg(error))?;
        Ok(FoundKey { context, key: checked, listed: key })
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
        let signing = signing_part(key).ok_or_else(|| self.unusable(NO_SECRET))?;
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
        let hint = Cow::from(if old {
            "; its old secring.gpg is converted when GnuPG first uses it, for which the home must be writable"
        } else {
            ""
        });
        KeyError::NotFound { key, home, hint }
    }

    fn unusable(&self, why: &'static str) -> KeyError {
        let (key, home, why) = (self.id.clone(), self.home.clone(), Cow::from(why));
        KeyError::Unusable { key, home, why }
    }

    fn gnupg(&self, source: Error) -> KeyError {
        KeyError::GnuPg { key: self.id.clone(), home: self.home.clone(), source }
    }
}
