//! The key that signs: where its passphrase comes from, and the key itself.
//!
//! The passphrase is that of the configuration, else that of `$MIGPGPPASSPHRASE`,
//! else the first line of `passphrasefile`, else the first line of the credential
//! that systemd holds for the service.
//!
//! **Invariants.** A file with a passphrase that others can read is refused. Every
//! copy that is made here is wiped.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::env;
use super::failure::Failure;
use super::installation::Text;
use crate::config::client::ClientConfig;
use crate::config::runner::{ClientSettings, PassphraseSource};
use crate::pgp::{DeferredSigner, GpgSigner};

/// The largest file with a passphrase that is read.
const PASSPHRASE_BYTES_MAX: u64 = 64 * 1024;
/// The name of the passphrase among the service's credentials.
const CREDENTIAL: &str = "mig-runner.passphrase";

/// Opens the key that `client`, read from `path`, names; `settings` may have its passphrase.
///
/// # Errors
/// It is not there or of no use, or its passphrase cannot be read.
pub(crate) fn open(
    settings: Option<&ClientSettings>,
    client: &ClientConfig,
    path: &Path,
) -> Result<GpgSigner, Failure> {
    let (home, passphrase) = (home(client, path)?, passphrase(settings)?);
    Ok(GpgSigner::open(&home, &client.gpg.key_id, passphrase)?)
}

/// Returns the key that [`open`] opens, to be looked for when something is signed.
///
/// # Errors
/// Nothing says where it is, or its passphrase cannot be read.
pub(crate) fn later(
    settings: Option<&ClientSettings>,
    client: &ClientConfig,
    path: &Path,
) -> Result<DeferredSigner, Failure> {
    let (home, passphrase) = (home(client, path)?, passphrase(settings)?);
    Ok(DeferredSigner::new(&home, &client.gpg.key_id, passphrase))
}

fn home(client: &ClientConfig, path: &Path) -> Result<PathBuf, Failure> {
    match &client.gpg.home {
        Some(home) => Ok(home.clone()),
        None => env::gnupg_home().ok_or_else(|| Failure::NoGnupgHome { path: path.to_owned() }),
    }
}

/// Returns the passphrase from the first place that has one.
fn passphrase(settings: Option<&ClientSettings>) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let source = settings.and_then(|settings| settings.passphrase.as_ref());
    if let Some(PassphraseSource::Here(secret)) = source {
        return Ok(Some(Zeroizing::new(secret.expose().as_bytes().to_vec())));
    }
    if let Some(passphrase) = env::passphrase() {
        return Ok(Some(passphrase));
    }
    if let Some(PassphraseSource::File(path)) = source {
        let text = Text::read(path, PASSPHRASE_BYTES_MAX).map_err(Failure::ConfigFile)?;
        text.check_secret()?;
        return Ok(Some(first_line(&text.bytes)));
    }
    let Some(folder) = env::credentials() else { return Ok(None) };
    // Whom systemd lets read it is systemd's care, and its modes are its own.
    match Text::read(&folder.join(CREDENTIAL), PASSPHRASE_BYTES_MAX) {
        Ok(text) => Ok(Some(first_line(&text.bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::ConfigFile(error)),
    }
}

fn first_line(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_a_line_without_its_end() {
        for (text, line) in
            [("a b \n", "a b "), ("a\r\nb", "a"), ("a", "a"), ("", ""), ("\n\n", "")]
        {
            assert_eq!(first_line(text.as_bytes()).as_slice(), line.as_bytes(), "{text:?}");
        }
    }
}
