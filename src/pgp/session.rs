//! One thread's conversation with GnuPG: the context, the key in it, one retry.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gpgme::results::SigningResult;
use gpgme::{Context, Error, HashAlgorithm, PassphraseRequest, SignMode};
use zeroize::Zeroizing;

use super::Fingerprint;
use super::armor;
use super::engine;
use super::key::{KeyError, Search, SecretKey};
use super::padding;
use super::setup;
use super::signer::SignFault;
use crate::action::Signature;
use crate::spawn::converse;

/// A context that signs with one key.
pub(super) struct Session {
    home: PathBuf,
    key: Fingerprint,
    passphrase: Option<Arc<Zeroizing<Vec<u8>>>>,
    /// Made at the first signature, and anew after a failure.
    ready: Option<(Context, SecretKey)>,
}

impl Session {
    pub(super) fn new(
        home: &Path,
        key: Fingerprint,
        passphrase: Option<Arc<Zeroizing<Vec<u8>>>>,
    ) -> Session {
        Session { home: home.to_owned(), key, passphrase, ready: None }
    }

    /// Signs `bytes`; an agent that was ended meanwhile is started again, once.
    pub(super) fn sign(&mut self, bytes: &[u8]) -> Result<Signature, SignFault> {
        let signed = match self.attempt(bytes) {
            Err(SignFault::Engine(error) | SignFault::Refused(error))
                if engine::is_agent_gone(error) =>
            {
                self.attempt(bytes)
            }
            other => other,
        };
        signed.map_err(|fault| self.explained(fault))
    }

    /// Returns the fault of the configuration that explains a failure, or the failure.
    fn explained(&self, fault: SignFault) -> SignFault {
        let setup = match &fault {
            SignFault::Engine(error) | SignFault::Refused(error) if setup::is_unclear(*error) => {
                setup::signing_fault(&self.home, self.key.as_str())
            }
            _ => None,
        };
        setup.map_or(fault, |setup| SignFault::Key(KeyError::Setup(setup)))
    }

    fn attempt(&mut self, bytes: &[u8]) -> Result<Signature, SignFault> {
        setup::check_files(&self.home).map_err(KeyError::Setup)?;
        let (mut context, key) = match self.ready.take() {
            Some(ready) => ready,
            // The key is checked again: it may have expired, or gone, since.
            None => Search::new(&self.home, self.key.as_str())?.secret_key()?,
        };
        let mut armored = Vec::new();
        let signed = self.unlock(&mut context, |context| {
            context.sign(SignMode::Detached, bytes, &mut armored)
        })?;
        check(&signed, &key)?;
        let armored = String::from_utf8(armored).map_err(|_| super::ArmorError::Form)?;
        let content = armor::from_armor(&armored)?;
        // Of several signatures the library reports only one.
        let mut issuers = padding::issuers(&content).into_iter();
        if let Some(other) = issuers.find(|id| key.bytes(id).is_none()) {
            return Err(SignFault::OtherKey(format!("{:016X}", u64::from_be_bytes(other))));
        }
        let padded = padding::pad(&content, |id, _| key.bytes(id));
        let signature = armor::to_line(&padded.unwrap_or(content))?;
        self.ready = Some((context, key));
        Ok(signature)
    }

    /// Does `work` with a context that answers the question for the passphrase.
    fn unlock<T>(
        &self,
        context: &mut Context,
        work: impl FnOnce(&mut Context) -> Result<T, Error>,
    ) -> Result<T, SignFault> {
        let asked = Arc::new(AtomicBool::new(false));
        let (note, passphrase) = (Arc::clone(&asked), self.passphrase.clone());
        let answer = move |request: PassphraseRequest<'_>, out: &mut dyn Write| {
            note.store(true, Ordering::SeqCst);
            match &passphrase {
                // Asked again, it was wrong: the same answer would be, too.
                Some(passphrase) if !request.prev_attempt_failed => Ok(out.write_all(passphrase)?),
                _ => Err(Error::CANCELED),
            }
        };
        let _turn = converse();
        context.with_passphrase_provider(answer, work).map_err(|error| {
            match (asked.load(Ordering::SeqCst), &self.passphrase) {
                (true, None) => SignFault::NoPassphrase,
                (true, Some(_)) if engine::is_final(error) => SignFault::Passphrase,
                (false, _) if error.code() == Error::UNUSABLE_SECKEY.code() => {
                    SignFault::Refused(error)
                }
                _ if engine::is_forbidden(error) => SignFault::Forbidden,
                _ => SignFault::Engine(error),
            }
        })
    }
}

/// Checks that GnuPG signed with the key that it was told to, in a way the platform verifies.
fn check(signed: &SigningResult, key: &SecretKey) -> Result<(), SignFault> {
    for made in signed.new_signatures() {
        let by = Fingerprint::new(made.fingerprint().unwrap_or_default());
        if !key.parts.iter().any(|part| part.fingerprint == by) {
            return Err(SignFault::OtherKey(by.to_string()));
        }
        match made.hash_algorithm() {
            HashAlgorithm::Sha1
            | HashAlgorithm::Sha224
            | HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512 => {}
            other => return Err(SignFault::Digest(other.to_string())),
        }
    }
    Ok(())
}
