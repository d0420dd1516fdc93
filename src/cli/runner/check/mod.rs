//! `check`: finds every fault that can be found without sending an action.
//!
//! It makes the same checks as the start of the daemon, in the same order, but does not stop at the
//! first fault. It writes nothing and takes no lock, so it can run at any time.

mod findings;
mod jobs;
mod spool;

use std::path::Path;
use std::sync::Arc;

use slog::{Discard, Logger, o};

use super::installation::{self, Installation};
use super::{key, run, trusted};
use crate::action::Signer;
use crate::api::{Api, ApiError, Client, Route};
use crate::chain::Chain;
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::config::client::ClientConfig;
use crate::disk::trust::{self, Distrust};
use crate::disk::trusted_paths::{self, faults};
use crate::disk::{Context, DiskError, FolderLock, check_folder, check_writable};
use crate::exit::Exit;
use crate::logging;
use crate::names::ActionId;
use findings::Findings;

/// Maximum difference between this clock and the API's, in seconds. Beyond it, tokens may be
/// rejected.
const SKEW_SECONDS_MAX: i64 = 30;
/// The id of an action that no platform has: real ids are derived from the time.
const NO_ACTION: ActionId = ActionId(1);

/// Check the configuration, key, API, jobs and spool; sends nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner check --offline")]
pub(super) struct Check {
    /// Do not contact the API
    #[arg(long)]
    offline: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let mut findings = Findings::default();
        check_outputs(installation, &mut findings);
        let permissions = check_permissions(installation, &mut findings);
        findings.need(installation.file.display(), permissions);
        let settings = Some(&installation.config.client);
        let client = findings.need("client configuration", installation::client(settings));
        if let Some((client, path)) = &client {
            findings.good(path.display(), "client configuration valid");
            let permissions = check_client_permissions(installation, (client, path), &mut findings);
            // GnuPG runs programs that the files in its home name.
            if findings.need(path.display(), permissions) == Some(true) {
                let key = key::open(settings, client, path);
                if let Some(signer) = findings.need(path.display(), key) {
                    let signer: Arc<dyn Signer> = Arc::new(signer);
                    self.check_key_and_api(installation, (client, path), &signer, &mut findings);
                }
            } else {
                findings.note(path.display(), "key and API not checked: correct the faults first");
            }
        }
        let client = client.map(|(client, _)| client);
        let jobs = jobs::check(installation, client.as_ref(), &mut findings);
        findings.need(installation.runners().display(), jobs);
        let spool = spool::check(installation, &mut findings);
        findings.need(installation.layout.root().display(), spool);
        findings.print(self.json)
    }

    fn check_key_and_api(
        &self,
        installation: &Installation,
        (client, path): (&ClientConfig, &Path),
        signer: &Arc<dyn Signer>,
        findings: &mut Findings,
    ) {
        // Only signing shows whether the passphrase unlocks the key.
        let signed = signer.sign(b"mig-runner check");
        if findings.need(path.display(), signed).is_none() {
            return;
        }
        findings.good(path.display(), format!("key {} can sign", signer.fingerprint()));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let log = Logger::root(Discard, o!());
        let url = &client.api.url;
        let connected = run::connect(installation, client, signer, &clock, &log);
        let Some(api) = findings.need(url, connected) else { return };
        if let Some(exposure) = api.exposure() {
            findings.note(url, exposure);
        }
        if !matches!(api.route(), Route::Direct) {
            findings.good(url, api.route());
        }
        if self.offline {
            return findings.note(url, "skipped (--offline)");
        }
        check_api(&api, url, findings);
        match api.skew() {
            Some(skew) if skew.as_secs().abs() > SKEW_SECONDS_MAX => {
                let side = if skew.is_negative() { "behind" } else { "ahead of" };
                let seconds = skew.as_secs().abs();
                let text = format!("this clock is {seconds} s {side} the API's: set the time");
                findings.fault(url, Exit::Unavailable, text);
            }
            Some(skew) => {
                let seconds = skew.as_secs();
                findings.good(url, format!("clocks differ by {seconds} s"));
            }
            None => {}
        }
    }
}

/// Sends each kind of request that the runner makes, except for posting an action.
fn check_api(api: &Client, url: &str, findings: &mut Findings) {
    let fault = |findings: &mut Findings, what: &str, error: &ApiError| {
        findings.fault(url, Exit::Unavailable, format!("{what}: {}", Chain(error)));
    };
    if let Err(error) = api.action(NO_ACTION) {
        // A second request would fail in the same way, possibly only after a timeout.
        return fault(findings, "cannot read actions", &error);
    }
    match api.commands(NO_ACTION, 0, 1, &mut |_| Ok(())) {
        Err(error) => fault(findings, "cannot search for results", &error),
        Ok(_) => findings.good(url, "the key may read actions and search for results"),
    }
    match api.dashboard() {
        Ok(dashboard) => {
            if let Some(count) = dashboard.agents_online {
                findings.good(url, format!("agents online: {count}"));
            }
        }
        Err(error) => findings.note(url, format!("cannot read the dashboard: {}", Chain(&error))),
    }
    findings.note(url, "not checked: whether the key may send actions");
}

/// Checks that the log and the metrics can be written. These are the only faults of a configuration
/// that parsing does not find.
fn check_outputs(installation: &Installation, findings: &mut Findings) {
    let (of, config) = (installation.file.display(), &installation.config);
    let log = findings.need(&of, logging::check(&config.logging));
    match config.metrics.as_deref().map_or(Ok(None), check_metrics) {
        Err(error) => {
            let text = format!("textfile in [metrics]: {}", Chain(&error));
            findings.fault(&of, Exit::CannotCreate, text);
        }
        Ok(Some(fault)) => {
            let text = format!("textfile in [metrics]: {fault}");
            findings.fault(&of, Exit::Permission, text);
        }
        Ok(None) if log.is_some() => findings.good(&of, "configuration valid"),
        Ok(None) => {}
    }
}

/// Checks that the metrics can be written, and that no other user can replace their folder.
fn check_metrics(path: &Path) -> Result<Option<Distrust>, DiskError> {
    check_writable(path).context("write", path)?;
    check_folder(path)
}

/// Checks that no other user can write to the folders of the installation.
fn check_permissions(installation: &Installation, findings: &mut Findings) -> Result<(), Failure> {
    let (owner, user) = (installation.owner()?, trust::own_user());
    let directory = installation.directory.display();
    if user != owner {
        let text = format!(
            "checked as user {user}; the runner runs as user {owner}, whose access may differ"
        );
        findings.note(&directory, text);
    }
    let faults = faults(&installation.disk(), &trusted::installation_paths(installation), owner)?;
    for fault in &faults {
        findings.fault(&directory, Exit::Permission, fault);
    }
    if faults.is_empty() {
        findings.good(&directory, "not writable by other users");
    }
    let (disk, runners) = (installation.disk(), installation.runners());
    if user == owner && disk.find(&runners)?.is_some() {
        findings.need(&directory, FolderLock::check(&disk, &runners));
    }
    Ok(())
}

/// Checks that no other user can change the files that the client's configuration names; returns
/// whether the key may be used, which depends on the runner's configuration as well.
fn check_client_permissions(
    installation: &Installation,
    (client, path): (&ClientConfig, &Path),
    findings: &mut Findings,
) -> Result<bool, Failure> {
    let (disk, owner) = (installation.disk(), installation.owner()?);
    let settings = &installation.config.client;
    let mut faults = faults(&disk, &trusted::passphrase_path(settings), owner)?;
    // Without a path in the runner's configuration, it is in the home of the caller, whose files it
    // names.
    let user = if settings.path.is_some() { owner } else { trust::own_user() };
    let [file, home] = trusted::key_paths(client, path)?;
    let named = [vec![file], trusted::api_paths(client)].concat();
    let mut more = trusted_paths::faults(&disk, &named, user)?;
    let user = if client.gpg.home.is_some() { user } else { trust::own_user() };
    more.extend(home.faults(&disk, user)?);
    more.into_iter().for_each(|fault| trusted_paths::add(&mut faults, fault));
    for fault in &faults {
        findings.fault(path.display(), Exit::Permission, fault);
    }
    let config = trusted::configuration(installation).faults(&disk, owner)?;
    Ok(faults.is_empty() && config.is_empty())
}
