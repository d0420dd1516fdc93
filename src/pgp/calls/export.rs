//! Exports a public key from a home, armored.

use std::path::PathBuf;

use gpgme::ExportMode;
use serde::{Deserialize, Serialize};

use super::{Call, Calls};
use crate::pgp::fingerprint::Fingerprint;
use crate::pgp::gnupg::{self, LibraryError};
use crate::pgp::wire::{self, Bytes};

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pgp) struct Export {
    #[serde(with = "wire::path")]
    pub(in crate::pgp) home: PathBuf,
    pub(in crate::pgp) key: Fingerprint,
}

impl Call for Export {
    /// Empty if the home does not contain the key.
    type Answer = Result<Bytes, LibraryError>;

    fn run(self, _: &mut Calls) -> Self::Answer {
        let mut armored = Vec::new();
        let mut context = gnupg::context(&self.home)?;
        context.export([self.key.as_str()], ExportMode::empty(), &mut armored)?;
        Ok(Bytes(armored))
    }
}
