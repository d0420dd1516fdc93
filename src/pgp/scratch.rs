//! A GnuPG home for one look at a key.
//!
//! GnuPG checks the signatures of a key only when it imports the key. So a key is first imported into a
//! home of which nothing is kept.
//!
//! Some releases take a user id without a valid self-signature unless they are forbidden to, and start an
//! agent, which would outlive the home. The home's configuration forbids both.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{COMMAND_PREFIX, Context, Disk, DiskError, Fs, RealFs};
use crate::random;

/// GnuPG's options in such a home. They prevail over those of the whole system, which may have GnuPG leave
/// out more than what is invalid.
const CONFIG: &[u8] = b"no-allow-non-selfsigned-uid
no-autostart
import-options no-import-clean,no-import-minimal
export-options no-export-clean,no-export-minimal,export-attributes
";

/// A home that is removed with its value.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a home in the folder `parent`, private to its owner.
    ///
    /// # Errors
    /// The folder cannot be made, or there is one with its name already.
    pub(super) fn make(parent: &Path) -> Result<Scratch, DiskError> {
        let mark = random::mark().context("name a folder in", parent)?;
        let path = parent.join(format!(".mig-key-{mark}"));
        // One that is there already may be another user's.
        RealFs.make_folder(&path).context("make folder", &path)?;
        let scratch = Scratch(path);
        let disk = Disk::new(Arc::new(RealFs), scratch.0.clone(), COMMAND_PREFIX);
        disk.create(&scratch.0.join("gpg.conf"), CONFIG)?;
        Ok(scratch)
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed holds nothing but a public key.
        fs::remove_dir_all(&self.0).ok();
    }
}
