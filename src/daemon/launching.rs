//! Launching what is due, and following what happens to the jobs' folders.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use slog::{info, warn};

use super::calendar::{Slot, overlaps};
use super::engine::Engine;
use super::trouble::Place;
use crate::clock::after;
use crate::job::change::Change;
use crate::names::{JobName, RunId};
use crate::spool::{Origin, SpoolError};
use crate::stage::launch;
use crate::stage::submit::JobState;

/// How long after a failed launch it is tried again.
const RETRY: Duration = Duration::from_secs(5);

impl Engine {
    /// Launches every job whose slot is due, and those that could not be launched before.
    pub(crate) fn launch_due(&mut self, now: Timestamp) {
        let due = self.parts.calendar.due(now, &self.parts.log);
        let again =
            self.unlaunched.keys().filter(|job| due.iter().all(|slot| slot.job.name != **job));
        let again: Vec<JobName> = again.cloned().collect();
        for name in again {
            let Some((slot, at)) = self.unlaunched.remove(&name) else { continue };
            if at > now {
                self.unlaunched.insert(name, (slot, at));
            } else if self.parts.calendar.state(&name) == JobState::Ready {
                // The slot was due with the job as it was then; one that is gone has none.
                self.try_launch(slot, now);
            }
        }
        for slot in due {
            self.unlaunched.remove(&slot.job.name);
            self.try_launch(slot, now);
        }
    }

    fn try_launch(&mut self, slot: Slot, now: Timestamp) {
        let name = slot.job.name.clone();
        if let Err(error) = self.launch(&slot, now) {
            self.troubled("cannot launch", Place::Slot(name.clone()), &error);
            // On time it was found; that the disk took it late is not the job's fault.
            self.unlaunched.insert(name, (slot, after(now, RETRY)));
            return;
        }
        // Only now: a crash before this finds the run on disk, which counts as well.
        self.stamp(name);
    }

    /// Writes down the last slot of a job.
    pub(super) fn stamp(&mut self, job: JobName) {
        match self.parts.calendar.passed(&job, &self.parts.spool) {
            Ok(()) => self.troubles.over(&Place::Slot(job)),
            Err(error) => self.troubled("cannot write down last slot", Place::Slot(job), &error),
        }
    }

    fn launch(&mut self, slot: &Slot, now: Timestamp) -> Result<(), SpoolError> {
        let Some(fire) = slot.fire else { return Ok(()) };
        let job = &slot.job;
        let id = RunId::of_slot(&job.name, fire);
        if self.parts.spool.fired(&id)?.is_some() {
            return Ok(());
        }
        if overlaps(job, || self.index.has_open(&job.name)) {
            warn!(self.parts.log, "slot left out: an earlier run is not over"; "job" => %job.name,
                "slot" => %fire);
            return Ok(());
        }
        let defaults = &self.parts.settings.defaults;
        let record = launch::record(job, id, Origin::Schedule, defaults, now, slot.next);
        match self.parts.spool.launch(record) {
            Ok(run) => {
                if let Some(metrics) = &mut self.metrics {
                    metrics.launched(&job.name);
                }
                self.remember(run);
                Ok(())
            }
            Err(SpoolError::Taken { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Looks at the jobs: at the one that a path leads into, or at all.
    pub(crate) fn look_at_jobs(&mut self, path: Option<&Path>, now: Timestamp) {
        let looked = self.parts.calendar.look(path, &self.parts.spool, now, &self.parts.log);
        match looked {
            Ok(changes) => {
                self.troubles.over(&Place::Jobs);
                self.follow_changes(&changes, path, now);
            }
            Err(error) => {
                self.troubled("cannot look at the jobs", Place::Jobs, &SpoolError::from(error));
            }
        }
    }

    /// Looks again at job folders that were incomplete.
    pub(crate) fn look_at_bad_jobs(&mut self, now: Timestamp) {
        let changes = self.parts.calendar.look_at_bad(&self.parts.spool, now, &self.parts.log);
        // It is asked at every turn: to compare what is watched then would cost too much.
        if !changes.is_empty() {
            self.follow_changes(&changes, None, now);
        }
    }

    /// Follows what a look at the jobs, or at the one that a path leads into, has found.
    fn follow_changes(&mut self, changes: &[Change], path: Option<&Path>, now: Timestamp) {
        for change in changes {
            match change {
                Change::Removed(job) | Change::Broken { old: Some(job), .. } => {
                    if self.index.has_open(&job.name) {
                        info!(self.parts.log, "results of its action will be stored all the same";
                            "job" => %job.name);
                    }
                }
                Change::Added(_)
                | Change::Changed { .. }
                | Change::Skipped(_)
                | Change::Broken { old: None, .. } => {}
            }
        }
        if !changes.is_empty() {
            // Runs that waited for their job, or for its pause to end.
            self.wake_new(now);
        }
        // What changed between the look and the watch was told by nobody.
        for folder in self.watch_jobs(path) {
            self.look_at_jobs(Some(&folder), now);
        }
    }

    /// Looks again at all that waits to be sent.
    fn wake_new(&mut self, now: Timestamp) {
        let waiting: Vec<_> = self
            .index
            .iter()
            .filter(|(_, live)| live.folder == crate::spool::Folder::New && !live.tries.busy)
            .map(|(key, _)| key.clone())
            .collect();
        for key in waiting {
            self.index.schedule(&key, Some(now));
        }
    }
}
