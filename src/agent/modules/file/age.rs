//! The filter `mtimes`: `<30m` is changed within half an hour, `>2d` more than two days ago.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock;

use super::bound::Sign;

const MINUTE_SECONDS: u64 = 60;
const HOUR_SECONDS: u64 = 60 * MINUTE_SECONDS;
const DAY_SECONDS: u64 = 24 * HOUR_SECONDS;

/// When a file must have been changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AgeTest {
    sign: Sign,
    limit: Timestamp,
}

impl AgeTest {
    /// Returns the test for an age of `number` days, hours or minutes at the time `now`.
    pub(super) fn new(sign: Sign, number: u64, unit: char, now: Timestamp) -> AgeTest {
        let unit = match unit {
            'd' => DAY_SECONDS,
            'h' => HOUR_SECONDS,
            _ => MINUTE_SECONDS,
        };
        let age = Duration::from_secs(number.saturating_mul(unit));
        AgeTest { sign, limit: clock::before(now, age) }
    }

    /// Tells whether a file changed at `modified` passes; what is of exactly the age does not.
    pub(super) fn holds(self, modified: Timestamp) -> bool {
        match self.sign {
            Sign::Greater => modified < self.limit,
            Sign::Less => modified > self.limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_strict() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let limit: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let nano = Duration::from_nanos(1);
        let (younger, older) = (clock::after(limit, nano), clock::before(limit, nano));
        for (sign, expected) in
            [(Sign::Less, [true, false, false]), (Sign::Greater, [false, false, true])]
        {
            for (number, unit) in [(2, 'd'), (48, 'h'), (2880, 'm')] {
                let test = AgeTest::new(sign, number, unit, now);
                assert_eq!([younger, limit, older].map(|at| test.holds(at)), expected);
            }
        }
        let for_ever = AgeTest::new(Sign::Less, u64::MAX, 'd', now);
        assert!(for_ever.holds(Timestamp::UNIX_EPOCH));
    }
}
