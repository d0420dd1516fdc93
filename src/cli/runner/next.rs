//! `next`: the next times of a job, or of a schedule given on the command line.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::installation::{Installation, machine_zone};
use crate::chain::Chain;
use crate::cli::failure::{Explain, Failure};
use crate::cli::output;
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use crate::names::JobName;
use crate::schedule::{Cron, ScheduleError, zone};

const COUNT_DEFAULT: u32 = 5;
const COUNT_MAX: i64 = 100_000;

impl Explain for ScheduleError {
    fn exit(&self) -> Exit {
        match self {
            ScheduleError::MachineZone { .. } => Exit::System,
            _ => Exit::Data,
        }
    }
}

/// Show the next times of a job or a schedule, one per line
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "mig-runner next [OPTIONS] (JOB | --cron EXPR)",
    after_help = "Example:\n  mig-runner next --cron '30 2 * * 1-5' --timezone Europe/Paris -n 3"
)]
pub(super) struct Next {
    /// The job: a folder of runners/
    #[arg(value_name = "JOB", required_unless_present = "cron", conflicts_with = "cron")]
    job: Option<JobName>,
    /// A cron schedule; needs no configuration
    #[arg(long, value_name = "EXPR")]
    cron: Option<String>,
    /// Number of times to show
    #[arg(short, value_name = "N", default_value_t = COUNT_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=COUNT_MAX))]
    n: u32,
    /// Show times after this one (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// IANA time zone [default: the job's or the system's]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    text.parse().map_err(|_| "write it as 2026-11-22T12:00:00Z or 2026-11-22T13:00:00+01:00")
}

impl Next {
    /// Shows the times; `load` reads the configuration if a job is named.
    pub(super) fn run(
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
                    output::message(format!("{name} is paused: it does not run at these times"));
                }
                (Cron::clone(&job.schedule), named.unwrap_or_else(|| job.zone.clone()))
            }
            // The command line requires one of the two.
            (cron, _) => {
                let cron: Cron = cron.as_deref().unwrap_or_default().parse()?;
                (cron, named.unwrap_or_else(local))
            }
        };
        self.show(&cron, &zone, self.from.unwrap_or(now))
    }

    fn show(&self, cron: &Cron, zone: &TimeZone, from: Timestamp) -> Result<Exit, Failure> {
        // A schedule without any time is an error here as it is in a job.
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
        output::message(format!("times are in UTC: {}", Chain(&error)));
    }
    zone
}

/// Returns a time in RFC 3339 with the offset of its zone, `Z` for UTC, as Go writes it.
pub(super) fn in_zone(at: Timestamp, zone: &TimeZone) -> String {
    let offset = zone.to_offset(at);
    if offset == Offset::UTC { at.to_string() } else { at.display_with_offset(offset).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_form_of_go() {
        let zone = zone::find("Europe/London").unwrap();
        for (at, text) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-07-02T03:04:05Z", "2026-07-02T04:04:05+01:00"),
        ] {
            assert_eq!(in_zone(at.parse().unwrap(), &zone), text);
        }
    }
}
