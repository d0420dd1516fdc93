//! What a look at a folder means for the job that was there before. Pure.
//!
//! A job that is copied in piece by piece, or edited in place, is bad for a moment.
//! So a bad folder is reported only when it was left alone for [`QUIET_SPAN`], and
//! until then the job that was installed from it stays.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::load::Seen;
use super::{Job, Rejection, Stamps};
use crate::clock::{after, elapsed};

/// How long a bad folder must be left alone before it is reported.
pub(crate) const QUIET_SPAN: Duration = Duration::from_secs(5);

/// A change to the jobs, to be logged and followed by the schedule.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A job is new.
    Added(Arc<Job>),
    /// Its old configuration is removed, the new one installed.
    Changed { old: Arc<Job>, new: Arc<Job> },
    /// A job is gone.
    Removed(Arc<Job>),
    /// A name in the folder of jobs is not a folder that a person made; this is said once.
    Skipped(PathBuf),
    /// A folder is no job; this is said once.
    Broken {
        rejection: Arc<Rejection>,
        /// The job that was installed from it and is removed.
        old: Option<Arc<Job>>,
    },
}

/// What is known of a folder.
#[derive(Debug)]
pub(crate) struct State {
    stamps: Stamps,
    installed: Option<Arc<Job>>,
    fault: Option<Fault>,
}

#[derive(Debug)]
struct Fault {
    rejection: Arc<Rejection>,
    /// Since when the folder was left alone.
    since: Timestamp,
    is_reported: bool,
}

impl State {
    /// Returns the job that is in force.
    pub(super) fn installed(&self) -> Option<&Arc<Job>> {
        self.installed.as_ref()
    }

    /// Returns what is wrong with the folder, whether it was reported or not.
    pub(super) fn rejection(&self) -> Option<&Arc<Rejection>> {
        self.fault.as_ref().map(|fault| &fault.rejection)
    }

    /// Returns what the files must be for the folder to be as it was; `None` if it must be read again anyway.
    pub(super) fn stamps(&self) -> Option<Stamps> {
        let is_passing = self.fault.as_ref().is_some_and(|fault| fault.rejection.is_passing());
        (!is_passing).then_some(self.stamps)
    }

    /// Returns when the folder is to be looked at again, if it is bad and that was not reported.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        let fault = self.fault.as_ref().filter(|fault| !fault.is_reported)?;
        Some(after(fault.since, QUIET_SPAN))
    }

    /// Reports a fault whose time has come.
    fn ripen(&mut self, now: Timestamp) -> Option<Change> {
        let fault = self.fault.as_mut().filter(|fault| !fault.is_reported)?;
        // The clock was set back: it would be as long until it is ahead again.
        fault.since = fault.since.min(now);
        if elapsed(fault.since, now) < QUIET_SPAN {
            return None;
        }
        fault.is_reported = true;
        let (rejection, old) = (Arc::clone(&fault.rejection), self.installed.take());
        Some(Change::Broken { rejection, old })
    }
}

/// Returns what is known of a folder after a look at it, and what changed.
pub(super) fn settle(
    old: Option<State>,
    seen: Seen,
    now: Timestamp,
) -> (Option<State>, Option<Change>) {
    match (seen, old) {
        (Seen::Gone | Seen::Skipped, old) => {
            (None, old.and_then(|state| state.installed).map(Change::Removed))
        }
        (Seen::Unchanged, None) => (None, None),
        (Seen::Unchanged, Some(mut state)) => {
            let change = state.ripen(now);
            (Some(state), change)
        }
        (Seen::Sound(job, stamps), old) => install(*job, stamps, old),
        (Seen::Bad { rejection, stamps, touched }, old) => {
            let mut state = reject(rejection, stamps, touched.unwrap_or(now), old);
            let change = state.ripen(now);
            (Some(state), change)
        }
    }
}

fn install(job: Job, stamps: Stamps, old: Option<State>) -> (Option<State>, Option<Change>) {
    let old = old.and_then(|state| state.installed);
    let (installed, change) = match old {
        // Its files were touched and say what they said.
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
    (Some(State { stamps, installed: Some(installed), fault: None }), change)
}

fn reject(rejection: Rejection, stamps: Stamps, touched: Timestamp, old: Option<State>) -> State {
    let (installed, before) = match old {
        // As bad as it was: seen again because it could not be read, or is incomplete.
        Some(State { stamps: before, installed, fault: Some(fault) })
            if before == stamps && fault.rejection.lines() == rejection.lines() =>
        {
            (installed, Some(fault))
        }
        Some(state) => (state.installed, None),
        None => (None, None),
    };
    let fault = before.unwrap_or_else(|| Fault {
        rejection: Arc::new(rejection),
        since: touched,
        is_reported: false,
    });
    State { stamps, installed, fault: Some(fault) }
}

#[cfg(test)]
mod tests;
