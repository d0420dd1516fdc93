//! `try`: starts a platform and a runner on this host, and follows one run of the sample job.
//!
//! The platform runs in this process; the runner is the installed program, in a child process. The
//! output therefore shows what a real installation does. The run is created and followed by the
//! code of `mig-runner trigger --wait`.
//!
//! **Invariants.** The platform listens on loopback only. All files are in one folder. However the
//! trial ends, the runner, the platform and GnuPG's agents have ended before this process.
//!
//! **Failure.** Every wait has a timeout. A failure is reported with the last lines of the runner's
//! log. A signal ends the trial in the same way as a failure.

mod error;
mod folder;
mod report;
mod runner;
mod session;

use std::path::PathBuf;

use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::program::own_executable;
use crate::exit::Exit;
use folder::TrialFolder;
use session::{Interrupts, Session};

/// Run a demonstration on this host: a complete MIG and one job
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-standalone try --keep demo")]
pub(super) struct Try {
    /// Keep all files in this new or empty folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

impl Try {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        // Catch signals before anything is created.
        let interrupts = Interrupts::catch()?;
        let runner = runner::program()?;
        let standalone = own_executable()?;
        let folder = TrialFolder::create(self.keep.as_deref())?;
        introduce(&folder)?;
        let mut session = Session::new(folder, interrupts, standalone, runner);
        let ran = session.run();
        let ran = ran.map_err(|failure| session.explain(failure));
        let cleaned_up = session.clean_up();
        ran?;
        cleaned_up?;
        session.conclude()?;
        Ok(Exit::Done)
    }
}

fn introduce(folder: &TrialFolder) -> Result<(), Failure> {
    output::raw(&format!(
        "\
A demonstration of MIG on this host: a platform with one agent, a runner, and a
signing key. The runner sends its sample job \"setuid\", which looks for set-uid
and set-gid programs. Nothing is sent to other hosts{}.

",
        if folder.is_kept() { "" } else { ".\nAll files are removed at the end" }
    ))
}
