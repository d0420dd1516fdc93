//! `try`: runs `mig-standalone try`, which demonstrates a platform and a job on this host.
//!
//! The platform is a separate program, so that the runner needs no web server and no database. It
//! is installed beside this program and replaces this process.
//!
//! The file is not called `try.rs` because `try` is a keyword.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::cli::failure::{Explain, Failure};
use crate::cli::program::own_executable;
use crate::exit::Exit;
use crate::invocation::Program;

#[derive(Debug, thiserror::Error)]
#[error("cannot run {}: install the package mig-standalone, or build mig-runner with the feature `platform`", program.display())]
struct NoStandalone {
    program: PathBuf,
    source: io::Error,
}

impl Explain for NoStandalone {
    fn exit(&self) -> Exit {
        Exit::Unavailable
    }
}

/// Run a demonstration on this host: a complete MIG and one job
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner try --keep demo")]
pub(super) struct Try {
    /// Keep all files in this new or empty folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

impl Try {
    /// Replaces this process by `mig-standalone try`; returns only if that fails.
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let program = own_executable()?.with_file_name(Program::Standalone.name());
        let mut command = Command::new(&program);
        // So its messages name commands by the path that the user typed.
        command.arg0(Program::Standalone.path()).arg("try");
        // The trial's key has no passphrase.
        command.env_remove("MIGPGPPASSPHRASE");
        if let Some(folder) = &self.keep {
            command.arg("--keep").arg(folder);
        }
        let source = command.exec();
        Err(NoStandalone { program, source }.into())
    }
}
