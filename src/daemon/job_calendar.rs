//! The job calendar: the jobs in force, the slots that are due, and the log messages about both.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use slog::{Logger, error, info, warn};

use crate::chain::Chain;
use crate::config::duration::Keep;
use crate::config::job::{Missed, Overlap};
use crate::disk::DiskError;
use crate::job::Job;
use crate::job::change::Change;
use crate::job::folders::{Depth, JobWatches, Jobs};
use crate::names::JobName;
use crate::schedule::due::{self, Due, Plan};
use crate::schedule::splay;
use crate::schedule::table::Table;
use crate::spool::{SlotStamp, Spool, SpoolError};
use crate::stage::archive::ResultsFolder;
use crate::stage::submit::JobState;

/// Maximum number of slots that are launched in one turn of the daemon's loop. The first runs are sent
/// while others are launched, so there are only as many as share the fsyncs that run at the same time.
pub(super) const SLOTS_MAX: usize = 16;

/// What a scan of the jobs includes.
#[derive(Debug)]
pub(super) enum ScanScope<'a> {
    /// All jobs.
    All(Depth),
    /// Only the job that the path leads into.
    Path(&'a Path),
}

/// The jobs in force, and when each is due.
#[derive(Debug)]
pub(crate) struct JobCalendar {
    jobs: Jobs,
    host: String,
    /// When each job is due, and its last slot.
    table: Table<JobName, Timestamp>,
}

/// A slot that is due.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) job: Arc<Job>,
    /// The slot to launch; `None` if slots have passed and none is to be launched.
    pub(super) fire: Option<Timestamp>,
    /// The job's next slot.
    pub(super) next: Option<Timestamp>,
}

impl JobCalendar {
    /// Returns a calendar that has not read any job yet, for the machine named `host`.
    pub(crate) fn new(jobs: Jobs, host: String) -> JobCalendar {
        JobCalendar { jobs, host, table: Table::new() }
    }

    /// Reads all jobs at start. A job whose last slot is recorded continues from there; the records
    /// of jobs that no longer exist are removed.
    pub(super) fn start(
        &mut self,
        spool: &Spool,
        now: Timestamp,
        log: &Logger,
    ) -> Result<(), SpoolError> {
        let on_disk = spool.slots_on_disk()?;
        let changes = self.jobs.scan(now)?;
        let mut stamped = spool.stamped_jobs()?;
        stamped.retain(|job| self.jobs.get(job).is_none());
        for job in stamped {
            spool.forget_slot(&job)?;
        }
        let mut installed = Vec::new();
        for change in changes {
            log_change(&change, log);
            if let Change::Added(job) = change {
                let plan = schedule_identity(&job);
                let known = spool.last_slot(&job.name)?.filter(|stamp| stamp.plan == plan);
                let recorded = known.as_ref().map(|stamp| stamp.slot);
                let slot = match known {
                    Some(stamp) => {
                        on_disk.get(&job.name).copied().map_or(stamp.slot, |s| s.max(stamp.slot))
                    }
                    None => now,
                };
                self.install(&job, slot);
                if recorded != Some(slot) {
                    installed.push(job.name.clone());
                }
            }
        }
        self.record_first_slots(installed, spool, log);
        self.table.compact();
        Ok(())
    }

    /// Scans jobs; some of their folders are watched.
    pub(super) fn scan(
        &mut self,
        scope: &ScanScope<'_>,
        watches: &dyn JobWatches,
        spool: &Spool,
        now: Timestamp,
        log: &Logger,
    ) -> Result<Vec<Change>, DiskError> {
        let changes = match scope {
            ScanScope::Path(path) => self.jobs.scan_path(path, watches, now)?,
            ScanScope::All(depth) => self.jobs.scan_watched(*depth, watches, now)?,
        };
        self.apply(&changes, spool, now, log);
        Ok(changes)
    }

    /// Scans again the job folders that were incomplete or invalid.
    pub(super) fn rescan_rejected(
        &mut self,
        watches: &dyn JobWatches,
        spool: &Spool,
        now: Timestamp,
        log: &Logger,
    ) -> Vec<Change> {
        let changes = self.jobs.recheck_invalid(watches, now);
        self.apply(&changes, spool, now, log);
        changes
    }

    fn apply(&mut self, changes: &[Change], spool: &Spool, now: Timestamp, log: &Logger) {
        let mut installed = Vec::new();
        for change in changes {
            log_change(change, log);
            match change {
                Change::Added(job) => {
                    self.install(job, now);
                    installed.push(job.name.clone());
                }
                Change::Changed { old, new } => {
                    let is_same = schedule_identity(old) == schedule_identity(new);
                    let last = self.last_slot(&new.name).filter(|_| is_same);
                    // If only the action has changed, the schedule continues after its last slot.
                    self.install(new, last.unwrap_or(now));
                    installed.push(new.name.clone());
                }
                Change::Removed(job) | Change::Broken { old: Some(job), .. } => {
                    self.remove(&job.name, spool, log);
                }
                Change::Broken { old: None, .. } | Change::Skipped(_) => {}
            }
        }
        self.record_first_slots(installed, spool, log);
    }

    /// Records the last slots of jobs that were just installed, together.
    fn record_first_slots(&self, mut jobs: Vec<JobName>, spool: &Spool, log: &Logger) {
        jobs.retain(|job| {
            let recorded = spool.last_slot(job).ok().flatten();
            recorded.is_none() || recorded != self.stamp(job)
        });
        for (job, recorded) in self.record_slots(jobs, spool) {
            if let Err(error) = recorded {
                error!(log, "cannot record last slot"; "job" => %job, "error" => Chain(&error));
            }
        }
    }

    fn install(&mut self, job: &Job, last: Timestamp) {
        // Due at once: a slot may have been missed.
        self.table.set(job.name.clone(), Some(Timestamp::MIN), last);
    }

    /// Returns when a job runs.
    fn plan(&self, job: &Job) -> Plan {
        Plan {
            cron: Arc::clone(&job.schedule),
            zone: job.zone.clone(),
            splay: splay::delay(&job.name, &self.host, job.config.splay),
            missed: match job.config.missed {
                Missed::Skip => due::Missed::Skip,
                Missed::Once => due::Missed::Once,
            },
        }
    }

    /// Returns the last slot of a job as it is recorded.
    fn stamp(&self, job: &JobName) -> Option<SlotStamp> {
        let (slot, job) = (self.last_slot(job)?, self.jobs.get(job)?);
        Some(SlotStamp { slot, plan: schedule_identity(job) })
    }

    fn remove(&mut self, job: &JobName, spool: &Spool, log: &Logger) {
        self.table.remove(job);
        if let Err(error) = spool.forget_slot(job) {
            error!(log, "cannot remove record of last slot"; "job" => %job, "error" => Chain(&error));
        }
    }

    /// Returns the slots that are due, at most one for each job and at most [`SLOTS_MAX`], and moves
    /// each of these jobs on to its next slot in memory. [`JobCalendar::record_slots`] does so on
    /// disk.
    pub(super) fn due(&mut self, now: Timestamp, log: &Logger) -> Vec<Slot> {
        let mut slots = Vec::new();
        for name in self.table.due(now, SLOTS_MAX) {
            let (Some(last), Some(job)) = (self.last_slot(&name), self.jobs.get(&name)) else {
                // Only a job that is in force may keep a place among the first.
                self.table.remove(&name);
                continue;
            };
            let due = self.plan(job).decide(last, now);
            log_due(&job.name, job.config.paused, &due, log);
            self.table.set(name, due.wake, due.stamp.unwrap_or(last));
            let fire = due.fire.filter(|_| !job.config.paused);
            if fire.is_some() || due.stamp.is_some() {
                slots.push(Slot { job: Arc::clone(job), fire, next: due.next });
            }
        }
        slots
    }

    /// Records the last slots of jobs in the spool, together; returns each job with its result. A
    /// job that is gone needs no record.
    pub(super) fn record_slots(
        &self,
        jobs: Vec<JobName>,
        spool: &Spool,
    ) -> Vec<(JobName, Result<(), SpoolError>)> {
        let (mut stamps, mut results) = (Vec::with_capacity(jobs.len()), Vec::new());
        for job in jobs {
            match self.stamp(&job) {
                Some(stamp) => stamps.push((job, stamp)),
                None => results.push((job, Ok(()))),
            }
        }
        results.extend(spool.stamp_slots(stamps));
        results
    }

    /// Returns when the next slot is due or a rejected job folder is scanned again.
    pub(super) fn next(&self) -> Option<Timestamp> {
        [self.table.next(), self.jobs.next_recheck()].into_iter().flatten().min()
    }

    /// Returns whether the runs of a job may be sent.
    pub(super) fn state(&self, job: &JobName) -> JobState {
        match self.jobs.get(job) {
            None => JobState::Gone,
            Some(job) if job.config.paused => JobState::Paused,
            Some(_) => JobState::Ready,
        }
    }

    /// Returns whether the job exists.
    pub(super) fn has(&self, job: &JobName) -> bool {
        self.jobs.get(job).is_some()
    }

    /// Returns the names of all folders in the jobs folder, complete jobs or not.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Arc<OsStr>> {
        self.jobs.folders()
    }

    /// Returns the name of a folder in the jobs folder, to share it; `None` if it does not exist.
    pub(super) fn folder(&self, name: &OsStr) -> Option<&Arc<OsStr>> {
        self.jobs.folder(name)
    }

    /// Returns a job's last slot.
    pub(super) fn last_slot(&self, job: &JobName) -> Option<Timestamp> {
        self.table.value(job).copied()
    }

    /// Returns the folders of results, each with its retention: `keep`, unless the job overrides
    /// it.
    pub(super) fn results_folders(&self, keep: Keep) -> Vec<ResultsFolder> {
        let of_jobs = self.jobs.iter().map(|job| ResultsFolder {
            folder: Path::new("runners").join(job.name.as_str()).join("results"),
            keep: job.config.keep_results.unwrap_or(keep),
        });
        let others = ResultsFolder { folder: "results".into(), keep };
        of_jobs.chain([others]).collect()
    }

    /// Returns the number of jobs, and the number of job folders with errors.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.jobs.iter().count(), self.jobs.rejections().count())
    }

    /// Returns the names of all jobs.
    pub(super) fn names(&self) -> Vec<JobName> {
        self.jobs.iter().map(|job| job.name.clone()).collect()
    }
}

/// Returns whether a slot is skipped because an earlier run of the job is still in progress.
pub(super) fn overlaps(job: &Job, has_open: impl FnOnce() -> bool) -> bool {
    job.config.overlap == Overlap::Skip && has_open()
}

/// Returns a text that is the same for two schedules with the same slots.
fn schedule_identity(job: &Job) -> String {
    let zone = job.zone.iana_name().unwrap_or("local");
    format!("{} {zone}", job.schedule)
}

/// Logs missed slots, a last slot in the future, and the end of a schedule.
pub(super) fn log_due(name: &JobName, paused: bool, due: &Due, log: &Logger) {
    // A paused job does not miss its slots.
    let missed = due.missed.as_ref().filter(|_| !paused);
    if let Some(missed) = missed.filter(|missed| missed.first == missed.last) {
        warn!(log, "missed slot"; "job" => %name, "slot" => %missed.first,
            "launched" => due.fire.is_some());
    } else if let Some(missed) = missed {
        warn!(log, "missed slots"; "job" => %name, "first" => %missed.first,
            "last" => %missed.last, "launched" => due.fire.is_some());
    }
    if due.ahead {
        error!(log, "ignoring last slot in the future: the clock may have been set back";
            "job" => %name);
    }
    if due.next.is_none() {
        info!(log, "schedule has no more slots"; "job" => %name);
    }
}

fn log_change(change: &Change, log: &Logger) {
    if let Change::Added(job) | Change::Changed { new: job, .. } = change
        && let Some(warning) = &job.warning
    {
        warn!(log, "unusual schedule"; "job" => %job.name, "warning" => warning);
    }
    match change {
        Change::Added(job) => {
            info!(log, "job added"; "job" => %job.name, "schedule" => %job.schedule,
                "paused" => job.config.paused);
        }
        Change::Changed { old, new } => {
            info!(log, "old job configuration removed"; "job" => %old.name);
            info!(log, "new job configuration installed"; "job" => %new.name,
                "schedule" => %new.schedule, "paused" => new.config.paused);
        }
        Change::Removed(job) => info!(log, "job removed"; "job" => %job.name),
        Change::Skipped(path) => {
            info!(log, "ignoring path: a job is a folder with entity.cfg and action.json";
                "path" => %path.display());
        }
        Change::Broken { rejection, old } => {
            if let Some(job) = old {
                info!(log, "old job configuration removed"; "job" => %job.name);
            }
            for fault in &rejection.faults {
                error!(log, "invalid job"; "job" => %rejection.folder.to_string_lossy(),
                    "error" => Chain(fault));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::disk::{COMMAND_PREFIX, Disk, RealFs, trust};

    #[test]
    fn time_without_a_job_keeps_no_place_among_the_slots_that_are_due() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().join("unused"), COMMAND_PREFIX);
        let jobs = Jobs::new(disk, folder.path().join("runners"), trust::own_user(), TimeZone::UTC);
        let mut calendar = JobCalendar::new(jobs, "host".to_owned());
        calendar.table.set("gone".parse().unwrap(), Some(Timestamp::MIN), Timestamp::MIN);
        let log = Logger::root(slog::Discard, slog::o!());
        assert!(calendar.due(Timestamp::UNIX_EPOCH, &log).is_empty());
        assert_eq!(calendar.next(), None);
    }
}
