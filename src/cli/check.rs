//! `check`: all that can be known without sending an action.
//!
//! It goes through what a start needs, in the same order and by the same code, but
//! does not stop at the first fault. It makes nothing and takes no lock, so that it
//! can be asked at any time.

use std::sync::Arc;

use jiff::Timestamp;
use slog::{Discard, Logger, o};

use super::failure::Failure;
use super::hand::Hand;
use super::installation::{self, Installation, machine_zone};
use super::next::in_zone;
use super::{key, output, run};
use crate::action::{Action, Signer};
use crate::api::{Api, FORM_BYTES_MAX, form_bytes};
use crate::chain::Chain;
use crate::clock::{Clock, SystemClock};
use crate::config::client::ClientConfig;
use crate::disk::guard::{self, Distrust};
use crate::exit::Exit;
use crate::job::Job;
use crate::plugin::Plugins;
use crate::spool::{Folder, Seen};

/// How far this clock may be from the API's before tokens come near to being refused, in seconds.
const SKEW_SECONDS_MAX: i64 = 30;
/// How many of a job's coming times are shown.
const TIMES: usize = 3;

/// Find out whether a start would do all of its work; nothing is sent or changed
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner check --offline")]
pub(crate) struct Check {
    /// Do not ask the API
    #[arg(long)]
    offline: bool,
}

/// What was found, as it is found.
#[derive(Debug, Default)]
struct Findings {
    worst: Option<Exit>,
}

impl Findings {
    /// Tells what is as it should be.
    fn good(&self, text: impl std::fmt::Display) -> Result<(), Failure> {
        output::answer(format!("ok    {text}"))
    }

    /// Tells what a start would live with.
    fn note(&self, text: impl std::fmt::Display) -> Result<(), Failure> {
        output::answer(format!("note  {text}"))
    }

    /// Tells a fault; the first one says how the program ends.
    fn fault(&mut self, exit: Exit, text: impl std::fmt::Display) -> Result<(), Failure> {
        self.worst.get_or_insert(exit);
        output::answer(format!("FAULT {text}"))
    }

    /// Tells what is wrong of something that failed; returns it if it did not.
    fn need<T>(&mut self, found: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(failure) => {
                for line in failure.lines() {
                    self.fault(failure.exit(), line)?;
                }
                Ok(None)
            }
        }
    }
}

impl Check {
    /// Looks at everything and tells what it finds.
    ///
    /// # Errors
    /// The configuration cannot be used, or an answer not be written.
    pub(crate) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let mut findings = Findings::default();
        findings.good(format!("configuration {}", installation.file.display()))?;
        folders(installation, &mut findings)?;
        let settings = Some(&installation.config.client);
        let client = findings.need(installation::client(settings))?;
        if let Some((client, path)) = &client {
            findings.good(format!("client configuration {}", path.display()))?;
            let key = key::open(settings, client, path);
            if let Some(signer) = findings.need(key)? {
                let signer: Arc<dyn Signer> = Arc::new(signer);
                self.key_and_api(installation, client, &signer, &mut findings)?;
            }
        }
        let client = client.map(|(client, _)| client);
        jobs(installation, client.as_ref(), &mut findings)?;
        spool(installation, &mut findings)?;
        Ok(findings.worst.unwrap_or(Exit::Done))
    }

    fn key_and_api(
        &self,
        installation: &Installation,
        client: &ClientConfig,
        signer: &Arc<dyn Signer>,
        findings: &mut Findings,
    ) -> Result<(), Failure> {
        // Whether the passphrase opens the key shows only when something is signed.
        let signed = signer.sign(b"mig-runner check").map_err(Failure::Sign);
        if findings.need(signed)?.is_none() {
            return Ok(());
        }
        findings.good(format!("key {}", signer.fingerprint()))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let log = Logger::root(Discard, o!());
        let connected = run::connect(installation, client, signer, &clock, &log);
        let Some(api) = findings.need(connected)? else { return Ok(()) };
        if self.offline {
            return findings.note(format!("API {} was not asked", client.api.url));
        }
        match api.dashboard() {
            Ok(seen) => {
                let online = seen.agents_online;
                let agents =
                    online.map_or(String::new(), |count| format!(", agents online: {count}"));
                findings.good(format!("API {}{agents}", client.api.url))?;
            }
            Err(error) => findings.fault(Exit::Unavailable, Chain(&error))?,
        }
        match api.skew() {
            Some(skew) if skew.as_secs().abs() > SKEW_SECONDS_MAX => findings.fault(
                Exit::Unavailable,
                format!("this clock is {} s ahead of the API's: set the time", skew.as_secs()),
            ),
            _ => Ok(()),
        }
    }
}

/// Looks at the folders of the installation.
fn folders(installation: &Installation, findings: &mut Findings) -> Result<(), Failure> {
    let owner = installation.owner()?;
    if guard::user() != owner {
        findings.note(format!(
            "the runner's user is {owner}, this is {}: files may look different to it",
            guard::user()
        ))?;
    }
    let faults: Vec<Distrust> = installation.distrust(owner)?;
    for fault in &faults {
        findings.fault(Exit::Permission, fault)?;
    }
    if faults.is_empty() {
        findings.good(format!("directory {}", installation.directory.display()))?;
    }
    Ok(())
}

/// Looks at every job, good and bad.
fn jobs(
    installation: &Installation,
    client: Option<&ClientConfig>,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let (zone, unknown) = machine_zone();
    if let Some(error) = unknown {
        findings.note(format!("schedules without a timezone are in UTC: {}", Chain(&error)))?;
    }
    let now = SystemClock.now();
    let mut jobs = installation.jobs(zone)?;
    let looked = jobs.look(now).map(drop).map_err(Failure::Disk);
    findings.need(looked)?;
    let plugins = Plugins::new(installation.plugins());
    for job in jobs.iter() {
        let faults = job_faults(job, client, &plugins);
        for fault in &faults {
            findings.fault(Exit::Data, format!("job {}: {fault}", job.name))?;
        }
        if faults.is_empty() {
            findings.good(described(job, now))?;
        }
    }
    for rejection in jobs.rejections() {
        for line in rejection.lines() {
            findings.fault(Exit::Data, format!("job {}: {line}", rejection.name()))?;
        }
    }
    Ok(())
}

/// Returns what would hold a job's runs up that its own files do not tell.
fn job_faults(job: &Job, client: Option<&ClientConfig>, plugins: &Plugins) -> Vec<String> {
    let mut faults = Vec::new();
    for plugin in &job.config.plugins {
        if let Err(error) = plugins.find(plugin) {
            faults.push(Chain(&error).to_string());
        }
    }
    if let (Some(client), Ok(mut action)) = (client, Action::parse(job.action.as_bytes())) {
        let target = client.expand(&action.target).to_owned();
        action.set_target(&target);
        action.signatures = None;
        if let Err(error) = action.check() {
            faults.push(format!("with its target macro expanded: {}", Chain(&error)));
        }
    }
    let bytes = form_bytes(&job.action);
    if bytes > FORM_BYTES_MAX {
        faults.push(format!(
            "its action is {bytes} bytes as a form and the API reads {FORM_BYTES_MAX}: ask for its operations to be compressed, or split it"
        ));
    }
    faults
}

/// Returns a job's schedule in words with its coming times.
fn described(job: &Job, now: Timestamp) -> String {
    let mut text = format!("job {}: {}", job.name, job.schedule.in_words());
    if job.config.paused {
        return text + ", paused";
    }
    let mut last = now;
    for number in 0..TIMES {
        let Some(next) = job.schedule.next_after(last, &job.zone) else { break };
        text.push_str(if number == 0 { "; next " } else { ", " });
        text.push_str(&in_zone(next, &job.zone));
        last = next;
    }
    text
}

/// Looks at what is in the spool: files that are no runs, and dead letters.
fn spool(installation: &Installation, findings: &mut Findings) -> Result<(), Failure> {
    let hand = match Hand::look(installation) {
        Err(Failure::NoSpool { path }) => {
            return findings
                .note(format!("spool {} will be made at the first start", path.display()));
        }
        looked => looked?,
    };
    let view = hand.view();
    let (mut entries, mut sound) = (0_usize, true);
    for folder in Folder::ALL.into_iter().filter(|folder| folder.is_active()) {
        for name in view.names(folder)? {
            entries += 1;
            let shown = format!("{folder}/{}", name.to_string_lossy());
            match view.see(folder, &name)? {
                Seen::Run(_) | Seen::Action { .. } | Seen::Gone => {}
                Seen::Newer(version) => {
                    sound = false;
                    findings.fault(
                        Exit::Data,
                        format!("{shown} is of version {version}: it needs a later mig-runner"),
                    )?;
                }
                Seen::Foreign => findings.note(format!("{shown} is no run: it is left alone"))?,
                Seen::Damaged { reason, .. } => {
                    sound = false;
                    findings.fault(Exit::Data, format!("{shown}: {reason}"))?;
                }
            }
        }
    }
    let dead = view.names(Folder::Invalid)?.len();
    if dead > 0 {
        findings.note(format!("{dead} in action/invalid: see `mig-runner status`"))?;
    }
    if sound {
        findings.good(format!("spool {}: {entries} not over", hand.layout.root().display()))?;
    }
    Ok(())
}
