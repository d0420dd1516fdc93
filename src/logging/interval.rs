//! When an event that repeats is logged: when it first occurs and then at growing intervals, however
//! often it occurs.

use std::time::Duration;

use jiff::Timestamp;
use slog::{KV, Record, Serializer};

use crate::clock::{after, elapsed};

/// Time before a continuing event is logged a second time.
const INTERVAL_MIN: Duration = Duration::from_secs(30);
/// Maximum time between two log messages about a continuing event. An event that has not occurred
/// for this time is new.
const INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// The interval of one event.
#[derive(Debug, Default)]
pub(crate) struct LogInterval {
    next: Timestamp,
    span: Duration,
    last: Timestamp,
    /// Number of occurrences since the last log message.
    suppressed: u64,
}

/// The number of occurrences that were suppressed before a log message, as a value of that message;
/// left out if there were none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suppressed(pub(crate) u64);

impl KV for Suppressed {
    fn serialize(&self, _: &Record<'_>, serializer: &mut dyn Serializer) -> slog::Result {
        match self.0 {
            0 => Ok(()),
            count => serializer.emit_u64("suppressed", count),
        }
    }
}

impl LogInterval {
    /// Records an occurrence. If it is to be logged, returns the number of those that were suppressed
    /// before it.
    pub(crate) fn record(&mut self, now: Timestamp) -> Option<u64> {
        // A clock that was set back would silence the log.
        if now < self.last || elapsed(self.last, now) >= INTERVAL_MAX {
            self.restart(now);
        }
        self.last = now;
        if now < self.next {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.next = after(now, self.span);
        self.span = self.span.saturating_mul(2).min(INTERVAL_MAX);
        Some(std::mem::take(&mut self.suppressed))
    }

    /// Makes the next occurrence after `now` due for a log message.
    pub(crate) fn restart(&mut self, now: Timestamp) {
        (self.next, self.span) = (now, INTERVAL_MIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        after("2026-11-22T12:00:00Z".parse().unwrap(), Duration::from_secs(seconds))
    }

    #[test]
    fn continuing_event_is_logged_at_growing_intervals() {
        let mut interval = LogInterval::default();
        let logged: Vec<_> = (0..20_000)
            .filter_map(|second| interval.record(at(second)).map(|before| (second, before)))
            .collect();
        let expected =
            [(0, 0), (30, 29), (90, 59), (210, 119), (450, 239), (930, 479), (1890, 959)];
        assert_eq!(logged[..7], expected);
        assert_eq!(
            logged[7..].iter().map(|logged| logged.0).collect::<Vec<_>>(),
            [3810, 7410, 11010, 14610, 18210]
        );
    }

    #[test]
    fn event_after_a_long_pause_or_a_clock_change_is_new() {
        let mut interval = LogInterval::default();
        for second in [0, 30, 90] {
            assert!(interval.record(at(second)).is_some());
        }
        assert_eq!(interval.record(at(100)), None);
        assert_eq!(interval.record(at(3700)), Some(1));
        assert_eq!(interval.record(at(3729)), None);
        assert_eq!(interval.record(at(3730)), Some(1), "the intervals begin again");
        assert_eq!(interval.record(at(0)), Some(0), "the clock was set back");
    }
}
