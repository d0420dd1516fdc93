//! What is finished and has been kept for long enough.
//!
//! Who is due is found by names alone, which tell when something began: it cannot
//! have ended before. Of those few it is then asked when their file last changed.
//!
//! **Invariant.** Nothing goes that is younger than a day, whatever is configured.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{before, elapsed};
use crate::config::duration::Keep;

/// How old everything becomes at the least, and by how much a clock has to jump to be distrusted.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// How long nothing is removed after the clock jumped.
const DISTRUST_SPAN: Duration = Duration::from_secs(3600);

/// Returns before when a thing must have changed last to be removed; `None`: nothing is removed.
pub(crate) fn cutoff(keep: Keep, now: Timestamp) -> Option<Timestamp> {
    match keep {
        Keep::All => None,
        Keep::For(age) => Some(before(now, age.max(DAY))),
        Keep::Count(_) => Some(before(now, DAY)),
    }
}

/// Returns the things that are due to be removed, the oldest first: `at` tells the earliest time at
/// which one can have ended, and `group` among which a number is kept.
pub(crate) fn due<T>(
    mut things: Vec<T>,
    keep: Keep,
    now: Timestamp,
    at: impl Fn(&T) -> Timestamp,
    group: impl Fn(&T) -> &str,
) -> Vec<T> {
    let Some(cutoff) = cutoff(keep, now) else { return Vec::new() };
    things.sort_by_cached_key(&at);
    if let Keep::Count(number) = keep {
        let mut left: HashMap<String, u32> = HashMap::new();
        // From the newest on: the first ones of each group are kept.
        things = things
            .into_iter()
            .rev()
            .filter(|thing| {
                let left = left.entry(group(thing).to_owned()).or_insert(number);
                let is_kept = *left > 0;
                *left = left.saturating_sub(1);
                !is_kept
            })
            .collect();
        things.reverse();
    }
    let old = things.partition_point(|thing| at(thing) < cutoff);
    things.truncate(old);
    things
}

/// Watches the wall clock: what is old by a clock that has just jumped may not be old at all.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    last: Option<(Timestamp, Duration)>,
    from: Duration,
}

impl Trust {
    /// Notes the time; `running` is how long this process has been running, by a clock that nobody sets.
    pub(crate) fn note(&mut self, now: Timestamp, running: Duration) {
        if let Some((then, run)) = self.last.replace((now, running)) {
            let passed = running.saturating_sub(run);
            let ahead = elapsed(then, now).saturating_sub(passed);
            let behind = elapsed(now, then);
            if ahead > DAY || behind > DAY {
                self.suspend(running);
            }
        }
    }

    /// Trusts the clock no more for a while.
    pub(crate) fn suspend(&mut self, running: Duration) {
        self.from = running.saturating_add(DISTRUST_SPAN);
    }

    /// Tells whether the clock can be believed.
    pub(crate) fn holds(&self, running: Duration) -> bool {
        running >= self.from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + days * 86_400).unwrap()
    }

    fn days(days: u32) -> Keep {
        Keep::For(DAY * days)
    }

    #[test]
    fn the_oldest_go_first_and_the_newest_of_each_group_stay() {
        let things = vec![("a", 5), ("b", 1), ("a", 3), ("a", 8), ("b", 9), ("a", 9)];
        for (keep, expected) in [
            (Keep::All, vec![]),
            (days(6), vec![("b", 1), ("a", 3)]),
            (days(7), vec![("b", 1)]),
            (Keep::Count(2), vec![("a", 3), ("a", 5)]),
            (Keep::Count(1), vec![("b", 1), ("a", 3), ("a", 5), ("a", 8)]),
            (Keep::For(Duration::ZERO), vec![("b", 1), ("a", 3), ("a", 5), ("a", 8)]),
            (Keep::Count(0), vec![("b", 1), ("a", 3), ("a", 5), ("a", 8)]),
        ] {
            // At 10: what is of 9 is a day old and not older.
            let due = due(things.clone(), keep, at(10), |(_, day)| at(*day), |(name, _)| *name);
            assert_eq!(due, expected, "{keep:?}");
        }
    }

    #[test]
    fn a_clock_that_jumped_is_not_believed_for_an_hour() {
        let run = |seconds| Duration::from_secs(seconds);
        for (jump, holds) in [(0, true), (1, true), (2, false), (-1, true), (-2, false)] {
            let mut trust = Trust::default();
            trust.note(at(0), run(10));
            trust.note(at(jump), run(20));
            assert_eq!(trust.holds(run(20)), holds, "{jump}");
            assert_eq!(trust.holds(run(3619)), holds, "{jump}");
            assert!(trust.holds(run(3620)));
        }
        let mut slept = Trust::default();
        slept.note(at(0), run(0));
        slept.note(at(9), run(9 * 86_400));
        assert!(slept.holds(run(9 * 86_400)), "time that passed is no jump");
    }
}
