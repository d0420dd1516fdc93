//! `completions`: what a shell needs to complete our command lines.

use clap::CommandFactory;

use super::Arguments;
use crate::cli::completions::Known;
use crate::cli::failure::Failure;
use crate::exit::Exit;

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  mig-data completions zsh > /usr/local/share/zsh/site-functions/_mig-data")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Known,
}

impl Completions {
    /// Prints them.
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        self.shell.complete(Arguments::command())
    }
}
