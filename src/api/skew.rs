//! Measures the difference between this machine's clock and the API's, by the `Date` of each
//! response.
//!
//! The API refuses tokens if the clocks differ by more than ten minutes. An action is dated by our
//! clock but expires by the agents' clocks. So the operator should learn of a difference before
//! anything fails.

use std::sync::{Mutex, PoisonError};

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use slog::{Logger, error, info};

/// Tolerated difference: a `Date` has whole seconds, and responses take time.
const SKEW_SPAN_MAX: SignedDuration = SignedDuration::from_secs(30);

/// Parses the date format of HTTP.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

/// Returns how far our clock is ahead of one that showed `theirs` at some time between `sent` and
/// `received`.
fn ahead(sent: Timestamp, received: Timestamp, theirs: Timestamp) -> SignedDuration {
    if theirs < sent {
        sent.duration_since(theirs)
    } else if theirs > received {
        received.duration_since(theirs)
    } else {
        SignedDuration::ZERO
    }
}

/// The last measured difference.
#[derive(Debug, Default)]
pub(super) struct Skew(Mutex<Option<SignedDuration>>);

impl Skew {
    /// Returns how far our clock was ahead at the last response with a date.
    pub(super) fn last(&self) -> Option<SignedDuration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the date of a response; logs when the clocks begin or cease to differ.
    pub(super) fn record(
        &self,
        sent: Timestamp,
        received: Timestamp,
        theirs: Timestamp,
        log: &Logger,
    ) {
        let now = ahead(sent, received, theirs);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_far = last.is_some_and(is_far);
        *last = Some(now);
        match (was_far, is_far(now)) {
            (false, true) => {
                error!(log, "clock differs from the API's"; "ahead_s" => now.as_secs());
            }
            (true, false) => info!(log, "clock agrees with the API's again"),
            (true, true) | (false, false) => {}
        }
    }
}

fn is_far(skew: SignedDuration) -> bool {
    skew.abs() > SKEW_SPAN_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn http_dates_are_parsed() {
        let noon = Some(at("2026-11-22T00:59:26Z"));
        assert_eq!(http_date("Sun, 22 Nov 2026 00:59:26 GMT"), noon);
        assert_eq!(http_date(" Sun, 22 Nov 2026 00:59:26 GMT "), noon);
        for bad in ["", "now", "2026-11-22", "Sun, 99 Nov 2026 00:59:26 GMT"] {
            assert_eq!(http_date(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn slow_response_is_not_a_clock_difference() {
        let (sent, received) = (at("2026-11-22T12:00:00.9Z"), at("2026-11-22T12:04:00Z"));
        let ahead = |theirs| ahead(sent, received, at(theirs)).as_millis();
        assert_eq!(ahead("2026-11-22T12:02:00Z"), 0);
        assert_eq!(ahead("2026-11-22T12:00:00Z"), 900);
        assert_eq!(ahead("2026-11-22T11:50:00Z"), 600_900);
        assert_eq!(ahead("2026-11-22T12:05:00Z"), -60_000);
    }

    #[test]
    fn last_difference_is_kept() {
        let (skew, log) = (Skew::default(), Logger::root(slog::Discard, slog::o!()));
        assert_eq!(skew.last(), None);
        let now = at("2026-11-22T12:00:00Z");
        skew.record(now, now, at("2026-11-22T11:59:00Z"), &log);
        assert_eq!(skew.last(), Some(SignedDuration::from_secs(60)));
        skew.record(now, now, now, &log);
        assert_eq!(skew.last(), Some(SignedDuration::ZERO));
    }
}
