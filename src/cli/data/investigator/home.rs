//! A GnuPG home for the moment in which a key is read: GnuPG leaves files in the home that it
//! works in, and reads nothing where there is none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::data::place::disk;
use crate::cli::env;
use crate::cli::failure::Failure;
use crate::random;

/// A home that is removed with its value.
#[derive(Debug)]
pub(super) struct Home(PathBuf);

impl Home {
    /// Makes an empty home, private to its owner.
    pub(super) fn make() -> Result<Home, Failure> {
        let failed =
            |source: io::Error| Failure::System { doing: "name a temporary folder", source };
        let parent = env::temporary().unwrap_or_else(|| PathBuf::from("/tmp"));
        let path = parent.join(format!("mig-data-{}", random::mark().map_err(failed)?));
        disk().make_folder(&path)?;
        Ok(Home(path))
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed is empty but for a keyring without keys.
        fs::remove_dir_all(&self.0).ok();
    }
}
