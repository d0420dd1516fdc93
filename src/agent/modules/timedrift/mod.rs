//! The module `timedrift`: the time of this host's clock, and its difference from an NTP server's.
//!
//! | file | does |
//! | --- | --- |
//! | `servers` | lists the NTP servers to query, from `ntp.conf` and from a list of public ones |
//! | `query` | queries one server |
//! | `sntp` | builds and checks the packets |
//!
//! The servers are queried one after the other, and the first valid answer counts. Its time is
//! corrected for half of the round trip.
//!
//! **Invariants.** The clock is reported as correct only after a server has confirmed it. An answer
//! is valid if it belongs to our query and comes from a synchronised server.
//!
//! **Failure.** If no server answers, `success` is false, the result says nothing about the clock,
//! and `errors` has the reason for each server. A missing `ntp.conf` is not an error. A negative
//! tolerance is rejected; only a clock that is exact to the nanosecond is within a tolerance of
//! zero.

mod query;
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
use crate::modules::timedrift;
use sntp::ClockReading;

/// The time that the result shows for a server without a valid answer.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// The NTP servers to query.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeSources<'a> {
    /// The path of the NTP daemon's configuration.
    conf: &'a Path,
    /// The servers to query after those in the configuration.
    backups: &'a [&'a str],
    port: u16,
    /// Time limit for each server.
    timeout: Duration,
}

impl TimeSources<'static> {
    pub(super) fn of_this_host() -> TimeSources<'static> {
        TimeSources {
            conf: Path::new("/etc/ntp.conf"),
            backups: &[
                "time.nist.gov",
                "0.pool.ntp.org",
                "1.pool.ntp.org",
                "2.pool.ntp.org",
                "3.pool.ntp.org",
            ],
            port: 123,
            timeout: Duration::from_secs(5),
        }
    }
}

#[derive(Debug, Serialize)]
struct TimedriftElements {
    hascheckeddrift: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    iswithindrift: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    drifts: Vec<String>,
    localtime: String,
}

#[derive(Debug, Serialize)]
struct TimedriftStatistics {
    exectime: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ntpstats: Vec<QueriedServer>,
}

#[derive(Debug, Serialize)]
struct QueriedServer {
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
    sources: &TimeSources<'_>,
) -> Result<ModuleResult, serde_json::Error> {
    let began = Instant::now();
    let tolerance = match timedrift::read(parameters) {
        Ok(tolerance) => tolerance,
        Err(error) => return Ok(ModuleResult::failed(Chain(&error).to_string())),
    };
    let mut elements = TimedriftElements {
        hascheckeddrift: false,
        iswithindrift: false,
        drifts: Vec::new(),
        localtime: time_text(clock.now()),
    };
    let mut ntpstats = Vec::new();
    let (mut foundanything, mut success, mut errors) = (true, true, Vec::new());
    if let Some(tolerance) = tolerance {
        let mut queried = query_servers(clock, sources);
        if let Some((host, reading)) = &queried.answer {
            elements.hascheckeddrift = true;
            elements.iswithindrift = reading.drift.abs() <= tolerance;
            if !elements.iswithindrift {
                elements.drifts.push(drift_text(host, reading.drift));
            }
        }
        foundanything = !elements.drifts.is_empty();
        success = elements.hascheckeddrift;
        ntpstats.append(&mut queried.servers);
        errors.append(&mut queried.errors);
    }
    let exectime = duration::text(began.elapsed());
    Ok(ModuleResult {
        foundanything,
        success,
        elements: to_raw_value(&elements)?,
        statistics: to_raw_value(&TimedriftStatistics { exectime, ntpstats })?,
        errors,
    })
}

#[derive(Debug, Default)]
struct QueryResults {
    servers: Vec<QueriedServer>,
    /// The first valid answer, with the name of its server.
    answer: Option<(String, ClockReading)>,
    errors: Vec<String>,
}

/// Queries one server after the other until one gives a valid answer. If one does, the failures of
/// those before it are not errors.
fn query_servers(clock: &dyn Clock, sources: &TimeSources<'_>) -> QueryResults {
    let mut results = QueryResults::default();
    let (hosts, error) = servers::list(sources.conf, sources.backups);
    results.errors.extend(error.map(|error| Chain(&error).to_string()));
    let mut failures = Vec::new();
    for host in hosts {
        match query::query(&host, sources.port, sources.timeout, clock) {
            Ok(reading) => {
                results.servers.push(QueriedServer {
                    host: host.clone(),
                    time: time_text(reading.time),
                    latency: duration::text(reading.latency),
                    drift: duration::signed_text(reading.drift),
                    reachable: true,
                });
                results.answer = Some((host, reading));
                return results;
            }
            Err(error) => {
                failures.push(format!("NTP server {host}: {}", Chain(&error)));
                results.servers.push(QueriedServer {
                    host,
                    time: NO_TIME.to_owned(),
                    latency: String::new(),
                    drift: String::new(),
                    reachable: false,
                });
            }
        }
    }
    results.errors.append(&mut failures);
    results
}

fn drift_text(host: &str, drift: SignedDuration) -> String {
    let side = if drift.is_negative() { "behind" } else { "ahead of" };
    let by = duration::text(drift.unsigned_abs());
    format!("Local time is {side} ntp host {host} by {by}")
}

/// Returns a time in this host's zone, in RFC 3339 form as Go writes it.
fn time_text(at: Timestamp) -> String {
    time_text_in(at, TimeZone::system())
}

fn time_text_in(at: Timestamp, zone: TimeZone) -> String {
    let at = at.to_zoned(zone);
    let zone = if at.offset().is_zero() { "Z" } else { "%:z" };
    at.strftime(&format!("%Y-%m-%dT%H:%M:%S%.f{zone}")).to_string()
}

#[cfg(test)]
mod tests;
