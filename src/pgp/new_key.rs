//! Generates and exports keys, for the one-host platform and for tests.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::calls::{Export, Generate, Passphrase};
use super::fingerprint::Fingerprint;
use super::gnupg::LibraryError;
use super::public_key::KEY_TIMEOUT;
use super::worker;
use super::worker_error::WorkerError;

/// Time limit for generating a key on a slow machine.
const GENERATE_TIMEOUT: Duration = Duration::from_secs(180);

/// A key could not be generated or exported.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} in the GnuPG home {}", home.display())]
pub(crate) struct GenerateError {
    operation: &'static str,
    home: PathBuf,
    /// An error of GnuPG, or of the process that should have used it.
    source: Box<dyn Error + Send + Sync>,
}

/// Returns the value of an answer, or why there is none.
fn value<T>(
    answer: Result<Result<T, LibraryError>, WorkerError>,
) -> Result<T, Box<dyn Error + Send + Sync>> {
    Ok(answer?.map_err(|error| error.0)?)
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
    let call = Generate {
        home: home.to_owned(),
        owner: key.owner.to_owned(),
        algorithm: key.algorithm.to_owned(),
        passphrase: key.passphrase.map(Passphrase),
    };
    value(worker::call(call, GENERATE_TIMEOUT)).map_err(|source| GenerateError {
        operation: "generate a key",
        home: home.to_owned(),
        source,
    })
}

/// Returns an armored public key, as the platform accepts it.
pub(crate) fn export(home: &Path, key: &Fingerprint) -> Result<Vec<u8>, GenerateError> {
    let call = Export { home: home.to_owned(), key: key.clone() };
    let exported =
        value(worker::call(call, KEY_TIMEOUT)).and_then(|armored| match armored.0.is_empty() {
            true => Err(gpgme::Error::NO_PUBKEY.into()),
            false => Ok(armored.0),
        });
    exported.map_err(|source| GenerateError {
        operation: "export a key",
        home: home.to_owned(),
        source,
    })
}
