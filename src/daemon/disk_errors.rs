//! Disk errors: logged at growing intervals, and shown to `mig-runner status`.
//!
//! A full disk fails in many places at once, and again at every attempt. Each kind of error is
//! logged when it first occurs and then at growing intervals, however often it occurs.
//!
//! A lock on the scratch folder shows `status` that there are errors. A file would not do, because
//! a disk that fails may not accept one. A lock needs no space, every user can see it, and it ends
//! with the process.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io::ErrorKind;

use jiff::Timestamp;
use slog::{Logger, error, info};

use super::index::Index;
use crate::chain::{Chain, escape};
use crate::disk::Lock;
use crate::logging::{LogInterval, Suppressed};
use crate::names::{JobName, RunId};
use crate::spool::{Family, Folder, Spool, SpoolError};

/// The object of a failed operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Spool,
    Folder(Folder),
    /// A file name in a folder.
    Entry(Folder, String),
    Run(RunId),
    /// The jobs folder.
    Jobs,
    /// The last slot of a job.
    Slot(JobName),
    RetryReport,
}

impl Subject {
    /// Returns the key of the subject in log messages.
    fn key(&self) -> &'static str {
        match self {
            Subject::Spool | Subject::Folder(_) | Subject::Jobs => "folder",
            Subject::Entry(..) => "entry",
            Subject::RetryReport => "file",
            Subject::Run(_) => "run",
            Subject::Slot(_) => "job",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Spool => f.write_str("spool"),
            Subject::Folder(folder) => folder.fmt(f),
            Subject::Entry(folder, name) => write!(f, "{folder}/{}", escape(name)),
            Subject::Run(run) => run.fmt(f),
            Subject::Jobs => f.write_str("runners"),
            Subject::Slot(job) => job.fmt(f),
            Subject::RetryReport => f.write_str(".retries"),
        }
    }
}

/// The subjects that failed and have not succeeded since.
#[derive(Debug)]
pub(super) struct DiskErrors {
    log: Logger,
    failing: BTreeSet<Subject>,
    logged: HashMap<(&'static str, ErrorKind), LogInterval>,
    /// The lock that shows `status` that something is failing.
    marker: Option<Lock>,
}

impl DiskErrors {
    pub(super) fn new(log: Logger) -> DiskErrors {
        DiskErrors { log, failing: BTreeSet::new(), logged: HashMap::new(), marker: None }
    }

    /// Records a failed operation, and logs it if a log message of this kind is due.
    pub(super) fn report(
        &mut self,
        operation: &'static str,
        subject: Subject,
        error: &SpoolError,
        now: Timestamp,
    ) {
        let (key, shown) = (subject.key(), subject.to_string());
        if let Some(suppressed) = self.record(operation, subject, error.kind(), now) {
            error!(self.log, "{operation}"; key => shown, "error" => Chain(error),
                Suppressed(suppressed));
        }
    }

    /// Records a failed operation. If it is to be logged now, returns the number of errors of its
    /// kind that were suppressed before it.
    fn record(
        &mut self,
        operation: &'static str,
        subject: Subject,
        kind: ErrorKind,
        now: Timestamp,
    ) -> Option<u64> {
        self.failing.insert(subject);
        self.logged.entry((operation, kind)).or_default().record(now)
    }

    /// Makes every continuing error due for a log message at `now`, and restarts its intervals.
    pub(super) fn reset_log_intervals(&mut self, now: Timestamp) {
        for logged in self.logged.values_mut() {
            logged.restart(now);
        }
    }

    /// Records that an operation on the subject has succeeded or is being retried.
    pub(super) fn clear(&mut self, subject: &Subject) {
        self.failing.remove(subject);
    }

    /// Returns the jobs whose last slot could not be launched or recorded.
    pub(super) fn failing_slots(&self) -> Vec<JobName> {
        let slot = |subject: &Subject| match subject {
            Subject::Slot(job) => Some(job.clone()),
            _ => None,
        };
        self.failing.iter().filter_map(slot).collect()
    }

    /// Forgets errors about runs that no longer exist, and about entries, which the next scan
    /// checks again.
    pub(super) fn forget_stale(&mut self, index: &Index) {
        self.failing.retain(|subject| match subject {
            Subject::Entry(..) => false,
            Subject::Run(run) => [Family::Action, Family::Command]
                .into_iter()
                .any(|family| index.get(&(family, run.clone())).is_some()),
            Subject::Spool
            | Subject::Folder(_)
            | Subject::Jobs
            | Subject::Slot(_)
            | Subject::RetryReport => true,
        });
    }

    /// Sets or removes the marker for `status`. `is_work_blocked` states whether the engine keeps
    /// outcomes or launches in memory because the disk refused them.
    pub(super) fn update_marker(&mut self, spool: &Spool, is_work_blocked: bool) {
        let disk = spool.disk();
        if is_work_blocked || disk.has_unsynced_folders() || !self.failing.is_empty() {
            if self.marker.is_none() {
                let file = spool.layout().degraded();
                // The file may have been removed. If this fails too, the next turn retries it; the
                // error itself is already logged.
                let again = |_| disk.create_lock_file(&file).and_then(|()| disk.lock(&file));
                self.marker = disk.lock(&file).or_else(again).ok();
            }
            return;
        }
        if !self.logged.is_empty() {
            info!(self.log, "disk errors cleared");
        }
        self.logged.clear();
        self.marker = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use slog::{Discard, o};

    use super::*;
    use crate::clock::after;

    #[test]
    fn continuing_error_is_logged_at_growing_intervals() {
        let mut errors = DiskErrors::new(Logger::root(Discard, o!()));
        let begin: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let mut logged = Vec::new();
        for second in 0..3600 {
            let now = after(begin, Duration::from_secs(second));
            // Two folders fail in the same way each second.
            for folder in [Folder::New, Folder::Ready] {
                let subject = Subject::Folder(folder);
                let suppressed = errors.record("cannot read", subject, ErrorKind::Other, now);
                logged.extend(suppressed.map(|suppressed| (second, suppressed)));
            }
        }
        let seconds: Vec<u64> = logged.iter().map(|(second, _)| *second).collect();
        assert_eq!(seconds, [0, 30, 90, 210, 450, 930, 1890]);
        assert_eq!(logged[1].1, 59);
        // Without the reset, a clock set back by an hour would silence the log for an hour.
        errors.reset_log_intervals(begin);
        let subject = Subject::Folder(Folder::New);
        assert!(errors.record("cannot read", subject, ErrorKind::Other, begin).is_some());
        let other = errors.record("cannot read", Subject::Jobs, ErrorKind::StorageFull, begin);
        assert_eq!(other, Some(0));
        errors.clear(&Subject::Folder(Folder::New));
        assert_eq!(errors.failing, BTreeSet::from([Subject::Folder(Folder::Ready), Subject::Jobs]));
    }
}
