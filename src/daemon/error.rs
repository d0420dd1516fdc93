//! The errors that end the daemon.

use std::path::PathBuf;

use super::signals::SignalError;
use crate::spool::SpoolError;

/// Why the daemon cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// The spool cannot be read at start.
    #[error("cannot start")]
    Spool {
        #[from]
        source: SpoolError,
    },
    /// The spool was replaced, or another runner has locked it.
    #[error("cannot continue")]
    Lost { source: SpoolError },
    /// The jobs folder was replaced, and another runner has locked the new one.
    #[error("another runner is using the jobs in {}: stop it first", path.display())]
    JobsHeld {
        /// The jobs folder.
        path: PathBuf,
    },
    /// The signal handlers cannot be installed.
    #[error(transparent)]
    Signals {
        #[from]
        source: SignalError,
    },
}
