//! `spool`: what is where in the scheduler's spool, and what is stuck.

use super::place::Source;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::exit::Exit;

/// Show the scheduler's spool
#[derive(Debug, clap::Args)]
pub(super) struct Spool {}

impl Spool {
    /// Shows it.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        output::answer(source.spool()?.display())?;
        Ok(Exit::Done)
    }
}
