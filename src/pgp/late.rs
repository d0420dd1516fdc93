//! A key that is looked for when something is signed, and again until it is found.
//!
//! For a runner whose own files have filled the disk that GnuPG needs as well: it has to run to
//! remove what is old, and cannot find its key before that.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::signer::Keyring;
use crate::action::{SignError, SignVerdict, Signature, Signer, Unknown};

/// A key in a GnuPG home that was not found yet.
pub(crate) struct LateKeyring {
    home: PathBuf,
    id: String,
    passphrase: Option<Zeroizing<Vec<u8>>>,
    keyring: OnceLock<Keyring>,
}

impl fmt::Debug for LateKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LateKeyring({} in {})", self.id, self.home.display())
    }
}

impl LateKeyring {
    /// Returns the key `id` in the GnuPG home `home`, which is not looked at yet.
    pub(crate) fn new(
        home: &Path,
        id: &str,
        passphrase: Option<Zeroizing<Vec<u8>>>,
    ) -> LateKeyring {
        let (home, id) = (home.to_owned(), id.to_owned());
        LateKeyring { home, id, passphrase, keyring: OnceLock::new() }
    }
}

impl LateKeyring {
    /// Returns the key; looks for it if it was not found yet.
    fn found(&self) -> Result<&Keyring, SignError> {
        if let Some(keyring) = self.keyring.get() {
            return Ok(keyring);
        }
        let opened =
            Keyring::open(&self.home, &self.id, self.passphrase.clone()).map_err(|error| {
                let key = format!("{} in the GnuPG home {}", self.id, self.home.display());
                SignError::new(key, SignVerdict::RetryLater, error)
            })?;
        // Of two threads that find it at the same time, both have the same key.
        Ok(self.keyring.get_or_init(|| opened))
    }
}

impl Signer for LateKeyring {
    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignError> {
        self.found()?.sign(bytes)
    }

    fn fingerprint(&self) -> &str {
        self.keyring.get().map_or(&self.id, Signer::fingerprint)
    }

    fn padded(&self, line: &str, unknown: Unknown) -> Result<Option<Signature>, SignError> {
        self.found()?.padded(line, unknown)
    }
}
