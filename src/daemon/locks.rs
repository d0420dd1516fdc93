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
    /// Whether the last attempt to lock another jobs folder failed, which is logged once.
    has_failed: bool,
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
                (self.jobs, self.has_failed) = (Some(hold), false);
                LockState::JobsReplaced
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                LockState::JobsLost(path)
            }
            Err(error) => {
                if !self.has_failed {
                    error!(log, "cannot lock jobs folder; using it unlocked"; "error" => Chain(&error));
                }
                self.has_failed = true;
                LockState::Held
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Fs, RealFs};
    use crate::spool::testing::spool;
    use crate::testing::Logged;

    #[test]
    fn jobs_folder_that_cannot_be_locked_again_is_logged_once() {
        let (folder, mut spool) = spool();
        let jobs = folder.path().join("jobs");
        RealFs.make_folder(&jobs).unwrap();
        let (mut locks, logged) = (Locks::default(), Logged::default());
        locks.hold_jobs(FolderLock::acquire(spool.disk(), &jobs).unwrap());
        RealFs.unlink(&FolderLock::file(&jobs)).unwrap();
        RealFs.make_folder(&FolderLock::file(&jobs)).unwrap();
        for _ in 0..2 {
            assert!(matches!(locks.check(&mut spool, &logged.logger()), LockState::Held));
        }
        let lines = logged.take();
        assert!(lines.len() == 1 && lines[0].contains("using it unlocked"), "{lines:?}");
        RealFs.remove_folder(&FolderLock::file(&jobs)).unwrap();
        assert!(matches!(locks.check(&mut spool, &logged.logger()), LockState::JobsReplaced));
    }
}
