//! `try`: a one-host MIG and the sample job through it, by `mig-standalone`.
//!
//! The platform is a program of its own, so that a runner needs no web server and no
//! database. It is installed beside this one, and takes this one's place.
//!
//! (The file is called `trial` because `try` is a word of the language.)

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use super::failure::Failure;
use crate::exit::Exit;
use crate::invocation::Program;

/// Try it all on this host: a whole MIG, and a job through it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner try --keep demo")]
pub(crate) struct Trial {
    /// Keep it all in this folder, new or empty, to go on with
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

impl Trial {
    /// Becomes `mig-standalone try`.
    ///
    /// # Errors
    /// It is not installed, or cannot be run.
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let own = std::env::current_exe()
            .map_err(|source| Failure::System { doing: "find this program's own file", source })?;
        let program = own.with_file_name(Program::Standalone.name());
        let mut command = Command::new(&program);
        // Its messages then name commands as the user calls ours.
        command.arg0(Program::Standalone.path()).arg("try");
        if let Some(folder) = &self.keep {
            command.arg("--keep").arg(folder);
        }
        // It returns only if it has failed.
        let source = command.exec();
        Err(Failure::NoStandalone { program, source })
    }
}
