//! Checks that GnuPG is installed and can be started.

use std::path::PathBuf;

use gpgme::Error;
use serde::{Deserialize, Serialize};

use super::{Call, Calls};
use crate::pgp::gnupg::{self, LibraryError};
use crate::pgp::wire;

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pgp) struct CheckEngine {
    #[serde(with = "wire::path")]
    pub(in crate::pgp) home: PathBuf,
}

impl Call for CheckEngine {
    type Answer = Result<(), LibraryError>;

    fn run(self, _: &mut Calls) -> Self::Answer {
        let context = gnupg::context(&self.home)?;
        match context.engine_info().version() {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::INV_ENGINE.into()),
        }
    }
}
