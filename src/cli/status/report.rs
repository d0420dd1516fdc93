//! All that `status` tells, as `--json` writes it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::attempts::Attempts;
use super::entries::Entries;
use super::given_up::{self, GivenUp};
use super::job::JobReport;
use super::waiting::{self, Waiting};
use super::{Failure, Hand, Installation, superseded};
use crate::cli::installation::machine_zone;
use crate::clock::after;
use crate::daemon::has_room;
use crate::invocation::Program;
use crate::job::scan::Jobs;
use crate::names::RunId;
use crate::spool::{Again, Folder};

/// How exactly the kernel tells when a process started.
const START_SPAN: Duration = Duration::from_secs(2);

/// What a person is told while the disk fails the runner.
const DEGRADED: &str = "degraded: the disk does not do what the runner asks, whose log tells what fails; \
     it goes on by itself when that is over";
/// What a person is told while the runner posts nothing for want of room.
const NO_ROOM: &str =
    "the disk of the spool is nearly full: nothing new is posted before there is room";

#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The process of the runner, if one runs.
    pub(super) process: Option<u32>,
    /// Since when it runs.
    pub(super) since: Option<Timestamp>,
    pub(super) config: String,
    /// Whether the disk does not do what the runner asks.
    pub(super) degraded: bool,
    /// Whether it was changed after the runner started, which goes on with what it was.
    pub(super) config_changed: bool,
    pub(super) directory: String,
    /// When the API, the network or the key are tried again, while they do not serve.
    pub(super) api: Option<Again>,
    /// Why it is not known what is tried again, if something is.
    pub(super) attempts_unknown: Option<String>,
    /// What needs a person.
    pub(super) attention: Vec<String>,
    pub(super) jobs: Vec<JobReport>,
    /// What is in each folder.
    pub(super) spool: Vec<FolderReport>,
    /// What is not over, and the dead letters.
    pub(super) waiting: Vec<Waiting>,
    /// How many more there are of these.
    pub(super) more: usize,
    /// The finished runs of which something was given up, the newest first.
    pub(super) given_up: Vec<GivenUp>,
    /// How many runs were superseded by a newer one of their job, as far as they are still there.
    pub(super) superseded: usize,
    /// When all this was so.
    #[serde(skip)]
    pub(super) now: Timestamp,
}

/// A folder of the spool.
#[derive(Debug, Serialize)]
pub(super) struct FolderReport {
    pub(super) folder: Folder,
    /// How many entries it has.
    pub(super) entries: usize,
    /// The run with the earliest slot.
    pub(super) oldest: Option<RunId>,
    /// How long that slot is past, in seconds.
    pub(super) age_s: Option<u64>,
}

impl Report {
    /// Reads the jobs and the spool.
    pub(super) fn read(installation: &Installation, now: Timestamp) -> Result<Report, Failure> {
        let hand = Hand::look(installation)?;
        let mut jobs = installation.jobs(machine_zone().0)?;
        // What changed is of no interest: nothing was known before.
        drop(jobs.look(now)?);
        let process = hand.disk.lock_holder(&hand.layout.lock())?;
        let mut report = Report::of(&hand, &jobs, Attempts::read(&hand, process), now)?;
        let since = process.and_then(|process| hand.disk.process_start(process));
        let changed = installation.changed()?;
        report.config_changed = match (since, changed) {
            (Some(since), Some(changed)) => changed > after(since, START_SPAN),
            _ => false,
        };
        (report.process, report.since) = (process, since);
        // A runner in trouble holds this lock as well: a full disk takes no note of it.
        report.degraded =
            process.is_some() && hand.disk.lock_holder(&hand.layout.scratch())? == process;
        if report.degraded {
            report.attention.push(DEGRADED.to_owned());
        }
        if !has_room(hand.disk.free_space(hand.layout.root())?) {
            report.attention.push(NO_ROOM.to_owned());
        }
        report.config = installation.file.display().to_string();
        report.directory = installation.directory.display().to_string();
        Ok(report)
    }

    /// Reads what the spool and the jobs tell.
    pub(super) fn of(
        hand: &Hand<'_>,
        jobs: &Jobs,
        attempts: Attempts,
        now: Timestamp,
    ) -> Result<Report, Failure> {
        let mut attention = Vec::new();
        for rejection in jobs.rejections() {
            attention.extend(
                rejection.lines().iter().map(|line| format!("job {}: {line}", rejection.name())),
            );
        }
        let entries = Entries::read(&hand.view())?;
        let last = entries.last_runs();
        let superseded = superseded::read(&entries, &hand.view())?;
        let mut reports = Vec::new();
        for job in jobs.iter() {
            let last = last.get(job.name.as_str()).copied();
            let mut report = JobReport::read(job, last, &hand.view(), now)?;
            report.superseded = superseded.get(&job.name).copied().unwrap_or_default();
            attention.extend(report.attention());
            reports.push(report);
        }
        let given_up = given_up::read(&entries, &hand.view())?;
        attention.extend(given_up::attention(&given_up, &reports));
        let dead = entries.count(Folder::Invalid);
        if dead > 0 {
            let noun = if dead == 1 { "dead letter" } else { "dead letters" };
            let retry = Program::Runner.command_here(&["retry", "RUN"]);
            attention.push(format!(
                "{dead} {noun} in action/invalid: `{retry}` tries a run again; removing its file accepts the loss"
            ));
        }
        let paused: BTreeMap<&str, bool> =
            jobs.iter().map(|job| (job.name.as_str(), job.config.paused)).collect();
        let (waiting, more) = waiting::read(&entries, hand, &paused, &attempts, now)?;
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
            spool: entries.0.iter().map(|listing| listing.report(now)).collect(),
            waiting,
            more,
            given_up,
            superseded: superseded.values().sum(),
            now,
        })
    }
}
