//! A new GnuPG home for one key. It is temporary, unless the key is accepted and kept.
//!
//! GnuPG checks the signatures of a key only when it imports the key. So a key is first imported
//! into a home that is then deleted.
//!
//! Unless forbidden, some releases accept a user id without a valid self-signature, and start an
//! agent, which would outlive the home. The configuration of the home forbids both.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::descent::Descent;
use crate::disk::{COMMAND_PREFIX, Disk, DiskError, RealFs};
use crate::random;

/// GnuPG's options in such a home. They override those of the whole system, which may make GnuPG
/// drop more than the invalid parts.
const CONFIG: &[u8] = b"no-allow-non-selfsigned-uid
no-autostart
import-options no-import-clean,no-import-minimal
export-options no-export-clean,no-export-minimal,export-attributes
";

/// The prefix of the name of a temporary home.
pub(super) const PREFIX: &str = "mig-data-";

/// A home that is deleted when it is dropped.
#[derive(Debug)]
pub(super) struct ScratchHome(PathBuf);

impl ScratchHome {
    /// Creates a home in the folder `parent`, private to its owner.
    pub(super) fn create(parent: &Path) -> Result<ScratchHome, DiskError> {
        // Never an existing folder, because it may belong to another user.
        let name = || Ok(format!("{PREFIX}{}", random::mark()?).into());
        let scratch = ScratchHome(Descent::create_unused(parent, name)?);
        scratch.disk().create(&scratch.0.join("gpg.conf"), CONFIG)?;
        Ok(scratch)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Gives the home its final path. If that exists, another thread has imported the same key.
    #[cfg(any(test, feature = "platform"))]
    pub(super) fn keep_as(self, path: &Path) -> Result<(), DiskError> {
        match self.disk().rename_to_unique(&self.0, path) {
            Err(error) if !path.is_dir() => Err(error),
            _ => Ok(()),
        }
    }

    fn disk(&self) -> Disk {
        Disk::new(Arc::new(RealFs), self.0.clone(), COMMAND_PREFIX)
    }
}

impl Drop for ScratchHome {
    fn drop(&mut self) {
        // A home that cannot be deleted contains only a public key.
        fs::remove_dir_all(&self.0).ok();
    }
}
