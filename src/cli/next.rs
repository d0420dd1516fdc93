//! `next`: when a job, or an expression that is no job's yet, comes next.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::failure::Failure;
use super::installation::{Installation, machine_zone};
use super::output;
use crate::chain::Chain;
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use crate::names::JobName;
use crate::schedule::{Cron, zone};

/// How many times are shown unless the command line says otherwise.
const COUNT_DEFAULT: u32 = 5;
/// The most times that are shown.
const COUNT_MAX: i64 = 100_000;

/// Show the coming times of a job or of a schedule, one a line
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "mig-runner next [OPTIONS] (JOB | --cron EXPR)",
    after_help = "Example:\n  mig-runner next --cron '30 2 * * 1-5' --timezone Europe/Paris -n 3"
)]
pub(crate) struct Next {
    /// The job: a folder of runners/
    #[arg(value_name = "JOB", required_unless_present = "cron", conflicts_with = "cron")]
    job: Option<JobName>,
    /// A schedule; no configuration is needed then
    #[arg(long, value_name = "EXPR")]
    cron: Option<String>,
    /// How many times
    #[arg(short, value_name = "N", default_value_t = COUNT_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=COUNT_MAX))]
    n: u32,
    /// Times later than this one (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// The zone, an IANA name [default: the job's or ours]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
}

/// Reads a time of the command line.
fn time(text: &str) -> Result<Timestamp, &'static str> {
    text.parse().map_err(|_| "write it as 2026-11-22T12:00:00Z or 2026-11-22T13:00:00+01:00")
}

impl Next {
    /// Shows the times; `load` reads the configuration, for a job.
    ///
    /// # Errors
    /// The schedule is refused, or there is no such job.
    pub(crate) fn run(
        &self,
        load: impl FnOnce() -> Result<Installation, Failure>,
    ) -> Result<Exit, Failure> {
        let now = SystemClock.now();
        let named = self.timezone.as_deref().map(zone::find).transpose()?;
        let (cron, zone) = match (&self.cron, &self.job) {
            (None, Some(name)) => {
                let job = load()?.job(name, now)?;
                if let Some(warning) = &job.warning {
                    output::message(warning);
                }
                if job.config.paused {
                    output::message(format!("{name} is paused: its times pass without a run"));
                }
                (Cron::clone(&job.schedule), named.unwrap_or_else(|| job.zone.clone()))
            }
            // One of the two is there: the command line demands it.
            (cron, _) => {
                let cron: Cron = cron.as_deref().unwrap_or_default().parse()?;
                (cron, named.unwrap_or_else(local))
            }
        };
        self.show(&cron, &zone, self.from.unwrap_or(now))
    }

    fn show(&self, cron: &Cron, zone: &TimeZone, from: Timestamp) -> Result<Exit, Failure> {
        // Without any time it is refused, as it would be for a job.
        cron.check_at(from, zone)?;
        let mut last = from;
        for _ in 0..self.n {
            let Some(next) = cron.next_after(last, zone) else {
                output::message(format!("the schedule is finished: it never fires after {last}"));
                break;
            };
            output::answer(in_zone(next, zone))?;
            last = next;
        }
        Ok(Exit::Done)
    }
}

fn local() -> TimeZone {
    let (zone, unknown) = machine_zone();
    if let Some(error) = unknown {
        output::message(format!("the times are in UTC: {}", Chain(&error)));
    }
    zone
}

/// Returns a time in RFC 3339 with the offset of its zone, `Z` for none, as Go writes it.
pub(crate) fn in_zone(at: Timestamp, zone: &TimeZone) -> String {
    let offset = zone.to_offset(at);
    if offset == Offset::UTC { at.to_string() } else { at.display_with_offset(offset).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        let zone = zone::find("Europe/London").unwrap();
        for (at, text) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-07-02T03:04:05Z", "2026-07-02T04:04:05+01:00"),
        ] {
            assert_eq!(in_zone(at.parse().unwrap(), &zone), text);
        }
    }
}
