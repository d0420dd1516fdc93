//! The jobs and their slots: what the log says of them, and which are due.

use std::collections::BTreeMap;
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
use crate::job::folders::Jobs;
use crate::names::JobName;
use crate::schedule::due::{self, Due, Plan};
use crate::schedule::splay;
use crate::schedule::table::Table;
use crate::spool::{SlotStamp, Spool, SpoolError};
use crate::stage::archive::ResultsFolder;
use crate::stage::submit::JobState;

/// The jobs in force, and when each is due.
#[derive(Debug)]
pub(crate) struct Calendar {
    jobs: Jobs,
    host: String,
    plans: BTreeMap<JobName, Slots>,
    table: Table<JobName>,
}

/// The schedule of a job, and how far it has come.
#[derive(Debug)]
struct Slots {
    plan: Plan,
    stamp: SlotStamp,
}

/// A slot that is to be launched.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) job: Arc<Job>,
    /// Its slot; `None` if it only passes.
    pub(crate) fire: Option<Timestamp>,
    pub(crate) next: Option<Timestamp>,
}

impl Calendar {
    /// Returns a calendar of `jobs`, none of which is known yet, on the machine named `host`.
    pub(crate) fn new(jobs: Jobs, host: String) -> Calendar {
        Calendar { jobs, host, plans: BTreeMap::new(), table: Table::new() }
    }

    /// Reads all jobs at start: what was stamped before goes on from there, the stamps of jobs
    /// that are gone are forgotten.
    pub(crate) fn begin(
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
        for change in changes {
            tell(&change, log);
            if let Change::Added(job) = change {
                let plan = identity(&job);
                let known = spool.last_slot(&job.name)?.filter(|stamp| stamp.plan == plan);
                let slot = match known {
                    Some(stamp) => {
                        on_disk.get(&job.name).copied().map_or(stamp.slot, |s| s.max(stamp.slot))
                    }
                    None => now,
                };
                self.install(&job, SlotStamp { slot, plan }, spool, log);
            }
        }
        // Filled in order, the nodes of the map are half empty; made at once, they are full.
        self.plans = std::mem::take(&mut self.plans).into_iter().collect();
        Ok(())
    }

    /// Looks at every job, or only at the one that a path leads into.
    pub(crate) fn look(
        &mut self,
        path: Option<&Path>,
        spool: &Spool,
        now: Timestamp,
        log: &Logger,
    ) -> Result<Vec<Change>, DiskError> {
        let changes = match path {
            Some(path) => self.jobs.scan_path(path, now)?,
            None => self.jobs.scan(now)?,
        };
        self.follow(&changes, spool, now, log);
        Ok(changes)
    }

    /// Looks again at folders that were incomplete or wrong.
    pub(crate) fn look_at_bad(
        &mut self,
        spool: &Spool,
        now: Timestamp,
        log: &Logger,
    ) -> Vec<Change> {
        let changes = self.jobs.recheck_invalid(now);
        self.follow(&changes, spool, now, log);
        changes
    }

    fn follow(&mut self, changes: &[Change], spool: &Spool, now: Timestamp, log: &Logger) {
        for change in changes {
            tell(change, log);
            match change {
                Change::Added(job) => {
                    self.install(job, SlotStamp { slot: now, plan: identity(job) }, spool, log);
                }
                Change::Changed { new, .. } => {
                    let plan = identity(new);
                    let old = self.plans.get(&new.name).map(|slots| slots.stamp.clone());
                    // Another action on the same schedule goes on where it was.
                    let slot = old.filter(|old| old.plan == plan).map_or(now, |old| old.slot);
                    self.install(new, SlotStamp { slot, plan }, spool, log);
                }
                Change::Removed(job) | Change::Broken { old: Some(job), .. } => {
                    self.remove(&job.name, spool, log);
                }
                Change::Broken { old: None, .. } | Change::Skipped(_) => {}
            }
        }
    }

    fn install(&mut self, job: &Job, stamp: SlotStamp, spool: &Spool, log: &Logger) {
        // At a start it is there already, for ten thousand jobs as well.
        let is_written = matches!(spool.last_slot(&job.name), Ok(Some(old)) if old == stamp);
        if !is_written && let Err(error) = spool.stamp_slot(&job.name, &stamp) {
            error!(log, "cannot write down last slot"; "job" => %job.name, "error" => Chain(&error));
        }
        let plan = Plan {
            cron: Arc::clone(&job.schedule),
            zone: job.zone.clone(),
            splay: splay::delay(&job.name, &self.host, job.config.splay),
            missed: match job.config.missed {
                Missed::Skip => due::Missed::Skip,
                Missed::Once => due::Missed::Once,
            },
        };
        // It is decided upon at once: a slot may have been missed.
        self.table.set(job.name.clone(), Some(Timestamp::MIN));
        self.plans.insert(job.name.clone(), Slots { plan, stamp });
    }

    fn remove(&mut self, job: &JobName, spool: &Spool, log: &Logger) {
        self.plans.remove(job);
        self.table.remove(job);
        if let Err(error) = spool.forget_slot(job) {
            error!(log, "cannot forget last slot"; "job" => %job, "error" => Chain(&error));
        }
    }

    /// Returns the slots that are due, each passed with this call but for those that [`Calendar::passed`] is told of.
    pub(crate) fn due(&mut self, now: Timestamp, log: &Logger) -> Vec<Slot> {
        let mut slots = Vec::new();
        for name in self.table.due(now) {
            let (Some(known), Some(job)) = (self.plans.get(&name), self.jobs.get(&name)) else {
                continue;
            };
            let due = known.plan.decide(known.stamp.slot, now);
            report(&job.name, job.config.paused, &due, log);
            self.table.set(name, due.wake);
            let fire = due.fire.filter(|_| !job.config.paused);
            if fire.is_some() || due.stamp.is_some() {
                slots.push(Slot { job: Arc::clone(job), fire, next: due.next });
            }
            if let (Some(stamp), Some(slots)) = (due.stamp, self.plans.get_mut(&job.name)) {
                slots.stamp.slot = stamp;
            }
        }
        slots
    }

    /// Writes down that the slots of a job have passed up to its last one.
    pub(crate) fn passed(&self, job: &JobName, spool: &Spool) -> Result<(), SpoolError> {
        self.plans.get(job).map_or(Ok(()), |slots| spool.stamp_slot(job, &slots.stamp))
    }

    /// Returns when something is due or to be looked at.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        [self.table.next(), self.jobs.next_recheck()].into_iter().flatten().min()
    }

    /// Tells whether a job lets its runs be sent.
    pub(crate) fn state(&self, job: &JobName) -> JobState {
        match self.jobs.get(job) {
            None => JobState::Gone,
            Some(job) if job.config.paused => JobState::Paused,
            Some(_) => JobState::Ready,
        }
    }

    /// Tells whether there is such a job.
    pub(crate) fn has(&self, job: &JobName) -> bool {
        self.jobs.get(job).is_some()
    }

    /// Returns the names of the folders in which there is a job, or could be one.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &std::ffi::OsStr> {
        self.jobs.folders()
    }

    /// Tells whether there is such a folder.
    pub(crate) fn has_folder(&self, name: &std::ffi::OsStr) -> bool {
        self.jobs.has_folder(name)
    }

    /// Returns a job's last slot.
    pub(crate) fn last_slot(&self, job: &JobName) -> Option<Timestamp> {
        self.plans.get(job).map(|slots| slots.stamp.slot)
    }

    /// Returns where results are and how long they are kept there, `keep` if the job does not say.
    pub(crate) fn shelves(&self, keep: Keep) -> Vec<ResultsFolder> {
        let of_jobs = self.jobs.iter().map(|job| ResultsFolder {
            folder: Path::new("runners").join(job.name.as_str()).join("results"),
            keep: job.config.keep_results.unwrap_or(keep),
        });
        let others = ResultsFolder { folder: "results".into(), keep };
        of_jobs.chain([others]).collect()
    }

    /// Returns how many jobs there are, and how many folders in which one is wrong.
    pub(crate) fn count(&self) -> (usize, usize) {
        (self.jobs.iter().count(), self.jobs.rejections().count())
    }

    /// Returns the names of all jobs.
    pub(crate) fn names(&self) -> Vec<JobName> {
        self.jobs.iter().map(|job| job.name.clone()).collect()
    }
}

/// Tells whether a slot is left out because an earlier run of the job is not over.
pub(crate) fn overlaps(job: &Job, has_open: impl FnOnce() -> bool) -> bool {
    job.config.overlap == Overlap::Skip && has_open()
}

/// What makes two schedules the same: the slots that they give.
fn identity(job: &Job) -> String {
    let zone = job.zone.iana_name().unwrap_or("local");
    format!("{} {zone}", job.schedule)
}

pub(super) fn report(name: &JobName, paused: bool, due: &Due, log: &Logger) {
    // The slots of a paused job pass, they are not missed.
    let missed = due.missed.as_ref().filter(|_| !paused);
    if let Some(missed) = missed.filter(|missed| missed.first == missed.last) {
        warn!(log, "slot was missed"; "job" => %name, "slot" => %missed.first,
            "launched" => due.fire.is_some());
    } else if let Some(missed) = missed {
        warn!(log, "slots were missed"; "job" => %name, "first" => %missed.first,
            "last" => %missed.last, "launched" => due.fire.is_some());
    }
    if due.ahead {
        error!(log, "last slot is ahead of the clock and holds nothing back: was the clock set back?";
            "job" => %name);
    }
    if due.next.is_none() {
        info!(log, "schedule is finished"; "job" => %name);
    }
}

fn tell(change: &Change, log: &Logger) {
    if let Change::Added(job) | Change::Changed { new: job, .. } = change
        && let Some(warning) = &job.warning
    {
        warn!(log, "schedule may not be what was meant"; "job" => %job.name, "warning" => warning);
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
            info!(log, "skipped, a job is a folder with entity.cfg and action.json";
                "path" => %path.display());
        }
        Change::Broken { rejection, old } => {
            if let Some(job) = old {
                info!(log, "old job configuration removed"; "job" => %job.name);
            }
            for fault in &rejection.faults {
                error!(log, "job is not usable"; "job" => %rejection.folder.to_string_lossy(),
                    "error" => Chain(fault));
            }
        }
    }
}
