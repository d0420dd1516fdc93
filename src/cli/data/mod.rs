//! The command line of `mig-data`, for administrators of a platform, the original one or
//! `mig-standalone`: the database and the scheduler's spool.
//!
//! **Invariants.** A command that only shows something opens the database for reading only. A
//! command that changes something does so in one transaction and reports it in one line. No
//! argument contains a secret.

mod actions;
mod agents;
mod failure;
mod investigator;
mod listing;
mod schema;
mod source;
mod spool;
mod target;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use super::completions::Completions;
use super::failure::Failure;
use super::program;
use crate::exit::Exit;
use crate::invocation::Program;
use actions::{Actions, Commands};
use agents::Agents;
#[cfg(feature = "platform")]
pub(super) use failure::DataFailure;
use investigator::Investigator;
#[cfg(feature = "platform")]
pub(super) use investigator::read_key;
use schema::Schema;
use source::DataSource;
use spool::Spool;

/// Manage MIG's data: tables, investigators, agents, actions, scheduler's spool
#[derive(Debug, Parser)]
#[command(name = "mig-data", version, disable_help_subcommand = true)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct Arguments {
    /// Configuration
    #[arg(short, long, value_name = "FILE", default_value = source::CONFIG_DEFAULT, global = true)]
    config: PathBuf,
    /// Database: postgres://USER@HOST/NAME or sqlite:FILE
    #[arg(short, long, value_name = "URL", conflicts_with = "config", global = true)]
    database: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Schema(Schema),
    Investigator(Investigator),
    Agents(Agents),
    Actions(Actions),
    Commands(Commands),
    Spool(Spool),
    #[command(after_help = "Example:
  mig-data completions zsh > /usr/local/share/zsh/site-functions/_mig-data")]
    Completions(Completions),
}

/// Runs `mig-data` with the arguments of this process.
pub(crate) fn main() -> ExitCode {
    program::run(Program::Data, || {
        program::end(match Arguments::try_parse() {
            Ok(arguments) => arguments.run(),
            Err(error) => program::answer_without_command(&error),
        })
    })
}

impl Arguments {
    fn run(self) -> Result<Exit, Failure> {
        let source = DataSource::new(self.config, self.database);
        source.name_in_commands();
        match self.command {
            Command::Schema(schema) => schema.run(&source),
            Command::Investigator(investigator) => investigator.run(&source),
            Command::Agents(agents) => agents.run(&source),
            Command::Actions(actions) => actions.run(&source),
            Command::Commands(commands) => commands.run(&source),
            Command::Spool(spool) => spool.run(&source),
            Command::Completions(completions) => completions.run(Arguments::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{env, manual};

    #[test]
    fn command_line_matches_the_manual_page() {
        let page = include_str!("../../../man/mig-data.8");
        Arguments::command().debug_assert();
        manual::check_commands(page, &Arguments::command());
        manual::check_options(page, Arguments::command());
        manual::check_variables(page, &env::DATA_VARIABLES);
        manual::check_gnupg_variables(page);
        manual::check_exits(page, &Exit::ALL);
    }
}
