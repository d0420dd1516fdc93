//! Generates and exports keys, for the one-host platform and for tests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gpgme::{CreateKeyFlags, Error, ExportMode, PassphraseRequest};
use zeroize::Zeroizing;

use super::fingerprint::Fingerprint;
use super::gnupg;
use crate::spawn::begin_library_call;

/// A key could not be generated or exported.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} in the GnuPG home {}", home.display())]
pub(crate) struct GenerateError {
    operation: &'static str,
    home: PathBuf,
    source: Error,
}

/// The properties of a key to be generated.
#[derive(Debug)]
pub(crate) struct NewKey<'a> {
    /// The user id, as in `Name <address>`.
    pub(crate) owner: &'a str,
    /// GnuPG's name for the type of key, as in `rsa3072`.
    pub(crate) algorithm: &'a str,
    pub(crate) passphrase: Option<Zeroizing<Vec<u8>>>,
}

/// Generates a signing key that does not expire in `home`, a folder that only its owner can enter.
///
/// GnuPG starts an agent to do so; see [`super::end_gpg_agent`].
pub(crate) fn generate(home: &Path, key: NewKey<'_>) -> Result<Fingerprint, GenerateError> {
    let failed =
        |source| GenerateError { operation: "generate a key", home: home.to_owned(), source };
    let _call = begin_library_call();
    let mut context = gnupg::context(home).map_err(failed)?;
    let mut flags = CreateKeyFlags::SIGN | CreateKeyFlags::CERT | CreateKeyFlags::NOEXPIRE;
    if key.passphrase.is_none() {
        flags |= CreateKeyFlags::NOPASSWD;
    }
    let passphrase = key.passphrase.unwrap_or_default();
    let answer =
        move |_: PassphraseRequest<'_>, out: &mut dyn Write| Ok(out.write_all(&passphrase)?);
    let generated = context
        .with_passphrase_provider(answer, |context| {
            context.create_key_with_flags(key.owner, key.algorithm, Duration::ZERO, flags)
        })
        .map_err(failed)?;
    generated.fingerprint().map(Fingerprint::new).map_err(|_| failed(Error::INV_VALUE))
}

/// Returns an armored public key, as the platform accepts it.
pub(crate) fn export(home: &Path, key: &Fingerprint) -> Result<Vec<u8>, GenerateError> {
    let failed =
        |source| GenerateError { operation: "export a key", home: home.to_owned(), source };
    let mut armored = Vec::new();
    let _call = begin_library_call();
    let mut context = gnupg::context(home).map_err(failed)?;
    context.export([key.as_str()], ExportMode::empty(), &mut armored).map_err(failed)?;
    if armored.is_empty() {
        return Err(failed(Error::NO_PUBKEY));
    }
    Ok(armored)
}
