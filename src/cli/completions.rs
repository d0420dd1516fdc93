//! `completions`: shell completion scripts, generated from the definition of the command lines.

use clap::{Command, ValueEnum};
use clap_complete::generate;

use super::failure::Failure;
use super::output;
use crate::exit::Exit;

/// Print a shell completion script
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// The shells whose completions are tested.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    /// Prints the completion script for the command lines of `command`.
    pub(crate) fn run(&self, mut command: Command) -> Result<Exit, Failure> {
        let shell = match self.shell {
            Shell::Bash => clap_complete::Shell::Bash,
            Shell::Zsh => clap_complete::Shell::Zsh,
            Shell::Fish => clap_complete::Shell::Fish,
        };
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        generate(shell, &mut command, &name, &mut script);
        let mut script = String::from_utf8_lossy(&script).into_owned();
        if shell == clap_complete::Shell::Bash {
            // In case labels, the generator treats the hyphen in the program's name as a separator
            // of subcommands. Without this replacement, no subcommand would be completed.
            let (label, root) = (name.replace('-', "__subcmd__"), name.replace('-', "__"));
            script = script.replace(&label, &root);
        }
        output::raw(&script)?;
        Ok(Exit::Done)
    }
}
