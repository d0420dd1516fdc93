//! Checks a detached signature with the one key in a home.

use std::path::PathBuf;

use gpgme::Error;
use serde::{Deserialize, Serialize};

use super::{Call, Calls};
use crate::pgp::configuration;
use crate::pgp::fingerprint::Fingerprint;
use crate::pgp::gnupg;
use crate::pgp::verify_error::VerifyError;
use crate::pgp::wire;

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pgp) struct CheckSignature {
    #[serde(with = "wire::path")]
    pub(in crate::pgp) home: PathBuf,
    /// The signed data.
    #[serde(with = "wire::bytes")]
    pub(in crate::pgp) data: Vec<u8>,
    /// One signature packet. Nothing else may reach GnuPG.
    #[serde(with = "wire::bytes")]
    pub(in crate::pgp) signature: Vec<u8>,
}

impl Call for CheckSignature {
    /// The fingerprint of the primary key or the subkey that made the signature.
    type Answer = Result<Fingerprint, VerifyError>;

    fn run(self, _: &mut Calls) -> Self::Answer {
        configuration::check_files(&self.home).map_err(VerifyError::Configuration)?;
        self.check().map_err(|error| match error {
            // GnuPG reports some faults of its configuration like this.
            VerifyError::GnuPg(_) => {
                configuration::fault(&self.home, None).map_or(error, VerifyError::Configuration)
            }
            error => error,
        })
    }
}

impl CheckSignature {
    fn check(&self) -> Result<Fingerprint, VerifyError> {
        let mut context = gnupg::context(&self.home).map_err(VerifyError::GnuPg)?;
        let result = context
            .verify_detached(self.signature.as_slice(), self.data.as_slice())
            .map_err(convert)?;
        // It is a signature. If GnuPG was killed or could not be started, it reports none.
        let unchecked = || VerifyError::GnuPg(Error::NOT_PROCESSED);
        let made = result.signatures().next().ok_or_else(unchecked)?;
        made.status().map_err(|error| match convert(error) {
            VerifyError::GnuPg(_) => VerifyError::Unsupported,
            converted => converted,
        })?;
        // If GnuPG was killed during the check, it may not have named the key yet.
        made.fingerprint().map(Fingerprint::new).map_err(|_| unchecked())
    }
}

/// Converts an error of GnuPG to that of the platform.
fn convert(error: Error) -> VerifyError {
    let is = |errors: &[Error]| errors.iter().any(|known| known.code() == error.code());
    if is(&[Error::NO_PUBKEY]) {
        VerifyError::UnknownEntity
    } else if is(&[Error::KEY_EXPIRED, Error::CERT_REVOKED]) {
        VerifyError::UnusableKey
    } else if is(&[Error::BAD_SIGNATURE, Error::SIG_EXPIRED]) {
        VerifyError::Bad
    } else if is(&[Error::INV_PACKET, Error::NO_DATA, Error::SIG_CLASS, Error::UNEXPECTED]) {
        VerifyError::NoSignature
    } else {
        VerifyError::GnuPg(error)
    }
}
