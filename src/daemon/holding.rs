//! Whether the spool and the jobs are still those that this runner has locked.
//!
//! **Failure.** A spool that was replaced ends the daemon at once: nothing that it could write would
//! reach the runs that it knows. It is as if it had crashed, and the next start with the real spool
//! finds out what became of them.

use std::time::Instant;

use slog::{error, warn};

use super::{Daemon, DaemonError, Event, STOP_SPAN};
use crate::chain::Chain;
use crate::disk::{PathLock, PathState};
use crate::spool::SpoolError;
use crate::wake::Hint;

impl Daemon {
    /// Has the folder of all jobs held for this runner.
    pub(crate) fn holding(self, jobs: PathLock) -> Daemon {
        Daemon { jobs: Some(jobs), ..self }
    }

    /// Makes sure that spool and jobs are this runner's.
    ///
    /// # Errors
    /// The spool was replaced, or another runner has it or the jobs.
    pub(super) fn keep_hold(&mut self) -> Result<(), DaemonError> {
        match self.engine.parts.spool.hold() {
            Ok(()) => {}
            Err(source @ (SpoolError::Replaced { .. } | SpoolError::Locked { .. })) => {
                self.abandon();
                return Err(DaemonError::Lost { source });
            }
            // The same disk fails in other places, which report it.
            Err(_) => return Ok(()),
        }
        let Some(jobs) = &self.jobs else { return Ok(()) };
        let disk = self.engine.parts.spool.disk();
        // A folder that is missing, as while it is being exchanged, is not in use by another runner.
        if !matches!(jobs.state(disk), Ok(PathState::Replaced)) {
            return Ok(());
        }
        let path = jobs.path().to_owned();
        match PathLock::acquire(disk, &path) {
            Ok(hold) => {
                warn!(self.log, "the folder of all jobs was replaced, and is locked anew";
                    "path" => %path.display());
                self.jobs = Some(hold);
                self.engine.hear(&Hint::Everything);
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                self.stop.ask();
                self.finish();
                Err(DaemonError::JobsHeld { path })
            }
            Err(error) => {
                error!(self.log, "cannot lock the folder of all jobs"; "error" => Chain(&error));
                Ok(())
            }
        }
    }

    /// Ends what is under way without writing down what became of it.
    fn abandon(&mut self) {
        self.notifying.stopping();
        self.stop.ask();
        let begun = Instant::now();
        while !self.engine.is_quiet() {
            let Some(left) = STOP_SPAN.checked_sub(begun.elapsed()) else { break };
            match self.events.recv_timeout(left) {
                Ok(Event::Done(done)) => self.engine.workers.ended(&done.task.work),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        self.engine.workers.end_leftovers();
    }
}
