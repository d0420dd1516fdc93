//! `module NAME`: runs one module. The platform's agent uses it as a child process; it can also be
//! run by hand.

use std::io;

use crate::agent::child::PATH;
use crate::agent::module::{self, RunError};
use crate::agent::modules::ModuleContext;
use crate::cli::failure::{Explain, Failure};
use crate::cli::{env, output};
use crate::clock::SystemClock;
use crate::exit::Exit;

impl Explain for RunError {
    fn exit(&self) -> Exit {
        Exit::Data
    }
}

/// Run a module: reads a message from stdin, prints the result
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-standalone module file < message.json")]
pub(super) struct Module {
    /// file, netstat, ping, pkg or timedrift
    name: String,
}

impl Module {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let mut result = Vec::new();
        let path = env::search_path().unwrap_or_else(|| PATH.into());
        let context = ModuleContext { clock: &SystemClock, path: &path };
        module::run(&self.name, io::stdin().lock(), &mut result, context)?;
        output::bytes(&result)?;
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_module_is_named() {
        let failure = Module { name: "nosuch".to_owned() }.run().unwrap_err();
        assert_eq!(failure.lines(), ["module 'nosuch' is not available"]);
        assert_eq!(failure.exit(), Exit::Data);
    }
}
