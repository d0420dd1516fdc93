//! Decides what the state of a job folder means for the job that was installed from it. No I/O.
//!
//! A job that is copied in piece by piece, or edited in place, is invalid for a moment. Therefore
//! an invalid folder is reported only when it has been left alone for [`QUIET_SPAN`], and the job
//! that was installed from it stays until then.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::load::Inspection;
use super::{Job, Rejection, Stamps, StampsHash};
use crate::clock::{after, elapsed};
use crate::disk::FolderStamp;

/// Time for which an invalid folder must be left alone before it is reported.
pub(crate) const QUIET_SPAN: Duration = Duration::from_secs(5);

/// A change to the jobs, to be logged and applied to the schedule.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Added(Arc<Job>),
    /// The old job is removed and the new one installed.
    Changed {
        old: Arc<Job>,
        new: Arc<Job>,
    },
    Removed(Arc<Job>),
    /// An entry in the folder of jobs is not a job folder. Reported once.
    Skipped(PathBuf),
    /// A folder became invalid. Reported once.
    Broken {
        rejection: Arc<Rejection>,
        /// The job that was installed from the folder and is now removed.
        old: Option<Arc<Job>>,
    },
}

/// What is known of a job folder.
#[derive(Debug)]
pub(crate) struct FolderState {
    stamps: StampsHash,
    watch: FolderWatch,
    installed: Option<Arc<Job>>,
    /// Rare, so it takes little room if there is none.
    fault: Option<Box<FolderFault>>,
}

/// What the watch of a folder saves: as long as the folder has the same stamp and its watch reports
/// no change, its files need not be examined.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FolderWatch {
    /// The folder's stamp from before the last inspection of its files; `None` if its watch does
    /// not report every change.
    pub(super) folder: Option<FolderStamp>,
    /// Number of scans after which its files are examined nevertheless.
    pub(super) scans_left: u16,
}

#[derive(Debug)]
struct FolderFault {
    rejection: Arc<Rejection>,
    /// Since when the folder has been left alone.
    since: Timestamp,
    is_reported: bool,
}

impl FolderState {
    /// Records what the watch of the folder saves from now on.
    pub(super) fn set_watch(&mut self, watch: FolderWatch) {
        self.watch = watch;
    }

    /// Returns the stamp that the folder must have for its files to be unchanged, in this scan;
    /// `None` if the files must be examined.
    pub(super) fn pass_scan(&mut self) -> Option<FolderStamp> {
        let is_settled = self.installed.is_some() && self.fault.is_none();
        self.watch.scans_left = self.watch.scans_left.checked_sub(1)?;
        self.watch.folder.filter(|_| is_settled)
    }

    /// Returns after how many scans the files are examined in any case.
    pub(super) fn scans_left(&self) -> u16 {
        self.watch.scans_left
    }

    /// Returns the job that is in force.
    pub(super) fn installed(&self) -> Option<&Arc<Job>> {
        self.installed.as_ref()
    }

    /// Returns the faults of the folder, whether they were reported or not.
    pub(super) fn rejection(&self) -> Option<&Arc<Rejection>> {
        self.fault.as_ref().map(|fault| &fault.rejection)
    }

    /// Returns the hash that the stamps of the files must have for the folder to be unchanged;
    /// `None` if the folder must be read again in any case.
    pub(super) fn stamps(&self) -> Option<StampsHash> {
        let is_temporary = self.fault.as_ref().is_some_and(|fault| fault.rejection.is_temporary());
        (!is_temporary).then_some(self.stamps)
    }

    /// Returns when to inspect the folder again to report its fault; `None` if there is none to
    /// report.
    pub(super) fn next_recheck(&self) -> Option<Timestamp> {
        let fault = self.fault.as_ref().filter(|fault| !fault.is_reported)?;
        Some(after(fault.since, QUIET_SPAN))
    }

    /// Reports the fault if the folder has been left alone for long enough.
    fn report_if_due(&mut self, now: Timestamp) -> Option<Change> {
        let fault = self.fault.as_mut().filter(|fault| !fault.is_reported)?;
        // If the clock was set back, the span starts anew, because `since` may be far ahead.
        fault.since = fault.since.min(now);
        if elapsed(fault.since, now) < QUIET_SPAN {
            return None;
        }
        fault.is_reported = true;
        let (rejection, old) = (Arc::clone(&fault.rejection), self.installed.take());
        Some(Change::Broken { rejection, old })
    }
}

/// Returns what is known of a folder after an inspection, and what changed.
pub(super) fn apply(
    old: Option<FolderState>,
    inspection: Inspection,
    now: Timestamp,
) -> (Option<FolderState>, Option<Change>) {
    match (inspection, old) {
        (Inspection::Gone | Inspection::Skipped, old) => {
            (None, old.and_then(|state| state.installed).map(Change::Removed))
        }
        (Inspection::Unchanged, None) => (None, None),
        (Inspection::Unchanged, Some(mut state)) => {
            let change = state.report_if_due(now);
            (Some(state), change)
        }
        (Inspection::Valid(job, stamps), old) => install(*job, stamps, old),
        (Inspection::Invalid { rejection, stamps, touched }, old) => {
            let mut state = reject(rejection, stamps, touched.unwrap_or(now), old);
            let change = state.report_if_due(now);
            (Some(state), change)
        }
    }
}

fn install(
    job: Job,
    stamps: Stamps,
    old: Option<FolderState>,
) -> (Option<FolderState>, Option<Change>) {
    let old = old.and_then(|state| state.installed);
    let (installed, change) = match old {
        // The files were touched, but their content is the same.
        Some(old) if *old == job => (old, None),
        Some(old) => {
            let new = Arc::new(job);
            (Arc::clone(&new), Some(Change::Changed { old, new }))
        }
        None => {
            let new = Arc::new(job);
            (Arc::clone(&new), Some(Change::Added(new)))
        }
    };
    let (stamps, watch) = (stamps.hash(), FolderWatch::default());
    (Some(FolderState { stamps, watch, installed: Some(installed), fault: None }), change)
}

fn reject(
    rejection: Rejection,
    stamps: Stamps,
    touched: Timestamp,
    old: Option<FolderState>,
) -> FolderState {
    let stamps = stamps.hash();
    let (installed, before) = match old {
        // The same faults as before: inspected again because they may be temporary.
        Some(FolderState { stamps: before, installed, fault: Some(fault), .. })
            if before == stamps && fault.rejection.lines() == rejection.lines() =>
        {
            (installed, Some(fault))
        }
        Some(state) => (state.installed, None),
        None => (None, None),
    };
    let fault = before.unwrap_or_else(|| {
        let rejection = Arc::new(rejection);
        Box::new(FolderFault { rejection, since: touched, is_reported: false })
    });
    FolderState { stamps, watch: FolderWatch::default(), installed, fault: Some(fault) }
}

#[cfg(test)]
mod tests;
