//! A signer that looks up its key when it first signs, and again until it finds the key.
//!
//! It is for a runner whose own files have filled the disk that GnuPG needs as well. Such a runner
//! must start in order to remove old files, and cannot find its key before it has done so.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use slog::Logger;
use zeroize::Zeroizing;

use super::signer::GpgSigner;
use crate::action::{SignError, SignVerdict, Signature, Signer, UnknownKey};
use crate::clock::Clock;

/// A key in a GnuPG home that may not have been found yet.
pub(crate) struct DeferredSigner {
    home: PathBuf,
    id: String,
    passphrase: Option<Zeroizing<Vec<u8>>>,
    clock: Arc<dyn Clock>,
    log: Logger,
    signer: OnceLock<GpgSigner>,
}

impl fmt::Debug for DeferredSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeferredSigner({} in {})", self.id, self.home.display())
    }
}

impl DeferredSigner {
    /// Returns a signer for the key `id` in the GnuPG home `home`, without accessing the home.
    /// The signer holds the key ([`GpgSigner::held`]).
    pub(crate) fn new(
        home: &Path,
        id: &str,
        passphrase: Option<Zeroizing<Vec<u8>>>,
        clock: Arc<dyn Clock>,
        log: Logger,
    ) -> DeferredSigner {
        let (home, id) = (home.to_owned(), id.to_owned());
        DeferredSigner { home, id, passphrase, clock, log, signer: OnceLock::new() }
    }

    fn signer(&self) -> Result<&GpgSigner, SignError> {
        if let Some(signer) = self.signer.get() {
            return Ok(signer);
        }
        let opened =
            GpgSigner::open(&self.home, &self.id, self.passphrase.clone()).map_err(|error| {
                let key = format!("{} in the GnuPG home {}", self.id, self.home.display());
                SignError::new(key, SignVerdict::RetryLater, error)
            })?;
        let held = opened.held(Arc::clone(&self.clock), self.log.clone());
        // If two threads get here at the same time, both have found the same key.
        Ok(self.signer.get_or_init(|| held))
    }
}

impl Signer for DeferredSigner {
    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignError> {
        self.signer()?.sign(bytes)
    }

    fn fingerprint(&self) -> &str {
        self.signer.get().map_or(&self.id, Signer::fingerprint)
    }

    fn padded(&self, line: &str, unknown: UnknownKey) -> Result<Option<Signature>, SignError> {
        self.signer()?.padded(line, unknown)
    }
}
