//! `module NAME`: what the platform's agent runs in a child process; it can be used by hand.

use std::io;

use crate::agent::child::PATH;
use crate::agent::module;
use crate::agent::modules::Surroundings;
use crate::cli::failure::Failure;
use crate::cli::{env, output};
use crate::clock::SystemClock;
use crate::exit::Exit;

/// Run a module: one message on stdin, one result on stdout
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-standalone module file < message.json")]
pub(crate) struct Module {
    /// file, netstat, ping, pkg or timedrift
    name: String,
}

impl Module {
    /// Runs it.
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let mut result = Vec::new();
        let path = env::search_path().unwrap_or_else(|| PATH.into());
        let around = Surroundings { clock: &SystemClock, path: &path };
        module::run(&self.name, io::stdin().lock(), &mut result, around)?;
        output::bytes(&result)?;
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_not_there_is_named() {
        let failure = Module { name: "nosuch".to_owned() }.run().unwrap_err();
        assert_eq!(failure.lines(), ["module 'nosuch' is not available"]);
        assert_eq!(failure.exit(), Exit::Data);
    }
}
