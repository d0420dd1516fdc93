//! Signs with a key; if the agent has ended, GnuPG starts a new one for a single retry.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::session::{Digests, Passphrase, Session};
use super::{Call, Calls};
use crate::action::Signature;
use crate::pgp::fingerprint::Fingerprint;
use crate::pgp::signing_error::SigningError;
use crate::pgp::wire;

/// Signs bytes.
#[derive(Serialize, Deserialize)]
pub(in crate::pgp) struct Sign {
    #[serde(with = "wire::path")]
    pub(in crate::pgp) home: PathBuf,
    pub(in crate::pgp) key: Fingerprint,
    pub(in crate::pgp) passphrase: Option<Passphrase>,
    #[serde(with = "wire::bytes")]
    pub(in crate::pgp) bytes: Vec<u8>,
}

impl Call for Sign {
    type Answer = Result<Signature, SigningError>;

    fn run(self, calls: &mut Calls) -> Self::Answer {
        let last = calls
            .session
            .take()
            .filter(|last| last.is_for(&self.home, &self.key, self.passphrase.as_ref()));
        let new = || Session::new(&self.home, &self.key, self.passphrase.clone());
        let mut session = last.unwrap_or_else(new);
        let signed = session.sign(&self.bytes, Digests::Supported);
        calls.session = Some(session);
        signed
    }
}
