//! Tests of the whole module: recorded vectors, random expressions, clock changes.
//!
//! By default the random tests draw a sample; with `MIG_TEST_FULL` set they draw ten times as many.
//! A failure prints the smallest failing input.

mod changes;
mod day;
mod hostile;
mod properties;
mod random;
mod reference;
mod vectors;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Cron, zone};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn cron(text: &str) -> Cron {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn in_zone(name: &str) -> TimeZone {
    zone::find(name).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the environment sets the extent of the tests")]
fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns `part`, or `whole` if `MIG_TEST_FULL` is set.
fn share(part: usize, whole: usize) -> usize {
    if from_environment("MIG_TEST_FULL").is_some() { whole } else { part }
}
