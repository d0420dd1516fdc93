//! Decides which finished runs, dead letters and documents have expired.
//!
//! Candidates are found by names alone: a name contains the time at which an item began, and the
//! item cannot have ended earlier. Only the candidates' files are then checked for their last
//! change.
//!
//! **Invariant.** Nothing younger than a day expires, whatever is configured.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{before, elapsed};
use crate::config::duration::Keep;

/// Minimum age of everything that is removed, and size of a clock jump that suspends pruning.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// Time during which nothing is removed after a clock jump.
const DISTRUST_SPAN: Duration = Duration::from_secs(3600);

/// Returns the time since which an item must be unchanged to have expired; `None`: nothing expires.
pub(crate) fn cutoff(keep: Keep, now: Timestamp) -> Option<Timestamp> {
    match keep {
        Keep::All => None,
        Keep::For(age) => Some(before(now, age.max(DAY))),
        Keep::Count(_) => Some(before(now, DAY)),
    }
}

/// Returns the expired items, the oldest first. `at` returns the earliest time at which an item can
/// have ended; `group` returns the group within which a number of items is kept.
pub(crate) fn due<T>(
    mut items: Vec<T>,
    keep: Keep,
    now: Timestamp,
    at: impl Fn(&T) -> Timestamp,
    group: impl Fn(&T) -> &str,
) -> Vec<T> {
    let Some(cutoff) = cutoff(keep, now) else { return Vec::new() };
    items.sort_by_cached_key(&at);
    if let Keep::Count(number) = keep {
        let mut left: HashMap<String, u32> = HashMap::new();
        // From the newest to the oldest: the first ones of each group are kept.
        items = items
            .into_iter()
            .rev()
            .filter(|item| {
                let left = left.entry(group(item).to_owned()).or_insert(number);
                let is_kept = *left > 0;
                *left = left.saturating_sub(1);
                !is_kept
            })
            .collect();
        items.reverse();
    }
    let old = items.partition_point(|item| at(item) < cutoff);
    items.truncate(old);
    items
}

/// Detects jumps of the wall clock: after a jump, ages by that clock cannot be trusted.
#[derive(Debug, Default)]
pub(crate) struct ClockTrust {
    /// The last times by both clocks.
    last: Option<(Timestamp, Duration)>,
    /// Running time from which the wall clock is trusted.
    trusted_from: Duration,
}

impl ClockTrust {
    /// Records the time. `running` is the running time by a clock that cannot be set.
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

    /// Distrusts the clock for [`DISTRUST_SPAN`].
    pub(crate) fn suspend(&mut self, running: Duration) {
        self.trusted_from = running.saturating_add(DISTRUST_SPAN);
    }

    /// Returns whether the clock is trusted.
    pub(crate) fn is_trusted(&self, running: Duration) -> bool {
        running >= self.trusted_from
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
    fn oldest_are_removed_and_newest_of_each_group_are_kept() {
        let items = vec![("a", 5), ("b", 1), ("a", 3), ("a", 8), ("b", 9), ("a", 9)];
        for (keep, expected) in [
            (Keep::All, vec![]),
            (days(6), vec![("b", 1), ("a", 3)]),
            (days(7), vec![("b", 1)]),
            (Keep::Count(2), vec![("a", 3), ("a", 5)]),
            (Keep::Count(1), vec![("b", 1), ("a", 3), ("a", 5), ("a", 8)]),
            (Keep::For(Duration::ZERO), vec![("b", 1), ("a", 3), ("a", 5), ("a", 8)]),
            (Keep::Count(0), vec![("b", 1), ("a", 3), ("a", 5), ("a", 8)]),
        ] {
            // At day 10, items of day 9 are exactly a day old, and kept.
            let due = due(items.clone(), keep, at(10), |(_, day)| at(*day), |(name, _)| *name);
            assert_eq!(due, expected, "{keep:?}");
        }
    }

    #[test]
    fn clock_is_distrusted_for_an_hour_after_a_jump() {
        let run = |seconds| Duration::from_secs(seconds);
        for (jump, is_trusted) in [(0, true), (1, true), (2, false), (-1, true), (-2, false)] {
            let mut trust = ClockTrust::default();
            trust.note(at(0), run(10));
            trust.note(at(jump), run(20));
            assert_eq!(trust.is_trusted(run(20)), is_trusted, "{jump}");
            assert_eq!(trust.is_trusted(run(3619)), is_trusted, "{jump}");
            assert!(trust.is_trusted(run(3620)));
        }
        let mut slept = ClockTrust::default();
        slept.note(at(0), run(0));
        slept.note(at(9), run(9 * 86_400));
        assert!(slept.is_trusted(run(9 * 86_400)), "elapsed time is not a jump");
    }
}
