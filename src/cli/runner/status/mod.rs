//! `status`: the jobs, the contents of the spool, and what each run is waiting for.
//!
//! It takes no lock and works with or without a running runner. To stay fast with any number of
//! finished runs, it reads only the file names of `done` folders, the record of each job's last
//! run, and the newest finished records, to find given-up and superseded runs. Retry times come
//! from the retry report of a running runner.

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

use super::installation::Installation;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use report::Report;

/// Show jobs and spool; exit status 1 if something needs attention
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner status --json | jq .attention")]
pub(super) struct Status {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let report = Report::read(installation, SystemClock.now())?;
        if self.json {
            output::json_pretty(&report)?;
        } else {
            for (style, line) in page::lines(&report) {
                output::styled(style, line)?;
            }
        }
        Ok(if report.attention.is_empty() { Exit::Done } else { Exit::Attention })
    }
}
