//! A GnuPG home that ends with its test, agent and all.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{Fingerprint, NewKey, end_agent, generate};

/// A home with a path short enough for the agent's sockets.
pub(crate) struct Home(TempDir);

impl Home {
    /// Returns an empty home.
    pub(crate) fn new() -> Home {
        // GnuPG wants nobody else to enter it.
        let owner_only = Permissions::from_mode(0o700);
        let builder =
            tempfile::Builder::new().prefix("g").permissions(owner_only).tempdir_in("/tmp");
        Home(builder.unwrap())
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes a key of the type `algorithm`.
    pub(crate) fn key(&self, algorithm: &str, passphrase: Option<&str>) -> Fingerprint {
        let passphrase = passphrase.map(secret);
        generate(self.path(), NewKey { owner: "Test <test@localhost>", algorithm, passphrase })
            .unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        end_agent(self.path()).unwrap();
    }
}

/// Returns a passphrase.
pub(crate) fn secret(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}
