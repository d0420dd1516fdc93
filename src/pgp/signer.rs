//! Signing with a time limit: by a signer that holds the unlocked key, or by GnuPG in a worker.
//!
//! Unlocking the key takes as long as several signatures by GnuPG. So a program that signs once or
//! twice lets GnuPG sign, and a daemon keeps the key unlocked ([`GpgSigner::held`]).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use slog::Logger;
use zeroize::Zeroizing;

use super::calls::{FindKey, Passphrase, Sign};
use super::foreign;
use super::held_key::HeldKey;
use super::key::{KeyError, SecretKey};
use super::signing_error::SigningError;
use super::worker;
use super::worker_error::WorkerError;
use crate::action::{SignError, Signature, Signer, UnknownKey};
use crate::clock::Clock;
use crate::spawn::deadline::Deadline;

/// Time limit for a signature, sufficient for smartcards and slow machines.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A key in a GnuPG home, ready to sign.
pub(crate) struct GpgSigner {
    key: SecretKey,
    home: PathBuf,
    passphrase: Option<Passphrase>,
    timeout: Duration,
    held: Option<HeldKey>,
}

impl fmt::Debug for GpgSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GpgSigner({} in {})", self.key.fingerprint, self.home.display())
    }
}

/// Finds the secret key `id` in the GnuPG home `home` and checks that it can be used.
pub(super) fn find(home: &Path, id: &str, timeout: Duration) -> Result<SecretKey, KeyError> {
    let call = FindKey { home: home.to_owned(), id: id.to_owned() };
    worker::call(call, timeout).unwrap_or_else(|error| {
        let (key, home) = (id.to_owned(), home.to_owned());
        Err(match error {
            WorkerError::Timeout(timeout) => KeyError::Hung { key, home, timeout },
            source => KeyError::Worker { key, home, source },
        })
    })
}

impl GpgSigner {
    /// Opens the key `id` in the GnuPG home `home`.
    ///
    /// The passphrase is not tested before the first signature.
    pub(crate) fn open(
        home: &Path,
        id: &str,
        passphrase: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<GpgSigner, KeyError> {
        Ok(GpgSigner {
            key: find(home, id, TIMEOUT)?,
            home: home.to_owned(),
            passphrase: passphrase.map(Passphrase),
            timeout: TIMEOUT,
            held: None,
        })
    }

    /// Returns a signer for a program that signs often. The signer unlocks the key for the first
    /// signature and keeps it unlocked. It logs to `log` whether it or GnuPG makes the signatures.
    pub(crate) fn held(self, clock: Arc<dyn Clock>, log: Logger) -> GpgSigner {
        let passphrase = self.passphrase.clone();
        let held = HeldKey::new(&self.home, &self.key.fingerprint, passphrase, clock, log);
        GpgSigner { held: Some(held), ..self }
    }

    /// Starts to unlock a key that is held, without waiting for it: with a passphrase this takes a
    /// second, and the first signatures may be due soon.
    pub(crate) fn unlock_in_background(self: &Arc<Self>) {
        let signer = Arc::clone(self);
        let unlock = move || signer.held.iter().for_each(|held| held.unlock(signer.timeout));
        // Without a thread, the first signature unlocks the key.
        thread::Builder::new().name("unlock".to_owned()).spawn(unlock).ok();
    }

    /// Returns the signer with another time limit for a signature.
    #[cfg(test)]
    pub(crate) fn with_timeout(self, timeout: Duration) -> GpgSigner {
        GpgSigner { timeout, ..self }
    }

    /// Returns the process group of the signer that has unlocked the key.
    #[cfg(test)]
    pub(super) fn group(&self) -> Option<rustix::process::Pid> {
        self.held.as_ref()?.group()
    }

    #[cfg(test)]
    pub(crate) fn key(&self) -> &SecretKey {
        &self.key
    }

    fn sign_in_time(&self, bytes: &[u8]) -> Result<Signature, SigningError> {
        let deadline = Deadline::after(self.timeout);
        if let Some(held) = &self.held
            && let Some(signature) = held.sign(bytes, deadline, self.timeout)?
        {
            return Ok(signature);
        }
        let call = Sign {
            home: self.home.clone(),
            key: self.key.fingerprint.clone(),
            passphrase: self.passphrase.clone(),
            bytes: bytes.to_vec(),
        };
        worker::call(call, deadline.left().unwrap_or(self.timeout))?
    }

    /// Adds the key to an error.
    fn with_key(&self, error: SigningError) -> SignError {
        let key = format!("{} in the GnuPG home {}", self.key.fingerprint, self.home.display());
        SignError::new(key, error.verdict(), error)
    }
}

impl Signer for GpgSigner {
    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignError> {
        self.sign_in_time(bytes).map_err(|error| self.with_key(error))
    }

    fn padded(&self, line: &str, unknown: UnknownKey) -> Result<Option<Signature>, SignError> {
        foreign::padded(&self.home, line, unknown, self.timeout)
            .map_err(|error| self.with_key(error))
    }

    fn fingerprint(&self) -> &str {
        self.key.fingerprint.as_str()
    }
}
