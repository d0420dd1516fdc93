//! The jobs: what their files say, and what would hold their runs up beside that.

use jiff::Timestamp;

use super::{Chain, Clock, Failure, Findings, Installation, SystemClock, in_zone};
use crate::action::Action;
use crate::api::{FORM_BYTES_MAX, form_bytes};
use crate::cli::installation::machine_zone;
use crate::config::client::ClientConfig;
use crate::exit::Exit;
use crate::job::Job;
use crate::plugin::Plugins;

/// How many of a job's coming times are shown.
const TIMES: usize = 3;

/// Looks at every job, good and bad.
pub(super) fn check(
    installation: &Installation,
    client: Option<&ClientConfig>,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let (zone, unknown) = machine_zone();
    let now = SystemClock.now();
    let runners = installation.runners();
    if installation.disk().find(&runners)?.is_none() {
        findings.note(runners.display(), "will be made at the first start");
        return Ok(());
    }
    let mut jobs = installation.jobs(zone)?;
    let looked = jobs.scan(now).map(drop).map_err(Failure::Disk);
    findings.need(installation.runners().display(), looked);
    if let Some(error) = unknown
        && jobs.iter().any(|job| job.config.timezone.is_none())
    {
        let text = format!("schedules without a timezone are in UTC: {}", Chain(&error));
        findings.note(installation.runners().display(), text);
    }
    let plugins = Plugins::new(installation.plugins());
    for job in jobs.iter() {
        let of = installation.runners().join(job.name.as_str()).display().to_string();
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
        let text = "skipped: a job is a folder with entity.cfg and action.json";
        findings.note(runners.join(name).display(), text);
    }
    for rejection in jobs.rejections() {
        let of = installation.runners().join(&rejection.folder).display().to_string();
        for line in rejection.lines() {
            findings.fault(&of, Exit::Data, line);
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
            "its action is {bytes} bytes as a form and the API accepts {FORM_BYTES_MAX}: set want_compressed in its operations, or split it"
        ));
    }
    faults
}

/// Returns a job's schedule in words with its coming times.
fn described(job: &Job, now: Timestamp) -> String {
    let mut text = job.schedule.in_words();
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
