//! The door: command lines in, answers and exit statuses out.
//!
//! Each subcommand is a struct with its arguments, in a file of its own. What is
//! wrong with a command line, a configuration or a job is told on stderr, a line
//! each; how the program ends follows from it in one place, [`failure`].
//!
//! **Invariants.** Help and version need nothing but this program. Only [`output`]
//! writes to stdout and stderr, only [`mod@env`] reads the environment.

mod action;
mod check;
mod completions;
#[cfg(feature = "data")]
pub(crate) mod data;
mod env;
mod failure;
mod follow;
mod hand;
mod init;
mod installation;
mod key;
mod layout;
#[cfg(test)]
mod manual;
mod next;
mod outcome;
mod output;
#[cfg(feature = "platform")]
pub(crate) mod platform;
mod results;
mod retry;
mod run;
mod status;
mod template;
mod trial;
mod trigger;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::disk::trust;
use crate::exit::Exit;
use crate::invocation::{self, Program, Start};
use action::Action;
use check::Check;
use completions::Completions;
use failure::Failure;
use init::Init;
use installation::{CONFIG_DEFAULT, Installation};
use next::Next;
use results::Results;
use retry::{Cancel, Retry};
use run::Run;
use status::Status;
use trial::Trial;
use trigger::Trigger;

/// Runs MIG actions on a schedule, collects their results and hands them to plugins.
#[derive(Debug, Parser)]
#[command(name = "mig-runner", version, disable_help_subcommand = true)]
struct Arguments {
    /// The configuration
    #[arg(short, value_name = "FILE", default_value = CONFIG_DEFAULT, global = true)]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What is to be done.
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
    Completions(Completions),
    Try(Trial),
}

/// Runs `mig-runner` with the arguments of this process.
pub(crate) fn main() -> ExitCode {
    begin(Program::Runner);
    end(match Arguments::try_parse() {
        Ok(arguments) => arguments.run(),
        Err(error) => refuse(&error),
    })
}

/// Prepares what every command of `program` needs.
fn begin(program: Program) {
    // Without the path of this file, the other programs are called as this one was.
    let file = std::env::current_exe().ok();
    let typed = std::env::args_os().next();
    invocation::begin(program, &Start { typed, file, search: env::search_path() });
    // Whatever is made, logs and documents included, is for its owner alone.
    trust::set_private_umask();
}

/// Makes the commands in messages to `programs` name the configuration, unless it is the default.
fn configure(programs: &[Program], config: &Path, default: &str) {
    if config != Path::new(default) {
        for program in programs {
            program.works_on(&["-c", &config.to_string_lossy()]);
        }
    }
}

/// Tells what failed, if anything did, and how the program ends.
fn end(done: Result<Exit, Failure>) -> ExitCode {
    let exit = done.unwrap_or_else(|failure| {
        for line in failure.lines() {
            output::message(line);
        }
        output::hint(&failure.hints());
        failure.exit()
    });
    exit.into()
}

impl Arguments {
    fn run(self) -> Result<Exit, Failure> {
        configure(&[Program::Runner], &self.config, CONFIG_DEFAULT);
        let load = || Installation::load(&self.config);
        match self.command.unwrap_or_else(|| Command::Run(Run::default())) {
            Command::Run(run) => run.run(&load()?),
            Command::Init(init) => init.run(),
            Command::Check(check) => check.run(&load()?),
            Command::Next(next) => next.run(load),
            Command::Status(status) => status.run(&load()?),
            Command::Trigger(trigger) => trigger.run(&load()?),
            Command::Retry(retry) => retry.run(&load()?),
            Command::Cancel(cancel) => cancel.run(&load()?),
            Command::Action(action) => action.run(load),
            Command::Results(results) => results.run(&load()?),
            Command::Completions(completions) => completions.run(),
            Command::Try(trial) => trial.run(),
        }
    }
}

/// Answers a command line that asks for help or the version, and refuses one that is wrong.
fn refuse(error: &clap::Error) -> Result<Exit, Failure> {
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        output::raw(&text)?;
        return Ok(Exit::Done);
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        output::message("a command is missing");
        let choice = text.lines().skip_while(|line| !line.starts_with("Usage:"));
        let choice = choice.take_while(|line| *line != "Options:");
        output::hint(
            &choice.filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>(),
        );
        return Ok(Exit::Usage);
    }
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    output::message(lines.next().unwrap_or_default());
    output::hint(&lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>());
    Ok(Exit::Usage)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
