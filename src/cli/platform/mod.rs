//! The command line of `mig-standalone`, the platform for one host.
//!
//! A running platform logs to stdout.

mod init;
mod module;
mod run;
mod standalone;
mod trial;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use signal_hook::low_level::emulate_default_handler;

use super::failure::{Explain, Failure};
use super::program;
use crate::exit::Exit;
use crate::invocation::Program;
use crate::platform::config::PATH;
use crate::platform::{PlatformError, SpoolError};
use init::Init;
use module::Module;
use run::Run;
pub(crate) use standalone::StandaloneError;
use trial::Try;

/// A MIG platform for one host.
#[derive(Debug, Parser)]
#[command(name = "mig-standalone", version, disable_help_subcommand = true)]
struct Arguments {
    /// Configuration file
    #[arg(short, value_name = "FILE", default_value = PATH, global = true)]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(Run),
    Init(Init),
    Try(Try),
    Module(Module),
}

/// Runs `mig-standalone` with the arguments of this process.
pub(crate) fn main() -> ExitCode {
    program::run(Program::Standalone, run)
}

fn run() -> ExitCode {
    let done = match Arguments::try_parse() {
        Ok(arguments) => arguments.run(),
        Err(error) => program::answer_without_command(&error),
    };
    let signal = match &done {
        Err(failure) => failure.signal(),
        Ok(_) => None,
    };
    let code = program::end(done);
    if let Some(signal) = signal {
        // The cleanup is complete. End by the signal, so that a shell script that runs this program
        // stops as well.
        emulate_default_handler(signal).ok();
    }
    code
}

impl Explain for StandaloneError {
    fn exit(&self) -> Exit {
        match self {
            StandaloneError::Platform(error) => error.exit(),
            StandaloneError::Agent(_) => Exit::System,
        }
    }
}

impl Explain for PlatformError {
    fn exit(&self) -> Exit {
        match self {
            PlatformError::Busy { .. } | PlatformError::Spool(SpoolError::Locked { .. }) => {
                Exit::Locked
            }
            // The key could not be checked: the error is temporary, or caused by the configuration
            // of GnuPG.
            PlatformError::Key { source, .. } if !source.is_verdict() => Exit::System,
            PlatformError::Known { .. } | PlatformError::Key { .. } => Exit::Data,
            // The parent of a folder to be created does not exist.
            PlatformError::Disk(error) if error.kind() == io::ErrorKind::NotFound => {
                Exit::CannotCreate
            }
            PlatformError::Disk(error) => error.exit(),
            PlatformError::Distrusted { .. } => Exit::Permission,
            PlatformError::Data(error) => error.exit(),
            PlatformError::Spool(_)
            | PlatformError::Recover { .. }
            | PlatformError::Listen { .. }
            | PlatformError::Register(_)
            | PlatformError::Engine { .. }
            | PlatformError::Keyring { .. }
            | PlatformError::Thread { .. } => Exit::System,
        }
    }
}

impl Arguments {
    fn run(self) -> Result<Exit, Failure> {
        match self.command.unwrap_or_else(|| Command::Run(Run::default())) {
            Command::Run(run) => {
                // mig-data reads the same configuration.
                let programs = [Program::Standalone, Program::Data];
                program::set_config(&programs, &self.config, PATH);
                run.run(&self.config)
            }
            Command::Init(init) => init.run(),
            Command::Try(trial) => trial.run(),
            Command::Module(module) => module.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::manual;

    #[test]
    fn manual_page_matches_command_line() {
        let page = include_str!("../../../man/mig-standalone.8");
        Arguments::command().debug_assert();
        manual::check_commands(page, &Arguments::command());
        manual::check_options(page, Arguments::command());
        manual::check_gnupg_variables(page);
    }

    #[test]
    fn run_is_the_default_command() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' ')).unwrap();
        assert!(parse("mig-standalone -c x").command.is_none());
        assert_eq!(parse("mig-standalone").config.to_str(), Some(PATH));
        assert_eq!(parse("mig-standalone run -c x").config.to_str(), Some("x"));
        assert!(Arguments::try_parse_from(["mig-standalone", "init", "x", "--name", "y"]).is_err());
    }
}
