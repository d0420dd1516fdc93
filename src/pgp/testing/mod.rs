//! A GnuPG home that is deleted with its test, for which its agent is ended first.

#[cfg(feature = "platform")]
pub(crate) mod confusion;
pub(super) mod damage;
pub(crate) mod hang;
#[cfg(feature = "platform")]
pub(crate) mod keyring;
pub(super) mod memory;
pub(crate) mod short;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::armor::checksum;
use super::verify::verify_in;
use super::{
    Fingerprint, KeyText, NewKey, OneLineSignature, RsaNumbers, VerifyError, end_gpg_agent,
    generate,
};

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// A home with a path that is short enough for the agent's sockets.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Home {
        // GnuPG requires that no other user can enter it.
        let owner_only = Permissions::from_mode(0o700);
        let builder =
            tempfile::Builder::new().prefix("g").permissions(owner_only).tempdir_in("/tmp");
        Home(builder.unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Generates a key of the type `algorithm`.
    pub(crate) fn key(&self, algorithm: &str, passphrase: Option<&str>) -> Fingerprint {
        let passphrase = passphrase.map(secret);
        generate(self.path(), NewKey { owner: "Test <test@localhost>", algorithm, passphrase })
            .unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        end_gpg_agent(self.path()).unwrap();
    }
}

/// Armors data as a public key.
pub(super) fn armored(data: &[u8]) -> Vec<u8> {
    let base64 = STANDARD.encode(data).into_bytes();
    let lines: Vec<&[u8]> = base64.chunks(64).collect();
    let (begin, end) = (format!("{BEGIN}\n\n"), format!("\n{}\n{END}\n", checksum(data)));
    [begin.as_bytes(), &lines.join(&b'\n'), end.as_bytes()].concat()
}

/// Imports a key into a home without checking it.
pub(crate) fn import(home: &Path, armored: &[u8]) {
    damage::gpg(home, &["--batch", "--import"], armored);
}

/// Verifies a signature on one line with the keys in a home; returns the fingerprint of the key that
/// made it.
pub(crate) fn verify(
    home: &Path,
    data: &[u8],
    line: &str,
    numbers: RsaNumbers,
) -> Result<Fingerprint, VerifyError> {
    let signature = OneLineSignature::parse(line)?;
    let issuer = format!("{:016X}", u64::from_be_bytes(signature.issuer()));
    let exported = damage::gpg(home, &["--batch", "--armor", "--export", &issuer], b"");
    let Ok(key) = KeyText::read(&exported) else { return Err(VerifyError::UnknownEntity) };
    verify_in(home, &key, data, &signature, numbers)?;
    Ok(key.fingerprint().unwrap().clone())
}

pub(crate) fn secret(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}
