//! Why a trial failed.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::cli::failure::Explain;
use crate::exit::Exit;
use crate::names::NameError;
use crate::pgp::GenerateError;

#[derive(Debug, thiserror::Error)]
pub(super) enum TrialError {
    #[error("{} does not exist: install mig-runner and mig-standalone in the same folder", path.display())]
    NoRunner { path: PathBuf },
    #[error("the path {} is too long for the sockets of GnuPG: name a folder of at most {bytes_max} bytes", path.display())]
    LongPath { path: PathBuf, bytes_max: usize },
    #[error("cannot create a signing key: is GnuPG installed (gpg, gpg-agent, gpgconf)?")]
    Key(#[source] GenerateError),
    #[error("cannot set up the sample job: {} does not contain {text:?}", path.display())]
    Template { path: PathBuf, text: &'static str },
    #[error("cannot set up the sample job")]
    JobName(#[source] NameError),
    #[error("cannot {doing}")]
    Process { doing: &'static str, source: io::Error },
    #[error("the runner ended unexpectedly ({status})")]
    RunnerEnded { status: ExitStatus },
    #[error("timeout: {what} did not happen within {} s", timeout.as_secs())]
    Timeout { what: String, timeout: Duration },
    #[error("the run failed: {reason}")]
    RunFailed { reason: String },
    #[error("cannot remove {}", path.display())]
    Remove { path: PathBuf, source: io::Error },
    #[error("interrupted; all processes have ended{}", .kept.as_ref().map_or(", and the folder was removed".to_owned(), |kept| format!("; the files are in {}", kept.display())))]
    Interrupted {
        signal: i32,
        /// The folder, if it is kept.
        kept: Option<PathBuf>,
    },
}

impl Explain for TrialError {
    fn exit(&self) -> Exit {
        match self {
            TrialError::NoRunner { .. }
            | TrialError::Key(_)
            | TrialError::RunnerEnded { .. }
            | TrialError::Timeout { .. }
            | TrialError::RunFailed { .. } => Exit::Unavailable,
            TrialError::LongPath { .. } => Exit::CannotCreate,
            TrialError::Template { .. } | TrialError::JobName(_) => Exit::Software,
            TrialError::Process { .. } | TrialError::Interrupted { .. } => Exit::System,
            TrialError::Remove { .. } => Exit::Io,
        }
    }

    fn signal(&self) -> Option<i32> {
        match self {
            TrialError::Interrupted { signal, .. } => Some(*signal),
            _ => None,
        }
    }
}
