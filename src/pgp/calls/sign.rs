//! Signs with a key; if the agent has ended, GnuPG starts a new one for a single retry.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gpgme::results::SigningResult;
use gpgme::{Context, Error, HashAlgorithm, PassphraseRequest, SignMode};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::find_key::KeySearch;
use super::{Call, Calls};
use crate::action::Signature;
use crate::pgp::armor;
use crate::pgp::configuration;
use crate::pgp::fingerprint::Fingerprint;
use crate::pgp::gnupg;
use crate::pgp::key::{KeyError, SecretKey};
use crate::pgp::padding;
use crate::pgp::signing_error::SigningError;
use crate::pgp::wire;

/// The passphrase of a key, which is wiped from memory when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::pgp) struct Passphrase(
    #[serde(with = "wire::bytes")] pub(in crate::pgp) Zeroizing<Vec<u8>>,
);

/// Signs bytes.
#[derive(Serialize, Deserialize)]
pub(in crate::pgp) struct Sign {
    #[serde(with = "wire::path")]
    pub(in crate::pgp) home: PathBuf,
    pub(in crate::pgp) key: Fingerprint,
    pub(in crate::pgp) passphrase: Option<Passphrase>,
    #[serde(with = "wire::bytes")]
    pub(in crate::pgp) bytes: Vec<u8>,
}

impl Call for Sign {
    type Answer = Result<Signature, SigningError>;

    fn run(self, calls: &mut Calls) -> Self::Answer {
        let last = calls.session.take().filter(|last| last.is_for(&self));
        let mut session = last.unwrap_or_else(|| Session::new(&self));
        let signed = session.sign(&self.bytes);
        calls.session = Some(session);
        signed
    }
}

/// A context that signs with one key.
pub(super) struct Session {
    home: PathBuf,
    key: Fingerprint,
    passphrase: Option<Arc<Passphrase>>,
    /// Created with the first signature, and again after a failure.
    ready: Option<(Context, SecretKey)>,
}

impl Session {
    fn new(call: &Sign) -> Session {
        let passphrase = call.passphrase.clone().map(Arc::new);
        Session { home: call.home.clone(), key: call.key.clone(), passphrase, ready: None }
    }

    fn is_for(&self, call: &Sign) -> bool {
        self.home == call.home
            && self.key == call.key
            && self.passphrase.as_deref() == call.passphrase.as_ref()
    }

    /// Signs `bytes`. If the agent has ended, GnuPG starts a new one for a single retry.
    fn sign(&mut self, bytes: &[u8]) -> Result<Signature, SigningError> {
        let signed = match self.attempt(bytes) {
            Err(SigningError::GnuPg(error) | SigningError::Refused(error))
                if gnupg::is_agent_gone(error) =>
            {
                self.attempt(bytes)
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

    fn attempt(&mut self, bytes: &[u8]) -> Result<Signature, SigningError> {
        configuration::check_files(&self.home).map_err(KeyError::Configuration)?;
        let (mut context, key) = match self.ready.take() {
            Some(ready) => ready,
            // The key may have expired or been removed since the last check.
            None => KeySearch::new(&self.home, self.key.as_str())?.secret_key()?,
        };
        let mut armored = Vec::new();
        let signed = self.unlock(&mut context, |context| {
            context.sign(SignMode::Detached, bytes, &mut armored)
        })?;
        check(&signed, &key)?;
        let armored = String::from_utf8(armored).map_err(|_| armor::ArmorError::Form)?;
        let content = armor::from_armor(&armored)?;
        // The library reports only one of several signatures.
        let mut issuers = padding::issuers(&content).into_iter();
        if let Some(other) = issuers.find(|id| key.modulus_bytes(id).is_none()) {
            return Err(SigningError::OtherKey(format!("{:016X}", u64::from_be_bytes(other))));
        }
        let padded = padding::pad(&content, |id, _| key.modulus_bytes(id));
        let signature = armor::to_line(&padded.unwrap_or(content))?;
        self.ready = Some((context, key));
        Ok(signature)
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
fn check(signed: &SigningResult, key: &SecretKey) -> Result<(), SigningError> {
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
            other => return Err(SigningError::Digest(other.to_string())),
        }
    }
    Ok(())
}
