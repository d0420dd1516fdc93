//! The command line of `mig-standalone`, the platform for one host.
//!
//! It answers, complains and ends as `mig-runner` does; the log of a platform that
//! runs goes to stdout.

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

use super::data;
use super::failure::{self, Failure};
use crate::exit::Exit;
use crate::invocation::Program;
use crate::platform::config::PATH;
use crate::platform::{PlatformError, SpoolError};
use init::Init;
use module::Module;
use run::Run;
pub(crate) use standalone::StandaloneError;
use trial::Trial;
pub(crate) use trial::TrialError;

/// A MIG platform for one host.
#[derive(Debug, Parser)]
#[command(name = "mig-standalone", version, disable_help_subcommand = true)]
struct Arguments {
    /// The configuration
    #[arg(short, value_name = "FILE", default_value = PATH, global = true)]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What is to be done.
#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(Run),
    Init(Init),
    Try(Trial),
    Module(Module),
}

/// Runs `mig-standalone` with the arguments of this process.
pub(crate) fn main() -> ExitCode {
    super::begin(Program::Standalone);
    let done = match Arguments::try_parse() {
        Ok(arguments) => arguments.run(),
        Err(error) => super::refuse(&error),
    };
    let signal = match &done {
        Err(failure) => failure.signal(),
        Ok(_) => None,
    };
    let code = super::end(done);
    if let Some(signal) = signal {
        // All is cleared away. The shell is to know that it was a signal, so that it stops as well.
        emulate_default_handler(signal).ok();
    }
    code
}

/// Returns how a program ends that could not start a platform and its agent.
pub(super) fn start_exit(error: &StandaloneError) -> Exit {
    match error {
        StandaloneError::Platform(error) => exit(error),
        StandaloneError::Agent(_) => Exit::System,
    }
}

/// Returns how a program ends whose platform failed.
pub(super) fn exit(error: &PlatformError) -> Exit {
    match error {
        PlatformError::Busy { .. } | PlatformError::Spool(SpoolError::Locked { .. }) => {
            Exit::Locked
        }
        // What says nothing about the key may pass, or is a fault of GnuPG's configuration.
        PlatformError::Key { source, .. } if !source.is_verdict() => Exit::System,
        PlatformError::Known { .. } | PlatformError::Key { .. } => Exit::Data,
        // What is to hold a folder is not there.
        PlatformError::Disk(error) if error.kind() == io::ErrorKind::NotFound => Exit::CannotCreate,
        PlatformError::Disk(error) => failure::disk(error),
        PlatformError::Distrusted { .. } => Exit::Permission,
        PlatformError::Data(error) => data::exit(error),
        PlatformError::Spool(_)
        | PlatformError::Recover { .. }
        | PlatformError::Listen { .. }
        | PlatformError::Register(_)
        | PlatformError::Engine { .. }
        | PlatformError::Keyring { .. }
        | PlatformError::Thread { .. } => Exit::System,
    }
}

/// Returns the executable of this process.
fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|source| Failure::System { doing: "find this program's own file", source })
}

impl Arguments {
    fn run(self) -> Result<Exit, Failure> {
        match self.command.unwrap_or_else(|| Command::Run(Run::default())) {
            Command::Run(run) => {
                // mig-data reads the same configuration.
                let programs = [Program::Standalone, Program::Data];
                super::configure(&programs, &self.config, PATH);
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
    fn the_command_line_is_sound_and_is_what_the_manual_page_says() {
        let page = include_str!("../../../man/mig-standalone.8");
        Arguments::command().debug_assert();
        manual::check_commands(page, &Arguments::command());
        manual::check_options(page, Arguments::command());
    }

    #[test]
    fn a_platform_is_run_unless_something_else_is_asked_for() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' ')).unwrap();
        assert!(parse("mig-standalone -c x").command.is_none());
        assert_eq!(parse("mig-standalone").config.to_str(), Some(PATH));
        assert_eq!(parse("mig-standalone run -c x").config.to_str(), Some("x"));
        assert!(Arguments::try_parse_from(["mig-standalone", "init", "x", "--name", "y"]).is_err());
    }
}
