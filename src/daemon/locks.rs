//! Checks that the spool and the jobs folder are still those that this runner has locked.
//!
//! **Failure.** A replaced spool ends the daemon at once, because nothing that it could still write
//! would reach the runs that it knows. This is like a crash: the next start with the real spool
//! recovers the runs.

use std::path::PathBuf;

use slog::{Logger, error, warn};

use crate::chain::Chain;
use crate::disk::{FolderLock, PathState};
use crate::spool::{Spool, SpoolError};

/// The result of a check.
#[derive(Debug)]
pub(super) enum LockState {
    /// Both are still locked, as far as can be seen.
    Held,
    /// The jobs folder was replaced, and the new one is now locked.
    JobsReplaced,
    /// The spool was replaced, or another runner has locked it.
    SpoolLost(SpoolError),
    /// The jobs folder was replaced, and another runner has locked the new one.
    JobsLost(PathBuf),
}

/// The lock on the jobs folder; the spool keeps its own lock.
#[derive(Debug, Default)]
pub(super) struct Locks {
    jobs: Option<FolderLock>,
}

impl Locks {
    /// Takes over the lock on the jobs folder.
    pub(super) fn hold_jobs(&mut self, jobs: FolderLock) {
        self.jobs = Some(jobs);
    }

    /// Checks both locks.
    pub(super) fn check(&mut self, spool: &mut Spool, log: &Logger) -> LockState {
        match spool.ensure_locked() {
            Ok(()) => {}
            Err(error @ (SpoolError::Replaced { .. } | SpoolError::Locked { .. })) => {
                return LockState::SpoolLost(error);
            }
            // The same disk fails elsewhere too, where it is reported.
            Err(_) => return LockState::Held,
        }
        let (disk, Some(jobs)) = (spool.disk(), &self.jobs) else { return LockState::Held };
        // No other runner uses a folder that does not exist, such as one that is being exchanged.
        if !matches!(jobs.state(disk), Ok(PathState::Replaced)) {
            return LockState::Held;
        }
        let path = jobs.folder().to_owned();
        match FolderLock::acquire(disk, &path) {
            Ok(hold) => {
                warn!(log, "jobs folder was replaced; locked the new one";
                    "path" => %path.display());
                self.jobs = Some(hold);
                LockState::JobsReplaced
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                LockState::JobsLost(path)
            }
            Err(error) => {
                error!(log, "cannot lock jobs folder"; "error" => Chain(&error));
                LockState::Held
            }
        }
    }
}
