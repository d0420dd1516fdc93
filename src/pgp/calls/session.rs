//! The use of one secret key by GnuPG: signatures, and the export of the key.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gpgme::results::SigningResult;
use gpgme::{Context, Error, ExportMode, HashAlgorithm, Key, PassphraseRequest, SignMode};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::find_key::{FoundKey, KeySearch};
use crate::action::Signature;
use crate::pgp::armor;
use crate::pgp::configuration;
use crate::pgp::fingerprint::Fingerprint;
use crate::pgp::gnupg;
use crate::pgp::key::{KeyError, SecretKey};
use crate::pgp::padding;
use crate::pgp::signing_error::SigningError;
use crate::pgp::wire;

/// Size limit of an exported secret key, in bytes. A key of 16384 bits with a hundred signatures on it
/// is a fifth of it.
const EXPORT_BYTES_MAX: usize = 1 << 20;

/// The passphrase of a key, which is wiped from memory when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::pgp) struct Passphrase(
    #[serde(with = "wire::bytes")] pub(in crate::pgp) Zeroizing<Vec<u8>>,
);

/// The digests that a signature may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pgp) enum Digests {
    /// Those that the platform supports.
    Supported,
    /// Any. The signature only shows that GnuPG can sign; it never reaches the platform.
    Any,
}

/// A context that signs with one key.
pub(in crate::pgp) struct Session {
    home: PathBuf,
    key: Fingerprint,
    passphrase: Option<Arc<Passphrase>>,
    /// The key as it was found for the last call, unless that failed.
    ready: Option<FoundKey>,
}

impl Session {
    pub(in crate::pgp) fn new(
        home: &Path,
        key: &Fingerprint,
        passphrase: Option<Passphrase>,
    ) -> Session {
        let passphrase = passphrase.map(Arc::new);
        Session { home: home.to_owned(), key: key.clone(), passphrase, ready: None }
    }

    /// Returns whether this signs with this key.
    pub(super) fn is_for(
        &self,
        home: &Path,
        key: &Fingerprint,
        passphrase: Option<&Passphrase>,
    ) -> bool {
        self.home == home && self.key == *key && self.passphrase.as_deref() == passphrase
    }

    /// Signs `bytes`. If the agent has ended, GnuPG starts a new one for a single retry.
    pub(in crate::pgp) fn sign(
        &mut self,
        bytes: &[u8],
        digests: Digests,
    ) -> Result<Signature, SigningError> {
        let signed = match self.attempt(bytes, digests) {
            Err(SigningError::GnuPg(error) | SigningError::Refused(error))
                if gnupg::is_agent_gone(error) =>
            {
                self.attempt(bytes, digests)
            }
            other => other,
        };
        signed.map_err(|error| self.explained(error))
    }

    /// Returns the fault of GnuPG's configuration that explains an error, or the error itself.
    fn explained(&self, error: SigningError) -> SigningError {
        let fault = match &error {
            SigningError::GnuPg(error) | SigningError::Refused(error)
                if configuration::may_be_cause(*error) =>
            {
                configuration::signing_fault(&self.home, self.key.as_str())
            }
            _ => None,
        };
        fault.map_or(error, |fault| SigningError::Key(KeyError::Configuration(fault)))
    }

    /// Returns the key, after listing it unless it is known from an earlier call.
    fn take(&mut self) -> Result<FoundKey, SigningError> {
        configuration::check_files(&self.home).map_err(KeyError::Configuration)?;
        match self.ready.take() {
            Some(found) => Ok(found),
            // The key may have expired or been removed since the last check.
            None => Ok(KeySearch::new(&self.home, self.key.as_str())?.secret_key()?),
        }
    }

    /// Returns the key as GnuPG lists it.
    pub(in crate::pgp) fn listed(&mut self) -> Result<Key, SigningError> {
        let found = self.take()?;
        Ok(self.ready.insert(found).listed.clone())
    }

    fn attempt(&mut self, bytes: &[u8], digests: Digests) -> Result<Signature, SigningError> {
        let FoundKey { mut context, key, listed } = self.take()?;
        let mut armored = Vec::new();
        let signed = self.unlock(&mut context, |context| {
            context.sign(SignMode::Detached, bytes, &mut armored)
        })?;
        check(&signed, &key, digests)?;
        let armored = String::from_utf8(armored).map_err(|_| armor::ArmorError::Form)?;
        let content = armor::from_armor(&armored)?;
        // The library reports only one of several signatures.
        let mut issuers = padding::issuers(&content).into_iter();
        if let Some(other) = issuers.find(|id| key.modulus_bytes(id).is_none()) {
            return Err(SigningError::OtherKey(format!("{:016X}", u64::from_be_bytes(other))));
        }
        let padded = padding::pad(&content, |id, _| key.modulus_bytes(id));
        let signature = armor::to_line(&padded.unwrap_or(content))?;
        self.ready = Some(FoundKey { context, key, listed });
        Ok(signature)
    }

    /// Exports the secret key of one part, armored, and no other part.
    pub(in crate::pgp) fn export(
        &mut self,
        part: &Fingerprint,
    ) -> Result<Zeroizing<Vec<u8>>, SigningError> {
        let mut found = self.take()?;
        let mode = match found.key.fingerprint == *part {
            true => ExportMode::SECRET | ExportMode::MINIMAL,
            false => ExportMode::SECRET_SUBKEY | ExportMode::MINIMAL,
        };
        // The buffer never moves, because a copy of the key would remain.
        let mut armored = Zeroizing::new(Vec::with_capacity(EXPORT_BYTES_MAX));
        self.unlock(&mut found.context, |context| {
            context.export([format!("{part}!")], mode, &mut *armored)
        })?;
        self.ready = Some(found);
        match armored.len() {
            // GnuPG reports no error for some causes.
            0 => Err(SigningError::GnuPg(Error::NO_SECKEY)),
            1..=EXPORT_BYTES_MAX => Ok(armored),
            _ => Err(SigningError::GnuPg(Error::TOO_LARGE)),
        }
    }

    /// Runs `work` with a context that supplies the passphrase.
    fn unlock<T>(
        &self,
        context: &mut Context,
        work: impl FnOnce(&mut Context) -> Result<T, Error>,
    ) -> Result<T, SigningError> {
        let requested = Arc::new(AtomicBool::new(false));
        let (flag, passphrase) = (Arc::clone(&requested), self.passphrase.clone());
        let answer = move |request: PassphraseRequest<'_>, out: &mut dyn Write| {
            flag.store(true, Ordering::SeqCst);
            match &passphrase {
                // A second request means that the passphrase was wrong.
                Some(passphrase) if !request.prev_attempt_failed => {
                    Ok(out.write_all(&passphrase.0)?)
                }
                _ => Err(Error::CANCELED),
            }
        };
        context.with_passphrase_provider(answer, work).map_err(|error| {
            match (requested.load(Ordering::SeqCst), &self.passphrase) {
                (true, None) => SigningError::NoPassphrase,
                (true, Some(_)) if gnupg::is_permanent(error) => SigningError::Passphrase,
                (false, _) if error.code() == Error::UNUSABLE_SECKEY.code() => {
                    SigningError::Refused(error)
                }
                _ if gnupg::is_forbidden(error) => SigningError::Forbidden,
                _ => SigningError::GnuPg(error),
            }
        })
    }
}

/// Checks that GnuPG signed with the requested key and a digest that the platform supports.
fn check(signed: &SigningResult, key: &SecretKey, digests: Digests) -> Result<(), SigningError> {
    for made in signed.new_signatures() {
        let by = Fingerprint::new(made.fingerprint().unwrap_or_default());
        if !key.parts.iter().any(|part| part.fingerprint == by) {
            return Err(SigningError::OtherKey(by.to_string()));
        }
        match made.hash_algorithm() {
            HashAlgorithm::Sha1
            | HashAlgorithm::Sha224
            | HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512 => {}
            _ if digests == Digests::Any => {}
            other => return Err(SigningError::Digest(other.to_string())),
        }
    }
    Ok(())
}
