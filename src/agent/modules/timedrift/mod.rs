//! The module `timedrift`: what this host's clock says, and how far it is off.
//!
//! | file | does |
//! | --- | --- |
//! | `request` | what was asked, or in the original's words what makes no sense |
//! | `servers` | which NTP servers are asked, from `ntp.conf` and from a list for need |
//! | `ask` | asks one of them |
//! | `sntp` | what is sent, and whether an answer can be believed |
//!
//! The servers are asked one after the other, and the first that answers counts. Its time
//! is corrected for half of the way there and back.
//!
//! **Invariants.** A clock is only called right when a server said so. An answer counts if it
//! is one to our question, from a server that itself knows the time.
//!
//! **Failure.** Where no server answers, `success` is false, nothing is said of the clock, and
//! `errors` tells of each server why. A missing `ntp.conf` is no failure. A tolerance below
//! zero is refused; one of zero is passed by a clock that is right to the nanosecond only.

mod ask;
mod request;
mod servers;
mod sntp;

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::ModuleResult;
use crate::chain::Chain;
use crate::clock::Clock;
use crate::go::duration;
use sntp::Reading;

/// The time of a server that has not told any.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// Where the time is to be had.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sources<'a> {
    /// The NTP daemon's configuration.
    conf: &'a Path,
    /// The servers that are asked after those.
    backups: &'a [&'a str],
    /// The port on which all of them are asked.
    port: u16,
    /// How long an answer is waited for.
    patience: Duration,
}

impl Sources<'static> {
    /// Returns the sources of every host.
    pub(super) fn of_this_host() -> Sources<'static> {
        Sources {
            conf: Path::new("/etc/ntp.conf"),
            backups: &[
                "time.nist.gov",
                "0.pool.ntp.org",
                "1.pool.ntp.org",
                "2.pool.ntp.org",
                "3.pool.ntp.org",
            ],
            port: 123,
            patience: Duration::from_secs(5),
        }
    }
}

#[derive(Debug, Serialize)]
struct Elements {
    hascheckeddrift: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    iswithindrift: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    drifts: Vec<String>,
    localtime: String,
}

#[derive(Debug, Serialize)]
struct Statistics {
    exectime: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ntpstats: Vec<Asked>,
}

/// A server that was asked.
#[derive(Debug, Serialize)]
struct Asked {
    host: String,
    time: String,
    latency: String,
    drift: String,
    reachable: bool,
}

/// Runs the module.
///
/// # Errors
/// The result cannot be written as JSON.
pub(super) fn run(
    parameters: &RawValue,
    clock: &dyn Clock,
    sources: &Sources<'_>,
) -> Result<ModuleResult, serde_json::Error> {
    let began = Instant::now();
    let tolerance = match request::read(parameters) {
        Ok(tolerance) => tolerance,
        Err(error) => return Ok(ModuleResult::failed(error.to_string())),
    };
    let mut elements = Elements {
        hascheckeddrift: false,
        iswithindrift: false,
        drifts: Vec::new(),
        localtime: written(clock.now()),
    };
    let mut ntpstats = Vec::new();
    let (mut foundanything, mut success, mut errors) = (true, true, Vec::new());
    if let Some(tolerance) = tolerance {
        let mut asked = first_answer(clock, sources);
        if let Some((host, reading)) = &asked.answer {
            elements.hascheckeddrift = true;
            elements.iswithindrift = reading.drift.abs() <= tolerance;
            if !elements.iswithindrift {
                elements.drifts.push(drift_text(host, reading.drift));
            }
        }
        foundanything = !elements.drifts.is_empty();
        success = elements.hascheckeddrift;
        ntpstats.append(&mut asked.hosts);
        errors.append(&mut asked.errors);
    }
    let exectime = duration::text(began.elapsed());
    Ok(ModuleResult {
        foundanything,
        success,
        elements: to_raw_value(&elements)?,
        statistics: to_raw_value(&Statistics { exectime, ntpstats })?,
        errors,
    })
}

/// What came of asking.
#[derive(Debug, Default)]
struct Outcome {
    hosts: Vec<Asked>,
    answer: Option<(String, Reading)>,
    errors: Vec<String>,
}

/// Asks one server after the other until one answers.
fn first_answer(clock: &dyn Clock, sources: &Sources<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let (hosts, error) = servers::list(sources.conf, sources.backups);
    outcome.errors.extend(error.map(|error| error.to_string()));
    let mut silent = Vec::new();
    for host in hosts {
        match ask::ask(&host, sources.port, sources.patience, clock) {
            Ok(reading) => {
                outcome.hosts.push(Asked {
                    host: host.clone(),
                    time: written(reading.time),
                    latency: duration::text(reading.latency),
                    drift: duration::signed_text(reading.drift),
                    reachable: true,
                });
                outcome.answer = Some((host, reading));
                return outcome;
            }
            Err(error) => {
                silent.push(format!("no time from ntp host {host}: {}", Chain(&error)));
                outcome.hosts.push(Asked {
                    host,
                    time: NO_TIME.to_owned(),
                    latency: String::new(),
                    drift: String::new(),
                    reachable: false,
                });
            }
        }
    }
    outcome.errors.append(&mut silent);
    outcome
}

fn drift_text(host: &str, drift: SignedDuration) -> String {
    let side = if drift.is_negative() { "behind" } else { "ahead of" };
    let by = duration::text(drift.unsigned_abs());
    format!("Local time is {side} ntp host {host} by {by}")
}

/// Writes a time as Go does by RFC 3339, in this host's zone.
fn written(at: Timestamp) -> String {
    written_in(at, TimeZone::system())
}

fn written_in(at: Timestamp, zone: TimeZone) -> String {
    let at = at.to_zoned(zone);
    let zone = if at.offset().is_zero() { "Z" } else { "%:z" };
    at.strftime(&format!("%Y-%m-%dT%H:%M:%S%.f{zone}")).to_string()
}

#[cfg(test)]
mod tests;
