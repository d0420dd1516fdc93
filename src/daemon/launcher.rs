//! Launches runs when the slots of their jobs are due.
//!
//! The last slot of a job that has a new run is recorded a little later, when no other run waits to
//! be launched or sent: until then, the run on disk shows that its slot was launched.
//!
//! **Failure.** A slot that cannot be launched is retried until it succeeds, until the job's next
//! slot is due, or until the job is removed or paused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use slog::{Logger, warn};

use super::disk_errors::{DiskErrors, Subject};
use super::index::Index;
use super::job_calendar::{SLOTS_MAX, Slot, overlaps};
use super::metrics_recorder::MetricsRecorder;
use super::settings::Parts;
use crate::clock::after;
use crate::names::{JobName, RunId};
use crate::spool::{Origin, Record, Run, RunChange, SpoolError};
use crate::stage::launch;
use crate::stage::submit::JobState;

/// Delay before a failed launch is retried.
const RETRY: Duration = Duration::from_secs(5);
/// Time after which the last slots are recorded although other runs wait.
const RECORD_WITHIN: Duration = Duration::from_secs(1);

/// Launches slots, and keeps those that could not be launched yet.
#[derive(Debug, Default)]
pub(super) struct Launcher {
    /// Slots that could not be launched, each with the time of the next attempt.
    failed: BTreeMap<JobName, (Slot, Timestamp)>,
    /// Jobs with a new run whose last slot is not recorded yet.
    unrecorded: BTreeSet<JobName>,
    /// When the first of them was launched.
    unrecorded_since: Option<Timestamp>,
}

/// The parts of the engine that record launches, apart from the spool.
#[derive(Debug)]
pub(super) struct LaunchRecorders<'a> {
    pub(super) errors: &'a mut DiskErrors,
    pub(super) metrics: &'a mut MetricsRecorder,
}

impl Launcher {
    /// Launches the slots that are due, and those that could not be launched before, at most
    /// [`SLOTS_MAX`] of each; returns the new runs.
    pub(super) fn launch_due(
        &mut self,
        parts: &mut Parts,
        index: &Index,
        mut recorders: LaunchRecorders<'_>,
        now: Timestamp,
    ) -> Vec<Run> {
        let due = parts.calendar.due(now, &parts.log);
        let is_replaced = |job: &JobName| due.iter().any(|slot| slot.job.name == *job);
        let retries = self.failed.iter().filter(|(job, (_, at))| *at <= now && !is_replaced(job));
        let retries: Vec<JobName> = retries.map(|(job, _)| job.clone()).take(SLOTS_MAX).collect();
        let mut slots = Vec::new();
        for name in retries {
            let Some((slot, _)) = self.failed.remove(&name) else { continue };
            if parts.calendar.state(&name) == JobState::Ready {
                // The job is launched as it was when the slot was due. The slot of a job that is
                // gone or paused is dropped.
                slots.push(slot);
            }
        }
        for slot in due {
            self.failed.remove(&slot.job.name);
            slots.push(slot);
        }
        self.launch(slots, parts, index, &mut recorders, now)
    }

    /// Launches slots of different jobs, together; returns the new runs.
    fn launch(
        &mut self,
        slots: Vec<Slot>,
        parts: &Parts,
        index: &Index,
        recorders: &mut LaunchRecorders<'_>,
        now: Timestamp,
    ) -> Vec<Run> {
        let (mut runs, mut without_run, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for slot in slots {
            match record(&slot, parts, index, now) {
                Ok(Some(record)) => changes.push((slot, RunChange::launch(record))),
                Ok(None) => without_run.push(slot.job.name.clone()),
                Err(error) => self.launch_failed(slot, &error, recorders, now),
            }
        }
        for (slot, created) in parts.spool.commit(changes) {
            let name = slot.job.name.clone();
            match created {
                Ok(run) => {
                    recorders.metrics.count_launch(&name);
                    runs.push(run);
                }
                Err(SpoolError::Taken { .. }) => {}
                Err(error) => {
                    self.launch_failed(slot, &error, recorders, now);
                    continue;
                }
            }
            self.unrecorded.insert(name);
            self.unrecorded_since.get_or_insert(now);
        }
        record_slots(without_run, parts, recorders.errors, now);
        runs
    }

    /// Records the last slots of jobs that have a new run, at most [`SLOTS_MAX`] of them; returns
    /// when to call this again. While other runs wait, nothing is recorded within
    /// [`RECORD_WITHIN`].
    pub(super) fn record_slots(
        &mut self,
        parts: &Parts,
        errors: &mut DiskErrors,
        do_others_wait: bool,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let since = self.unrecorded_since?;
        let due = after(since, RECORD_WITHIN);
        // The clock may have been set back.
        if do_others_wait && since <= now && now < due {
            return Some(due);
        }
        let first: Vec<JobName> = self.unrecorded.iter().take(SLOTS_MAX).cloned().collect();
        self.unrecorded.retain(|job| !first.contains(job));
        record_slots(first, parts, errors, now);
        if self.unrecorded.is_empty() {
            self.unrecorded_since = None;
            return None;
        }
        Some(now)
    }

    /// Keeps a slot that could not be launched. The retry does not count as late: the slot was found
    /// in time.
    fn launch_failed(
        &mut self,
        slot: Slot,
        error: &SpoolError,
        recorders: &mut LaunchRecorders<'_>,
        now: Timestamp,
    ) {
        let name = slot.job.name.clone();
        recorders.errors.report("cannot launch run", Subject::Slot(name.clone()), error, now);
        self.failed.insert(name, (slot, after(now, RETRY)));
    }

    /// Tries again to record the last slots that could not be recorded.
    pub(super) fn retry_slots(&self, parts: &Parts, errors: &mut DiskErrors, now: Timestamp) {
        let mut jobs = errors.failing_slots();
        // A slot that could not be launched yet is recorded after its launch.
        jobs.retain(|job| !self.failed.contains_key(job));
        record_slots(jobs, parts, errors, now);
    }

    /// Makes all retries due at `now`.
    pub(super) fn retry_at(&mut self, now: Timestamp) {
        self.failed.values_mut().for_each(|(_, at)| *at = now);
    }

    /// Returns when the next retry is due.
    pub(super) fn next_retry(&self) -> Option<Timestamp> {
        self.failed.values().map(|(_, at)| *at).min()
    }

    /// Returns whether a slot could not be launched yet.
    pub(super) fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }
}

/// Returns the record of the run to be launched for a slot; `None` if there is nothing to launch.
fn record(
    slot: &Slot,
    parts: &Parts,
    index: &Index,
    now: Timestamp,
) -> Result<Option<Record>, SpoolError> {
    let Some(fire) = slot.fire else { return Ok(None) };
    let job = &slot.job;
    let id = RunId::of_slot(&job.name, fire);
    if parts.spool.fired(&id)?.is_some() {
        return Ok(None);
    }
    if overlaps(job, || index.has_open(&job.name)) {
        log_overlap(&parts.log, &job.name, fire);
        return Ok(None);
    }
    let defaults = &parts.settings.defaults;
    Ok(Some(launch::record(job, id, Origin::Schedule, defaults, now, slot.next)))
}

fn log_overlap(log: &Logger, job: &JobName, slot: Timestamp) {
    warn!(log, "skipping slot: previous run still in progress"; "job" => %job, "slot" => %slot);
}

/// Records the last slots of jobs in the spool, together.
fn record_slots(jobs: Vec<JobName>, parts: &Parts, errors: &mut DiskErrors, now: Timestamp) {
    for (job, recorded) in parts.calendar.record_slots(jobs, &parts.spool) {
        match recorded {
            Ok(()) => errors.clear(&Subject::Slot(job)),
            Err(error) => {
                errors.report("cannot record last slot", Subject::Slot(job), &error, now);
            }
        }
    }
}
