//! `completions`: what a shell needs to complete our command lines.

use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::{Shell, generate};

use super::failure::Failure;
use super::{Arguments, output};
use crate::exit::Exit;

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mig-runner completions bash > /etc/bash_completion.d/mig-runner
  mig-runner completions zsh > /usr/local/share/zsh/site-functions/_mig-runner
  mig-runner completions fish > ~/.config/fish/completions/mig-runner.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Known,
}

/// The shells whose completions are tried in the tests.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Known {
    /// GNU Bash.
    Bash,
    /// The Z shell.
    Zsh,
    /// The friendly one.
    Fish,
}

impl Completions {
    /// Prints them.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        self.shell.complete(Arguments::command())
    }
}

impl Known {
    /// Prints what the shell needs to complete a program's command lines.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn complete(self, mut command: Command) -> Result<Exit, Failure> {
        let shell = match self {
            Known::Bash => Shell::Bash,
            Known::Zsh => Shell::Zsh,
            Known::Fish => Shell::Fish,
        };
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        generate(shell, &mut command, &name, &mut script);
        let mut script = String::from_utf8_lossy(&script).into_owned();
        if shell == Shell::Bash {
            // The generator takes the hyphen of a program for the beginning of a subcommand, in the labels
            // of its cases alone: nothing below the program would be completed.
            let (label, root) = (name.replace('-', "__subcmd__"), name.replace('-', "__"));
            script = script.replace(&label, &root);
        }
        output::raw(&script)?;
        Ok(Exit::Done)
    }
}
