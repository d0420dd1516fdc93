//! How far this machine's clock is from the API's, by the `Date` of each answer.
//!
//! Tokens fail beyond ten minutes, and an action's period is dated by our clock
//! but ends by the agents': it is worth knowing long before anything fails.

use std::sync::{Mutex, PoisonError};

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use slog::{Logger, error, info};

/// What is still taken for right: a `Date` has whole seconds, and answers travel.
const SKEW_SPAN_MAX: SignedDuration = SignedDuration::from_secs(30);

/// Reads a date as HTTP writes it.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

/// Returns how far our clock is ahead of one that showed `theirs` at some time between `sent` and `received`.
fn ahead(sent: Timestamp, received: Timestamp, theirs: Timestamp) -> SignedDuration {
    if theirs < sent {
        sent.duration_since(theirs)
    } else if theirs > received {
        received.duration_since(theirs)
    } else {
        SignedDuration::ZERO
    }
}

/// The last difference that was seen.
#[derive(Debug, Default)]
pub(super) struct Skew(Mutex<Option<SignedDuration>>);

impl Skew {
    /// Returns how far our clock was ahead at the last answer with a date.
    pub(super) fn last(&self) -> Option<SignedDuration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of an answer's date; says so when the clocks begin or cease to differ.
    pub(super) fn note(
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
                error!(log, "this clock differs from the API's"; "ahead_s" => now.as_secs());
            }
            (true, false) => info!(log, "this clock agrees with the API's again"),
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
    fn reads_the_dates_of_http() {
        let noon = Some(at("2026-11-22T00:59:26Z"));
        assert_eq!(http_date("Sun, 22 Nov 2026 00:59:26 GMT"), noon);
        assert_eq!(http_date(" Sun, 22 Nov 2026 00:59:26 GMT "), noon);
        for bad in ["", "now", "2026-11-22", "Sun, 99 Nov 2026 00:59:26 GMT"] {
            assert_eq!(http_date(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_answer_that_took_long_is_no_difference() {
        let (sent, received) = (at("2026-11-22T12:00:00.9Z"), at("2026-11-22T12:04:00Z"));
        let ahead = |theirs| ahead(sent, received, at(theirs)).as_millis();
        assert_eq!(ahead("2026-11-22T12:02:00Z"), 0);
        assert_eq!(ahead("2026-11-22T12:00:00Z"), 900);
        assert_eq!(ahead("2026-11-22T11:50:00Z"), 600_900);
        assert_eq!(ahead("2026-11-22T12:05:00Z"), -60_000);
    }

    #[test]
    fn keeps_the_last() {
        let (skew, log) = (Skew::default(), Logger::root(slog::Discard, slog::o!()));
        assert_eq!(skew.last(), None);
        let now = at("2026-11-22T12:00:00Z");
        skew.note(now, now, at("2026-11-22T11:59:00Z"), &log);
        assert_eq!(skew.last(), Some(SignedDuration::from_secs(60)));
        skew.note(now, now, now, &log);
        assert_eq!(skew.last(), Some(SignedDuration::ZERO));
    }
}
