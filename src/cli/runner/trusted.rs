//! The files and folders that a runner depends on, and the check that no other user can change
//! them.
//!
//! Who can change one of them can run actions on the fleet, read results, or receive the
//! credentials. Job files are not among them: each scan checks those, and skips only the job.

use std::path::Path;

use super::installation::Installation;
use super::key;
use crate::cli::failure::Failure;
use crate::cli::input;
use crate::config::client::ClientConfig;
use crate::config::runner::{ClientSettings, PassphraseSource};
use crate::disk::trusted_paths::{Content, TrustedPath, faults};

/// Returns the runner's own configuration and folders.
pub(super) fn installation_paths(installation: &Installation) -> Vec<TrustedPath> {
    let passphrase = installation.config.client.passphrase.as_ref();
    let has_secret = matches!(passphrase, Some(PassphraseSource::Inline(_)));
    let mut paths = vec![TrustedPath::new(&installation.file, secret_if(has_secret))];
    let folders = [
        installation.directory.clone(),
        installation.runners(),
        installation.results(),
        installation.configured_spool().to_owned(),
    ];
    paths.extend(folders.map(|folder| TrustedPath::new(folder, Content::Public)));
    // A plugin may load any file beside it.
    paths.push(TrustedPath::new(installation.plugins(), Content::Tree));
    paths
}

/// Returns the client's configuration, which is in `file`, and the files that it and `settings`
/// name.
pub(super) fn client_paths(
    settings: &ClientSettings,
    client: &ClientConfig,
    file: &Path,
) -> Result<Vec<TrustedPath>, Failure> {
    let api = &client.api;
    let mut paths = vec![
        TrustedPath::new(file, secret_if(client.gpg.api_key.is_some())),
        TrustedPath::new(key::home(client, file)?, Content::Tree),
    ];
    if let Some(PassphraseSource::File(path)) = &settings.passphrase {
        paths.push(TrustedPath::new(path, Content::Secret));
    }
    if let Some(path) = &api.ca_cert {
        paths.push(TrustedPath::new(path, Content::Public));
    }
    if let Some(path) = &api.client_cert {
        // Without a file of its own, the key is in the same file.
        let content = if api.client_key.is_some() { Content::Public } else { Content::Key };
        paths.push(TrustedPath::new(path, content));
    }
    if let Some(path) = &api.client_key {
        paths.push(TrustedPath::new(path, Content::Key));
    }
    Ok(paths)
}

fn secret_if(has_secret: bool) -> Content {
    if has_secret { Content::Secret } else { Content::Public }
}

/// Fails if a user other than `user` and root can change one of the paths, or read a secret.
pub(super) fn check(
    installation: &Installation,
    paths: &[TrustedPath],
    user: u32,
) -> Result<(), Failure> {
    input::refuse(faults(&installation.disk(), paths, user)?)
}
