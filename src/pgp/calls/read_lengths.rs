//! Reads the lengths of public keys in a home.

use std::path::PathBuf;

use gpgme::Error;
use serde::{Deserialize, Serialize};

use super::{Call, Calls};
use crate::pgp::gnupg::{self, LibraryError};
use crate::pgp::key::KeyPart;
use crate::pgp::signature::KeyId;
use crate::pgp::wire;

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pgp) struct ReadLengths {
    #[serde(with = "wire::path")]
    pub(in crate::pgp) home: PathBuf,
    pub(in crate::pgp) ids: Vec<KeyId>,
}

impl Call for ReadLengths {
    /// The lengths in bytes of those keys that are in the home.
    type Answer = Result<Vec<(KeyId, usize)>, LibraryError>;

    fn run(self, _: &mut Calls) -> Self::Answer {
        let mut context = gnupg::context(&self.home)?;
        let mut lengths = Vec::new();
        for id in self.ids {
            let key = match context.get_key(format!("{:016X}", u64::from_be_bytes(id))) {
                Ok(key) => key,
                Err(error) if is_unknown(error) => continue,
                Err(error) => return Err(error.into()),
            };
            let mut parts = key.subkeys().filter_map(|part| KeyPart::new(&part));
            if let Some(part) = parts.find(|part| part.fingerprint.id() == Some(id)) {
                lengths.push((id, part.modulus_bytes));
            }
        }
        Ok(lengths)
    }
}

/// Returns whether an error means that there is no such key, or that several keys have the id.
fn is_unknown(error: Error) -> bool {
    [Error::EOF, Error::NO_PUBKEY, Error::NOT_FOUND, Error::AMBIGUOUS_NAME]
        .iter()
        .any(|unknown| unknown.code() == error.code())
}
