//! The ids of actions, commands and agents.
//!
//! Ids are generated as the original platform does: the high bits hold the seconds since
//! 29 April 2013 at the start of the process, and each further id of the process is one higher. All
//! ids are below 2^53, so that a double holds them exactly: the original's programs store them in
//! doubles.
//!
//! **Invariant.** No id is used twice, not even after a restart within the same second or after
//! the clock went back: the counter starts above the highest id in the database.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The epoch of the seconds in an id: 29 April 2013, 18:00:00 UTC.
const EPOCH_SECONDS: i64 = 1_367_258_400;
/// Number of bits below the seconds, which count the ids of one second.
const SECOND_BITS: u32 = 16;

/// The id of an action, a command, an agent or an investigator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Id(i64);

impl Id {
    pub(crate) const fn new(number: i64) -> Id {
        Id(number)
    }

    pub(crate) const fn number(self) -> i64 {
        self.0
    }

    /// Returns the id as a double; exact, because all ids are below 2^53.
    pub(crate) fn float(self) -> f64 {
        let high = i32::try_from(self.0 >> 32).unwrap_or(i32::MAX);
        let low = u32::try_from(self.0 & 0xffff_ffff).unwrap_or(u32::MAX);
        f64::from(high) * 4_294_967_296.0 + f64::from(low)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Generates unique ids.
#[derive(Debug)]
pub(crate) struct Ids(AtomicI64);

impl Ids {
    /// Returns a generator of ids above `highest` and not older than `now`.
    pub(crate) fn new(now: Timestamp, highest: Id) -> Ids {
        let seconds = now.as_second().saturating_sub(EPOCH_SECONDS).max(0);
        let first = seconds.saturating_mul(1 << SECOND_BITS);
        Ids(AtomicI64::new(first.max(highest.0)))
    }

    pub(crate) fn next(&self) -> Id {
        Id(self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_holds_the_second_of_its_creation() {
        // An id of an original platform, and the second in which that platform was started.
        let started: Timestamp = "2026-11-22T00:53:40Z".parse().unwrap();
        let recorded = Id::new(28_052_712_325_126);
        let first = Ids::new(started, Id::new(0)).next();
        assert!((first..Id::new(first.number() + 100)).contains(&recorded), "{first}");
    }

    #[test]
    fn ids_stay_unique_when_the_clock_goes_back() {
        let now: Timestamp = "2026-11-22T00:53:21Z".parse().unwrap();
        let highest = Ids::new(now, Id::new(0)).next();
        let earlier = Ids::new("2020-01-01T00:00:00Z".parse().unwrap(), highest);
        assert!(earlier.next() > highest);
        assert!(earlier.next() > Id::new(highest.number() + 1));
    }
}
