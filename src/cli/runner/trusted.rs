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
use crate::config::runner::{ClientSettings, PassphraseSource, RunnerConfig};
use crate::disk::trusted_paths::{Content, TrustedPath, faults};

/// Returns the runner's own configuration and folders.
pub(super) fn installation_paths(installation: &Installation) -> Vec<TrustedPath> {
    let mut paths = vec![configuration(installation)];
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

/// Returns the runner's own configuration.
pub(super) fn configuration(installation: &Installation) -> TrustedPath {
    TrustedPath::new(&installation.file, config_content(&installation.config))
}

/// Returns what the runner's configuration contains.
pub(super) fn config_content(config: &RunnerConfig) -> Content {
    secret_if(matches!(config.client.passphrase, Some(PassphraseSource::Inline(_))))
}

/// Returns the files with which the key is opened: the client's configuration, which is in `file`, and
/// the GnuPG home.
pub(super) fn key_paths(client: &ClientConfig, file: &Path) -> Result<[TrustedPath; 2], Failure> {
    Ok([
        TrustedPath::new(file, secret_if(client.gpg.api_key.is_some())),
        TrustedPath::new(key::home(client, file)?, Content::Tree),
    ])
}

/// Returns the client's configuration, which is in `file`, and the files that it and `settings`
/// name.
pub(super) fn client_paths(
    settings: &ClientSettings,
    client: &ClientConfig,
    file: &Path,
) -> Result<Vec<TrustedPath>, Failure> {
    let mut paths = key_paths(client, file)?.to_vec();
    paths.extend(passphrase_path(settings));
    paths.extend(api_paths(client));
    Ok(paths)
}

/// Returns the passphrase file that the runner's configuration names. Whether others can read it is
/// checked with its content, when it is read: see `key`.
pub(super) fn passphrase_path(settings: &ClientSettings) -> Vec<TrustedPath> {
    match &settings.passphrase {
        Some(PassphraseSource::File(path)) => vec![TrustedPath::new(path, Content::Public)],
        _ => Vec::new(),
    }
}

/// Returns the certificates and the key that the client's configuration names.
pub(super) fn api_paths(client: &ClientConfig) -> Vec<TrustedPath> {
    let (api, mut paths) = (&client.api, Vec::new());
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
    paths
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
