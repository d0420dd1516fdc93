//! The signing key and its passphrase.
//!
//! The passphrase comes from the first of these sources that has one: the configuration,
//! `$MIGPGPPASSPHRASE`, the first line of `passphrasefile`, and the first line of the credential
//! that systemd provides to the service.
//!
//! **Invariants.** A passphrase file that other users can read is refused. No key is opened in a
//! GnuPG home that other users can change, because GnuPG runs programs that the files in it name.
//! Every copy of a passphrase made here is wiped from memory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use slog::Logger;
use zeroize::Zeroizing;

use super::trusted;
use crate::cli::env;
use crate::cli::failure::{Explain, Failure};
use crate::cli::input::{self, InputError, InputFile};
use crate::cli::workspace::Workspace;
use crate::clock::Clock;
use crate::config::client::ClientConfig;
use crate::config::runner::{ClientSettings, PassphraseSource};
use crate::disk::trust::{self, Distrust};
use crate::exit::Exit;
use crate::pgp::{DeferredSigner, GpgSigner, KeyError};

/// Size limit of a passphrase file, in bytes.
const PASSPHRASE_BYTES_MAX: u64 = 64 * 1024;
/// The name of the passphrase among the service's credentials.
const CREDENTIAL: &str = "mig-runner.passphrase";

#[derive(Debug, thiserror::Error)]
#[error("cannot find the signing key: HOME is not set; set home in [gpg] of {}", path.display())]
pub(super) struct NoGnupgHome {
    path: PathBuf,
}

impl Explain for NoGnupgHome {
    fn exit(&self) -> Exit {
        Exit::Config
    }
}

/// A file that others can read and that contains more than a passphrase: it may be any file, so that
/// no command that changes it is named.
#[derive(Debug, thiserror::Error)]
#[error("other users can read {}, which has more than one line: set passphrasefile to a file of its own, with only the passphrase", path.display())]
struct NotPassphrase {
    path: PathBuf,
}

impl Explain for NotPassphrase {
    fn exit(&self) -> Exit {
        Exit::Permission
    }
}

impl Explain for KeyError {
    fn exit(&self) -> Exit {
        match self {
            // Failures of GnuPG itself may be temporary; the service manager should restart us.
            KeyError::Shortage { .. }
            | KeyError::Hung { .. }
            | KeyError::Worker { .. }
            | KeyError::GnuPg { .. } => Exit::System,
            KeyError::Configuration(fault) if fault.is_transient() => Exit::System,
            _ => Exit::Config,
        }
    }
}

/// Opens the key that the client configuration names; `path` is the file of that configuration.
///
/// # Errors
/// A `KeyError` if the key does not exist or cannot be used.
pub(super) fn open(
    settings: Option<&ClientSettings>,
    client: &ClientConfig,
    path: &Path,
) -> Result<GpgSigner, Failure> {
    let (home, passphrase) = (trusted_home(client, path)?, passphrase(settings)?);
    Ok(GpgSigner::open(&home, &client.gpg.key_id, passphrase)?)
}

/// Returns a signer that opens the key of [`open`] for its first signature, and keeps it unlocked.
pub(super) fn later(
    settings: Option<&ClientSettings>,
    client: &ClientConfig,
    path: &Path,
    clock: Arc<dyn Clock>,
    log: Logger,
) -> Result<DeferredSigner, Failure> {
    let (home, passphrase) = (trusted_home(client, path)?, passphrase(settings)?);
    Ok(DeferredSigner::new(&home, &client.gpg.key_id, passphrase, clock, log))
}

/// Returns the GnuPG home, after checking that no other user can change it or the configuration that
/// names it.
fn trusted_home(client: &ClientConfig, path: &Path) -> Result<PathBuf, Failure> {
    input::check_paths(&trusted::key_paths(client, path)?, trust::own_user())?;
    home(client, path)
}

/// Returns the GnuPG home, which other users may be able to change.
pub(super) fn home(client: &ClientConfig, path: &Path) -> Result<PathBuf, Failure> {
    let home = match &client.gpg.home {
        Some(home) => home.clone(),
        None => env::gnupg_home().ok_or_else(|| NoGnupgHome { path: path.to_owned() })?,
    };
    // GnuPG runs programs that the files in its home name.
    Workspace::enter_unchanged(&[&home])?;
    Ok(home)
}

fn passphrase(settings: Option<&ClientSettings>) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let source = settings.and_then(|settings| settings.passphrase.as_ref());
    if let Some(PassphraseSource::Inline(secret)) = source {
        return Ok(Some(Zeroizing::new(secret.expose().as_bytes().to_vec())));
    }
    if let Some(passphrase) = env::passphrase() {
        return Ok(Some(passphrase));
    }
    if let Some(PassphraseSource::File(path)) = source {
        let text =
            InputFile::read_configured(path, PASSPHRASE_BYTES_MAX).map_err(InputError::Config)?;
        match text.secret_fault()? {
            Some(Distrust::Readable { .. }) if !is_one_line(&text.bytes) => {
                return Err(NotPassphrase { path: path.clone() }.into());
            }
            fault => input::refuse(fault.into_iter().collect())?,
        }
        return Ok(Some(first_line(&text.bytes)));
    }
    let Some(folder) = env::credentials() else { return Ok(None) };
    // Its permissions are not checked: systemd controls who can read it, and sets its own modes.
    match InputFile::read_configured(&folder.join(CREDENTIAL), PASSPHRASE_BYTES_MAX) {
        Ok(text) => Ok(Some(first_line(&text.bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(InputError::Config(error).into()),
    }
}

fn is_one_line(text: &[u8]) -> bool {
    !text.strip_suffix(b"\n").unwrap_or(text).contains(&b'\n')
}

fn first_line(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_with_one_line_is_a_passphrase_file() {
        assert!(is_one_line(b"x") && is_one_line(b"x\n") && is_one_line(b""));
        assert!(!is_one_line(b"x\ny") && !is_one_line(b"root:x:0\nbin:x:1\n"));
    }

    #[test]
    fn passphrase_is_first_line_without_its_end() {
        for (text, line) in
            [("a b \n", "a b "), ("a\r\nb", "a"), ("a", "a"), ("", ""), ("\n\n", "")]
        {
            assert_eq!(first_line(text.as_bytes()).as_slice(), line.as_bytes(), "{text:?}");
        }
    }
}
