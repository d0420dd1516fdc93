//! `spool`: what is where in the scheduler's spool, and what is stuck.
//!
//! The real scheduler's spool and that of the platform for one host are laid out alike,
//! and as the runner's: action and command go from folder to folder. It is read without a
//! lock, while a scheduler works in it or not: what is gone meanwhile has moved on.

mod entry;
mod listing;
mod look;
mod page;
mod stuck;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use super::place::{Source, disk};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use look::Report;

/// Show the scheduler's spool: how many where, what is stuck
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mig-data spool
  mig-data spool --fail-if-any /srv/mig/spool")]
pub(super) struct Spool {
    /// The spool [default: that of the configuration, or /var/cache/mig]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    /// Exit with status 1 if anything is stuck, for monitors
    #[arg(long)]
    fail_if_any: bool,
}

impl Spool {
    /// Shows it.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        let root = match &self.folder {
            Some(folder) => folder.clone(),
            None => source.spool()?,
        };
        let report = Report::read(&disk(), &root, SystemClock.now())?;
        if self.json {
            output::json_pretty(&report)?;
        } else {
            for (style, line) in page::lines(&report) {
                output::styled(style, line)?;
            }
        }
        let is_stuck = !report.stuck.is_empty();
        Ok(if is_stuck && self.fail_if_any { Exit::Attention } else { Exit::Done })
    }
}
