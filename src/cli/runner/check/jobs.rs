//! Checks each job: its own files, and everything else that would prevent its runs.

use jiff::Timestamp;

use super::findings::Findings;
use crate::action::Action;
use crate::api::{FORM_BYTES_MAX, form_bytes};
use crate::chain::Chain;
use crate::cli::failure::Failure;
use crate::cli::runner::installation::{Installation, machine_zone};
use crate::cli::runner::next::in_zone;
use crate::clock::{Clock, SystemClock};
use crate::config::client::ClientConfig;
use crate::exit::Exit;
use crate::job::Job;
use crate::plugin::Plugins;

/// Number of a job's next times that are shown.
const TIMES_SHOWN: usize = 3;

/// Checks all jobs, valid and invalid.
pub(super) fn check(
    installation: &Installation,
    client: Option<&ClientConfig>,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let (zone, unknown) = machine_zone();
    let now = SystemClock.now();
    let runners = installation.runners();
    if installation.disk().find(&runners)?.is_none() {
        findings.note(runners.display(), "does not exist; created at the first start");
        return Ok(());
    }
    let mut jobs = installation.jobs(zone)?;
    let scanned = jobs.scan(now).map(drop);
    findings.need(runners.display(), scanned);
    if let Some(error) = unknown
        && jobs.iter().any(|job| !job.config.has_timezone)
    {
        let text = format!("UTC is used for schedules without a timezone: {}", Chain(&error));
        findings.note(runners.display(), text);
    }
    let plugins = Plugins::of(installation.owner()?, installation.plugins());
    for job in jobs.iter() {
        let of = runners.join(job.name.as_str()).display().to_string();
        if let Some(warning) = &job.warning {
            findings.note(&of, warning);
        }
        let faults = job_faults(job, client, &plugins);
        for fault in &faults {
            findings.fault(&of, Exit::Data, fault);
        }
        if faults.is_empty() {
            findings.good(of, described(job, now));
        }
    }
    for name in jobs.skipped() {
        let text = "ignored: a job is a folder with entity.cfg and action.json";
        findings.note(runners.join(name).display(), text);
    }
    for rejection in jobs.rejections() {
        let of = runners.join(&rejection.folder).display().to_string();
        for line in rejection.lines() {
            findings.fault(&of, Exit::Data, line);
        }
    }
    Ok(())
}

/// Returns the faults of a job that are not in its own files, or that only the complete action
/// shows.
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
            faults.push(format!("with the target macro expanded: {}", Chain(&error)));
        }
    }
    let bytes = form_bytes(&job.action);
    if bytes > FORM_BYTES_MAX {
        faults.push(format!(
            "the encoded action has {bytes} bytes, but the API accepts at most {FORM_BYTES_MAX}: enable compression of its operations, or split it"
        ));
    }
    faults
}

/// Returns a job's schedule in words, and its next times.
fn described(job: &Job, now: Timestamp) -> String {
    let mut text = job.schedule.in_words();
    if job.config.paused {
        return text + ", paused";
    }
    let mut last = now;
    for number in 0..TIMES_SHOWN {
        let Some(next) = job.schedule.next_after(last, &job.zone) else { break };
        text.push_str(if number == 0 { "; next " } else { ", " });
        text.push_str(&in_zone(next, &job.zone));
        last = next;
    }
    text
}
