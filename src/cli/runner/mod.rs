//! The command line of `mig-runner`.

mod action;
mod check;
pub(super) mod follow;
mod init;
pub(super) mod installation;
mod key;
mod next;
pub(super) mod outcome;
mod results;
mod retry;
mod run;
pub(super) mod spool_access;
mod status;
pub(super) mod template;
mod trial;
pub(super) mod trigger;
mod trusted;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use super::completions::Completions;
use super::failure::Failure;
use super::program;
use crate::exit::Exit;
use crate::invocation::Program;
use action::Action;
use check::Check;
use init::Init;
use installation::{CONFIG_DEFAULT, Installation};
use next::Next;
use results::Results;
use retry::{Cancel, Retry};
use run::Run;
use status::Status;
use trial::Try;
use trigger::Trigger;

#[cfg(any(test, fuzzing))]
pub(crate) use results::fuzz::results as fuzz_results;

/// Runs MIG actions on a schedule and passes their results to plugins.
#[derive(Debug, Parser)]
#[command(name = "mig-runner", version, disable_help_subcommand = true)]
struct Arguments {
    /// The configuration file
    #[arg(short, value_name = "FILE", default_value = CONFIG_DEFAULT, global = true)]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(Run),
    Init(Init),
    Check(Check),
    Status(Status),
    Next(Next),
    Trigger(Trigger),
    Retry(Retry),
    Cancel(Cancel),
    Action(Action),
    Results(Results),
    #[command(after_help = "Examples:
  mig-runner completions bash > /etc/bash_completion.d/mig-runner
  mig-runner completions zsh > /usr/local/share/zsh/site-functions/_mig-runner
  mig-runner completions fish > ~/.config/fish/completions/mig-runner.fish")]
    Completions(Completions),
    Try(Try),
}

/// Runs `mig-runner` with the arguments of this process.
pub(crate) fn main() -> ExitCode {
    program::run(Program::Runner, || {
        program::end(match Arguments::try_parse() {
            Ok(arguments) => arguments.run(),
            Err(error) => program::answer_without_command(&error),
        })
    })
}

impl Arguments {
    fn run(self) -> Result<Exit, Failure> {
        program::set_config(&[Program::Runner], &self.config, CONFIG_DEFAULT);
        let load = || Installation::load(&self.config);
        match self.command.unwrap_or_else(|| Command::Run(Run::default())) {
            Command::Run(run) => run.run(&Installation::load_for_daemon(&self.config)?),
            Command::Init(init) => init.run(),
            Command::Check(check) => check.run(&Installation::load_for_check(&self.config)?),
            Command::Next(next) => next.run(load),
            Command::Status(status) => status.run(&load()?),
            Command::Trigger(trigger) => trigger.run(&load()?),
            Command::Retry(retry) => retry.run(&load()?),
            Command::Cancel(cancel) => cancel.run(&load()?),
            Command::Action(action) => action.run(load),
            Command::Results(results) => results.run(&load()?),
            Command::Completions(completions) => completions.run(Arguments::command()),
            Command::Try(trial) => trial.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{env, manual};

    #[test]
    fn manual_page_matches_command_line() {
        let page = include_str!("../../../man/mig-runner.8");
        Arguments::command().debug_assert();
        manual::check_commands(page, &Arguments::command());
        manual::check_options(page, Arguments::command());
        manual::check_variables(page, &env::VARIABLES);
        manual::check_gnupg_variables(page);
        manual::check_exits(page, &Exit::ALL);
    }
}
