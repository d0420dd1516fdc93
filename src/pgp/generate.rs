//! A new key, for the one-host platform and for tests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gpgme::{CreateKeyFlags, Error, ExportMode, PassphraseRequest};
use zeroize::Zeroizing;

use super::Fingerprint;
use super::{engine, quiet};

/// A key could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} in the GnuPG home {}", home.display())]
pub(crate) struct GenerateError {
    doing: &'static str,
    home: PathBuf,
    source: Error,
}

/// What a new key is to be.
#[derive(Debug)]
pub(crate) struct NewKey<'a> {
    /// Whose key it is, as in `Name <address>`.
    pub(crate) owner: &'a str,
    /// GnuPG's name of its type, as in `rsa3072`.
    pub(crate) algorithm: &'a str,
    /// What protects it, if anything.
    pub(crate) passphrase: Option<Zeroizing<Vec<u8>>>,
}

/// Makes a key that signs and does not expire in `home`, a folder that only its owner can enter.
///
/// GnuPG starts its agent for that; see [`super::end_agent`].
///
/// # Errors
/// GnuPG failed; its reason is the cause.
pub(crate) fn generate(home: &Path, key: NewKey<'_>) -> Result<Fingerprint, GenerateError> {
    let failed = |source| GenerateError { doing: "make a key", home: home.to_owned(), source };
    let _work = quiet::at_work();
    let mut context = engine::context(home).map_err(failed)?;
    let mut flags = CreateKeyFlags::SIGN | CreateKeyFlags::CERT | CreateKeyFlags::NOEXPIRE;
    if key.passphrase.is_none() {
        flags |= CreateKeyFlags::NOPASSWD;
    }
    let passphrase = key.passphrase.unwrap_or_default();
    let answer =
        move |_: PassphraseRequest<'_>, out: &mut dyn Write| Ok(out.write_all(&passphrase)?);
    let made = context
        .with_passphrase_provider(answer, |context| {
            context.create_key_with_flags(key.owner, key.algorithm, Duration::ZERO, flags)
        })
        .map_err(failed)?;
    made.fingerprint().map(Fingerprint::new).map_err(|_| failed(Error::INV_VALUE))
}

/// Returns a public key, armored, as the platform takes it.
///
/// # Errors
/// GnuPG failed, or does not have the key.
pub(crate) fn export(home: &Path, key: &Fingerprint) -> Result<Vec<u8>, GenerateError> {
    let failed = |source| GenerateError { doing: "read a key", home: home.to_owned(), source };
    let mut armored = Vec::new();
    let _work = quiet::at_work();
    let mut context = engine::context(home).map_err(failed)?;
    context.export([key.as_str()], ExportMode::empty(), &mut armored).map_err(failed)?;
    if armored.is_empty() {
        return Err(failed(Error::NO_PUBKEY));
    }
    Ok(armored)
}
