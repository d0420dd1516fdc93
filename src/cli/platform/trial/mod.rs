//! `try`: a whole MIG on this host, and the sample job through it to its plugin.
//!
//! The platform runs in this process, the runner is the real one in a process of its
//! own: what is shown is what an installation does. The run is triggered and
//! followed by the code of `mig-runner trigger --wait`.
//!
//! **Invariants.** Nothing listens but on loopback, nothing is made outside of one
//! folder, no process is left behind: however a trial ends, runner, platform and
//! GnuPG's agents have ended before.
//!
//! **Failure.** Each wait has a deadline. What failed is told with the last lines of
//! the runner's log; a signal ends the trial like a failure, at the next look.

mod place;
mod report;
mod runner;
mod site;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::failure::Failure;
use crate::cli::output;
use crate::exit::Exit;
use crate::pgp::GenerateError;
use place::Place;
use site::Site;

/// Try it all on this host: a whole MIG, and a job through it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-standalone try --keep demo")]
pub(crate) struct Trial {
    /// Keep it all in this folder, new or empty, to go on with
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Why a trial failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrialError {
    /// The runner is not installed.
    #[error("{} is not there: mig-runner and mig-standalone belong into one folder", path.display())]
    NoRunner {
        /// Where it would be.
        path: PathBuf,
    },
    /// GnuPG could not find the sockets of its agent there.
    #[error("{} is too long a name for the sockets of GnuPG: name a folder of at most {bytes_max} bytes", path.display())]
    Long {
        /// The folder.
        path: PathBuf,
        /// How long it may be.
        bytes_max: usize,
    },
    /// There is no key.
    #[error("cannot make a key to sign with: is GnuPG installed (gpg, gpg-agent, gpgconf)?")]
    Key(#[source] GenerateError),
    /// A file of the template is not as it was.
    #[error("cannot set up the sample job: {} has no {text:?}", path.display())]
    Template {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        text: &'static str,
    },
    /// A process could not be started or ended.
    #[error("cannot {doing}")]
    Process {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The runner has gone.
    #[error("the runner ended by itself ({status})")]
    Ended {
        /// How.
        status: std::process::ExitStatus,
    },
    /// Something that must come did not.
    #[error("{what} did not come within {} s", span.as_secs())]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        span: Duration,
    },
    /// The run did not go through.
    #[error("the run did not go through: {reason}")]
    Failed {
        /// Why.
        reason: String,
    },
    /// The temporary folder is still there.
    #[error("cannot remove {}", path.display())]
    Remove {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody wanted it to end.
    #[error("interrupted; all that was started has ended{}", .kept.as_ref().map_or(", and its folder is removed".to_owned(), |kept| format!(": what there is stays in {}", kept.display())))]
    Interrupted {
        /// By which signal.
        signal: i32,
        /// What is not removed.
        kept: Option<PathBuf>,
    },
}

impl TrialError {
    /// Returns how the program ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            TrialError::NoRunner { .. }
            | TrialError::Key(_)
            | TrialError::Ended { .. }
            | TrialError::Late { .. }
            | TrialError::Failed { .. } => Exit::Unavailable,
            TrialError::Long { .. } => Exit::CannotCreate,
            TrialError::Template { .. } => Exit::Software,
            TrialError::Process { .. } | TrialError::Interrupted { .. } => Exit::System,
            TrialError::Remove { .. } => Exit::Io,
        }
    }
}

/// The signals that end a trial.
#[derive(Debug)]
struct Interrupts {
    signals: Signals,
    first: Option<i32>,
}

impl Interrupts {
    /// Catches the signals from now on. Those after the first change nothing: clearing away has
    /// limits of its own.
    fn listen() -> Result<Interrupts, Failure> {
        match Signals::new([SIGINT, SIGTERM, SIGHUP]) {
            Ok(signals) => Ok(Interrupts { signals, first: None }),
            Err(source) => Err(Failure::System { doing: "wait for signals", source }),
        }
    }

    /// Returns the first signal, if one has come.
    fn signal(&mut self) -> Option<i32> {
        self.first = self.first.or_else(|| self.signals.pending().next());
        self.first
    }
}

impl Trial {
    /// Runs the trial.
    ///
    /// # Errors
    /// Something on the way failed, or somebody has stopped it.
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        // Before anything is made.
        let interrupts = Interrupts::listen()?;
        let runner = runner::program()?;
        let standalone = super::program()?;
        let place = Place::make(self.keep.as_deref())?;
        introduce(&place)?;
        let mut site = Site::new(place, interrupts, standalone, runner);
        let tried = site.attempt();
        let tried = tried.map_err(|failure| site.explain(failure));
        let cleared = site.clear();
        tried?;
        cleared?;
        site.conclude()?;
        Ok(Exit::Done)
    }
}

/// Says what is going to happen.
fn introduce(place: &Place) -> Result<(), Failure> {
    output::raw(&format!(
        "\
A whole MIG on this host: a platform with one agent, a runner, and a key to sign
with. The runner sends out its sample job \"setuid\", which looks for set-uid and
set-gid programs. Nothing leaves this host{}.

",
        if place.is_kept() { "" } else { ", and nothing stays on it" }
    ))
}
