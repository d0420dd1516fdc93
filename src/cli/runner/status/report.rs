//! The contents of the status, in the form of its JSON output.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::attempts::Attempts;
use super::entries::{Entries, FolderReport, UnreadableRecords};
use super::given_up::{self, GivenUp};
use super::job::JobReport;
use super::superseded;
use super::waiting::{self, WaitingEntry};
use crate::chain::Chain;
use crate::cli::failure::Failure;
use crate::cli::runner::installation::{Installation, machine_zone};
use crate::cli::runner::spool_access::SpoolAccess;
use crate::clock::after;
use crate::daemon::has_room;
use crate::disk::DiskError;
use crate::invocation::Program;
use crate::job::folders::Jobs;
use crate::spool::{Folder, RetryTime};

/// Precision of the start time of a process, as the kernel reports it.
const START_PRECISION: Duration = Duration::from_secs(2);

const DEGRADED: &str = "degraded: disk operations fail, see the runner's log; the runner continues by itself \
     when they succeed again";
const NO_ROOM: &str =
    "the disk of the spool is nearly full: no new actions are posted until there is space";

#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The process id of the runner, if it is running.
    pub(super) process: Option<u32>,
    /// The start time of that process.
    pub(super) since: Option<Timestamp>,
    pub(super) config: String,
    /// Whether disk operations of the runner fail.
    pub(super) degraded: bool,
    /// Whether the configuration was changed after the runner started, and is not in effect yet.
    pub(super) config_changed: bool,
    pub(super) directory: String,
    /// The failures and next attempt of the API; set while the API, the network or the key is
    /// unavailable.
    pub(super) api: Option<RetryTime>,
    /// Why retry times are unknown.
    pub(super) attempts_unknown: Option<String>,
    /// What needs the operator's attention.
    pub(super) attention: Vec<String>,
    pub(super) jobs: Vec<JobReport>,
    pub(super) spool: Vec<FolderReport>,
    /// Unfinished runs and dead letters.
    pub(super) waiting: Vec<WaitingEntry>,
    /// The number of further unfinished runs and dead letters, which were not read.
    pub(super) more: usize,
    /// Finished runs whose fetch or deliveries were given up, the newest first.
    pub(super) given_up: Vec<GivenUp>,
    /// The number of superseded runs in the spool.
    pub(super) superseded: usize,
    /// The time of this report.
    #[serde(skip)]
    pub(super) now: Timestamp,
}

/// Returns the value of a success, or adds the failure to `faults`: the report shows all the rest.
fn noted<T>(read: Result<T, DiskError>, faults: &mut Vec<String>) -> Option<T> {
    read.map_err(|error| faults.push(Chain(&error).to_string())).ok()
}

impl Report {
    pub(super) fn read(installation: &Installation, now: Timestamp) -> Result<Report, Failure> {
        let spool = SpoolAccess::for_reading(installation)?;
        let mut jobs = installation.jobs(machine_zone().0)?;
        // The changes do not matter, because the table was empty before.
        let unlisted = jobs.scan(now).map(drop).err();
        let mut faults = Vec::new();
        let process = noted(spool.disk.lock_holder(&spool.layout.lock()), &mut faults).flatten();
        let attempts = Attempts::read(&spool, process);
        let mut report = Report::of(&spool, &jobs, unlisted.as_ref(), attempts, now)?;
        let since = process.and_then(|process| spool.disk.process_start(process));
        let changed = noted(installation.changed(), &mut faults).flatten();
        report.config_changed = match (since, changed) {
            (Some(since), Some(changed)) => changed > after(since, START_PRECISION),
            _ => false,
        };
        (report.process, report.since) = (process, since);
        // A runner whose disk operations fail locks another file, because on a full disk it could
        // not write one.
        let degraded = || spool.disk.lock_holder(&spool.layout.degraded());
        report.degraded = process.is_some() && noted(degraded(), &mut faults).flatten() == process;
        if report.degraded {
            report.attention.push(DEGRADED.to_owned());
        }
        let space = noted(spool.disk.free_space(spool.layout.root()), &mut faults);
        if space.is_some_and(|space| !has_room(space)) {
            report.attention.push(NO_ROOM.to_owned());
        }
        report.attention.append(&mut faults);
        report.config = installation.file.display().to_string();
        report.directory = installation.directory.display().to_string();
        Ok(report)
    }

    /// Reads the parts that depend only on the spool, the jobs and the attempts. `unlisted` is the reason
    /// why the jobs cannot be listed.
    pub(super) fn of(
        spool: &SpoolAccess<'_>,
        jobs: &Jobs,
        unlisted: Option<&DiskError>,
        attempts: Attempts,
        now: Timestamp,
    ) -> Result<Report, Failure> {
        let mut attention: Vec<String> =
            unlisted.map(|error| Chain(error).to_string()).into_iter().collect();
        for rejection in jobs.rejections() {
            attention.extend(
                rejection.lines().iter().map(|line| format!("job {}: {line}", rejection.name())),
            );
        }
        let entries = Entries::read(&spool.report_view());
        attention.extend(entries.faults.iter().cloned());
        let last = entries.last_runs();
        let mut unreadable = UnreadableRecords::default();
        let superseded = superseded::read(&entries, &spool.report_view(), &mut unreadable)?;
        let mut reports = Vec::new();
        for job in jobs.iter() {
            let last = last.get(job.name.as_str()).copied();
            let mut report = JobReport::read(job, last, &spool.report_view(), now);
            report.superseded = superseded.get(&job.name).copied().unwrap_or_default();
            attention.extend(report.attention());
            reports.push(report);
        }
        let given_up = given_up::read(&entries, &spool.report_view(), &mut unreadable)?;
        attention.extend(unreadable.attention());
        attention.extend(given_up::attention(&given_up, &reports));
        let dead = entries.count(Folder::Invalid);
        if dead > 0 {
            let noun = if dead == 1 { "dead letter" } else { "dead letters" };
            let retry = Program::Runner.command_here(&["retry", "RUN"]);
            attention.push(format!(
                "{dead} {noun} in action/invalid: retry with `{retry}`, or remove the file to accept the loss"
            ));
        }
        // While the jobs are unknown, that of a run is neither missing nor paused.
        let unknown = last.keys().filter(|_| unlisted.is_some()).map(|stem| (*stem, false));
        let known = jobs.iter().map(|job| (job.name.as_str(), job.config.paused));
        let paused: BTreeMap<&str, bool> = unknown.chain(known).collect();
        let (waiting, more) = waiting::read(&entries, spool, &paused, &attempts, now)?;
        Ok(Report {
            process: None,
            since: None,
            degraded: false,
            config: String::new(),
            config_changed: false,
            directory: String::new(),
            api: attempts.api,
            attempts_unknown: attempts.unknown,
            attention,
            jobs: reports,
            spool: entries.listings.iter().map(|listing| listing.report(now)).collect(),
            waiting,
            more,
            given_up,
            superseded: superseded.values().sum(),
            now,
        })
    }
}
