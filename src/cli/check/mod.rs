//! `check`: all that can be known without sending an action.
//!
//! It goes through what a start needs, in the same order and by the same code, but
//! does not stop at the first fault. It makes nothing and takes no lock, so that it
//! can be asked at any time.

mod findings;
mod jobs;
mod spool;

use std::sync::Arc;

use slog::{Discard, Logger, o};

use super::failure::Failure;
use super::hand::Hand;
use super::installation::{self, Installation};
use super::next::in_zone;
use super::{key, run};
use crate::action::Signer;
use crate::api::{Api, ApiError, Client, Route};
use crate::chain::Chain;
use crate::clock::{Clock, SystemClock};
use crate::config::client::ClientConfig;
use crate::disk::trust::{self, Distrust};
use crate::disk::{Context, check_writable};
use crate::exit::Exit;
use crate::logging;
use crate::names::ActionId;
use findings::Findings;

/// How far this clock may be from the API's before tokens come near to being refused, in seconds.
const SKEW_SECONDS_MAX: i64 = 30;
/// An action that no platform has: ids are made of the time.
const NO_ACTION: ActionId = ActionId(1);

/// Find out whether a start would do all of its work; sends nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner check --offline")]
pub(crate) struct Check {
    /// Do not ask the API
    #[arg(long)]
    offline: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

impl Check {
    /// Looks at everything and tells what it finds.
    ///
    /// # Errors
    /// The configuration cannot be used, or an answer not be written.
    pub(crate) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let mut findings = Findings::default();
        outlets(installation, &mut findings);
        folders(installation, &mut findings)?;
        let settings = Some(&installation.config.client);
        let client = findings.need("client configuration", installation::client(settings));
        if let Some((client, path)) = &client {
            findings.good(path.display(), "the client configuration has no fault");
            let key = key::open(settings, client, path);
            if let Some(signer) = findings.need(path.display(), key) {
                let signer: Arc<dyn Signer> = Arc::new(signer);
                self.key_and_api(installation, (client, path), &signer, &mut findings);
            }
        }
        let client = client.map(|(client, _)| client);
        jobs::check(installation, client.as_ref(), &mut findings)?;
        spool::check(installation, &mut findings)?;
        findings.tell(self.json)
    }

    fn key_and_api(
        &self,
        installation: &Installation,
        (client, path): (&ClientConfig, &std::path::Path),
        signer: &Arc<dyn Signer>,
        findings: &mut Findings,
    ) {
        // Whether the passphrase opens the key shows only when something is signed.
        let signed = signer.sign(b"mig-runner check").map_err(Failure::Sign);
        if findings.need(path.display(), signed).is_none() {
            return;
        }
        findings.good(path.display(), format!("key {} signs", signer.fingerprint()));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let log = Logger::root(Discard, o!());
        let url = &client.api.url;
        let connected = run::connect(installation, client, signer, &clock, &log);
        let Some(api) = findings.need(url, connected) else { return };
        if !matches!(api.route(), Route::Direct) {
            findings.good(url, api.route());
        }
        if self.offline {
            return findings.note(url, "was not asked");
        }
        ask(&api, url, findings);
        match api.skew() {
            Some(skew) if skew.as_secs().abs() > SKEW_SECONDS_MAX => {
                let side = if skew.is_negative() { "behind" } else { "ahead of" };
                let seconds = skew.as_secs().abs();
                let text = format!("this clock is {seconds} s {side} the API's: set the time");
                findings.fault(url, Exit::Unavailable, text);
            }
            Some(skew) => findings.good(url, format!("this clock differs by {} s", skew.as_secs())),
            None => {}
        }
    }
}

/// Asks for all that a runner asks for but to take an action.
fn ask(api: &Client, url: &str, findings: &mut Findings) {
    let refuse = |findings: &mut Findings, what: &str, error: &ApiError| {
        findings.fault(url, Exit::Unavailable, format!("{what}: {}", Chain(error)));
    };
    if let Err(error) = api.action(NO_ACTION) {
        // The next answer would be the same, and may be as long in coming.
        return refuse(findings, "cannot read actions", &error);
    }
    match api.commands(NO_ACTION, 0, 1, &mut |_| Ok(())) {
        Err(error) => refuse(findings, "cannot search for results", &error),
        Ok(_) => findings.good(url, "the key may read actions and search for results"),
    }
    match api.dashboard() {
        Ok(seen) => {
            if let Some(count) = seen.agents_online {
                findings.good(url, format!("agents online: {count}"));
            }
        }
        Err(error) => findings.note(url, format!("no dashboard: {}", Chain(&error))),
    }
    findings.note(url, "whether the key may send actions shows only when one is sent");
}

/// Looks at where the log and the metrics go, which is all that can be wrong with the configuration
/// once it has been read.
fn outlets(installation: &Installation, findings: &mut Findings) {
    let (of, config) = (installation.file.display(), &installation.config);
    let log = findings.need(&of, logging::check(&config.logging).map_err(Failure::Log));
    let metrics = match &config.metrics {
        Some(path) => check_writable(path).context("write", path),
        None => Ok(()),
    };
    match metrics {
        Err(error) => {
            let text = format!("textfile in [metrics]: {}", Chain(&error));
            findings.fault(&of, Exit::CannotCreate, text);
        }
        Ok(()) if log.is_some() => findings.good(&of, "the configuration has no fault"),
        Ok(()) => {}
    }
}

/// Looks at the folders of the installation.
fn folders(installation: &Installation, findings: &mut Findings) -> Result<(), Failure> {
    let owner = installation.owner()?;
    let directory = installation.directory.display();
    if trust::own_user() != owner {
        findings.note(
            directory,
            format!(
                "the runner's user is {owner}, this is {}: files may look different to it",
                trust::own_user()
            ),
        );
    }
    let faults: Vec<Distrust> = installation.distrust(owner)?;
    let directory = installation.directory.display();
    for fault in &faults {
        findings.fault(&directory, Exit::Permission, fault);
    }
    if faults.is_empty() {
        findings.good(directory, "nobody else can write it");
    }
    Ok(())
}
