//! Generates a key.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use gpgme::{CreateKeyFlags, Error, PassphraseRequest};
use serde::{Deserialize, Serialize};

use super::session::Passphrase;
use super::{Call, Calls};
use crate::pgp::fingerprint::Fingerprint;
use crate::pgp::gnupg::{self, LibraryError};
use crate::pgp::wire;

#[derive(Serialize, Deserialize)]
pub(in crate::pgp) struct Generate {
    #[serde(with = "wire::path")]
    pub(in crate::pgp) home: PathBuf,
    /// The user id, as in `Name <address>`.
    pub(in crate::pgp) owner: String,
    /// GnuPG's name for the type of key, as in `rsa3072`.
    pub(in crate::pgp) algorithm: String,
    pub(in crate::pgp) passphrase: Option<Passphrase>,
}

impl Call for Generate {
    type Answer = Result<Fingerprint, LibraryError>;

    fn run(self, _: &mut Calls) -> Self::Answer {
        let mut context = gnupg::context(&self.home)?;
        let mut flags = CreateKeyFlags::SIGN | CreateKeyFlags::CERT | CreateKeyFlags::NOEXPIRE;
        if self.passphrase.is_none() {
            flags |= CreateKeyFlags::NOPASSWD;
        }
        let passphrase = self.passphrase.map(|passphrase| passphrase.0).unwrap_or_default();
        let answer =
            move |_: PassphraseRequest<'_>, out: &mut dyn Write| Ok(out.write_all(&passphrase)?);
        let (owner, algorithm) = (self.owner, self.algorithm);
        let generated = context.with_passphrase_provider(answer, |context| {
            context.create_key_with_flags(owner, algorithm, Duration::ZERO, flags)
        })?;
        generated.fingerprint().map(Fingerprint::new).map_err(|_| Error::INV_VALUE.into())
    }
}
