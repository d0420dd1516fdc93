//! `status`: the jobs, and what is where in the spool and why.
//!
//! Read without the lock, with or without a runner. Of the folders of what is over
//! only the names are read, however many there are; of each job the record of the
//! last run, and of what is finished the newest, to find what was given up or superseded. When
//! something is tried again only a runner that works can tell.

mod attempts;
mod entries;
mod given_up;
mod job;
mod page;
mod report;
mod superseded;
#[cfg(test)]
mod tests;
mod waiting;

use super::failure::Failure;
use super::hand::Hand;
use super::installation::Installation;
use super::output;
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use report::Report;

/// Show the jobs and the spool; status 1 if something needs a person
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner status --json | jq .attention")]
pub(crate) struct Status {
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Shows the report.
    ///
    /// # Errors
    /// The jobs or the spool cannot be read.
    pub(crate) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let report = Report::read(installation, SystemClock.now())?;
        if self.json {
            let text = serde_json::to_string_pretty(&report).map_err(Failure::Encode)?;
            output::raw(&format!("{text}\n"))?;
        } else {
            for (style, line) in page::lines(&report) {
                output::styled(style, line)?;
            }
        }
        Ok(if report.attention.is_empty() { Exit::Done } else { Exit::Attention })
    }
}
