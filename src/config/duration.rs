//! Durations in configuration files, options and messages: Go's syntax plus days, as in `3d`.
//!
//! Months and years are not accepted: their length is ambiguous, and `1M` could be meant as a
//! minute. humantime formats the durations that operators read.

use std::time::Duration;

use crate::go::duration::{DurationFault, Units, parse_unsigned};

const DAY_SECONDS: u64 = 86_400;

/// How many results or entries to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Keep {
    All,
    /// Those that are at most this old.
    For(Duration),
    /// The newest, up to this number.
    Count(u32),
}

/// Why a text is not a duration, or not a valid value for a retention key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    /// A number has no unit, or the text is malformed.
    #[error("write a duration such as 30s, 5m, 1h30m or 3d")]
    Form,
    /// The value is not an age, a number or `keep`.
    #[error("write keep, a number, or an age such as 90d")]
    Keep,
    #[error("unknown unit {0}: write ns, us, ms, s, m, h or d")]
    Unit(String),
    #[error("a duration cannot be negative")]
    Negative,
    #[error("this duration is too long")]
    TooLong,
}

impl From<DurationFault> for DurationError {
    fn from(fault: DurationFault) -> DurationError {
        match fault {
            DurationFault::Form | DurationFault::NoUnit => DurationError::Form,
            DurationFault::UnknownUnit(unit) => DurationError::Unit(unit),
            DurationFault::TooLong => DurationError::TooLong,
        }
    }
}

/// Parses a duration such as `1h30m` or `3d`.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    if text.starts_with('-') {
        return Err(DurationError::Negative);
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    Ok(parse_unsigned(unsigned, Units::GoAndDays)?)
}

/// Parses `keep`, a number, or an age.
pub(crate) fn parse_keep(text: &str) -> Result<Keep, DurationError> {
    if text == "keep" {
        return Ok(Keep::All);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map(Keep::Count).map_err(|_| DurationError::TooLong);
    }
    match parse(text) {
        Err(DurationError::Form) => Err(DurationError::Keep),
        parsed => parsed.map(Keep::For),
    }
}

/// Formats a duration for operators, in a form that [`parse`] accepts: `1d2h`, `1m30s`, `0s`.
pub(crate) fn format(span: Duration) -> String {
    let (days, seconds) = (span.as_secs() / DAY_SECONDS, span.as_secs() % DAY_SECONDS);
    let rest = Duration::new(seconds, span.subsec_nanos());
    // humantime would write months and years of average length, and blanks between the units.
    let rest_text = || humantime::format_duration(rest).to_string().replace(' ', "");
    match (days, rest.is_zero()) {
        (0, _) => rest_text(),
        (days, true) => format!("{days}d"),
        (days, false) => format!("{days}d{}", rest_text()),
    }
}

/// Formats a duration with its two largest units at most, such as `1d2h` or `1m30s`.
pub(crate) fn format_rounded(span: Duration) -> String {
    let seconds = span.as_secs();
    let unit = match seconds {
        0..3_600 => 1,
        3_600..DAY_SECONDS => 60,
        _ => 3_600,
    };
    format(Duration::from_secs(seconds - seconds % unit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn go_durations_and_days_are_accepted() {
        let seconds = Duration::from_secs;
        for (text, expected) in [
            ("0", seconds(0)),
            ("0s", seconds(0)),
            ("30s", seconds(30)),
            ("+30s", seconds(30)),
            ("1h30m", seconds(5400)),
            ("1m1h", seconds(3660)),
            ("1.5h", seconds(5400)),
            (".5m", seconds(30)),
            ("1.s", seconds(1)),
            ("0.001h", Duration::from_millis(3600)),
            ("72h", seconds(259_200)),
            ("3d", seconds(259_200)),
            ("1d12h", seconds(129_600)),
            ("300ms", Duration::from_millis(300)),
            ("1us1\u{b5}s1\u{3bc}s", Duration::from_micros(3)),
            ("1.0000000019s", Duration::new(1, 1)),
            ("7ns", Duration::from_nanos(7)),
            ("18446744073709551615s", seconds(u64::MAX)),
            ("0000000000000000000000001s", seconds(1)),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in ["", " ", "60", "s", ".", ".s", "1e3s", "30s ", "1h 30m", "1h30", "+", "+-1s"] {
            assert_eq!(
                parse(text).unwrap_err(),
                match text {
                    " " => DurationError::Form,
                    "1e3s" => DurationError::Unit("e".to_owned()),
                    "30s " => DurationError::Unit("s ".to_owned()),
                    "1h 30m" => DurationError::Unit("h ".to_owned()),
                    _ => DurationError::Form,
                },
                "{text:?}"
            );
        }
        for text in ["1M", "1month", "1y", "2w", "1S", "1day"] {
            assert!(matches!(parse(text), Err(DurationError::Unit(_))), "{text}");
        }
        assert_eq!(parse("-1s"), Err(DurationError::Negative));
        for long in ["99999999999999999999h", "99999999999999999999ns", "18446744073709551615s1s"] {
            assert_eq!(parse(long), Err(DurationError::TooLong), "{long}");
        }
    }

    #[test]
    fn retention_is_all_an_age_or_a_number() {
        assert_eq!(parse_keep("keep"), Ok(Keep::All));
        assert_eq!(parse_keep("100"), Ok(Keep::Count(100)));
        assert_eq!(parse_keep("30d"), Ok(Keep::For(Duration::from_secs(2_592_000))));
        for text in ["", "all", "-5", "4294967296"] {
            assert!(parse_keep(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_formatted_in_days_and_smaller_units() {
        for (seconds, exact, rounded) in [
            (0, "0s", "0s"),
            (60, "1m", "1m"),
            (75, "1m15s", "1m15s"),
            (3_700, "1h1m40s", "1h1m"),
            (90_061, "1d1h1m1s", "1d1h"),
            (365 * DAY_SECONDS, "365d", "365d"),
        ] {
            let span = Duration::from_secs(seconds);
            assert_eq!((format(span).as_str(), format_rounded(span).as_str()), (exact, rounded));
        }
        assert_eq!(format(Duration::from_millis(1_500)), "1s500ms");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9.smhdnuµ+ -]{0,30}|.{0,20}") {
            parse(&text).ok();
        }

        #[test]
        fn a_formatted_duration_parses_to_itself(
            seconds in 0..4_000_000_000_u64,
            nanoseconds in 0..1_000_000_000_u32,
        ) {
            let span = Duration::new(seconds, nanoseconds);
            prop_assert_eq!(parse(&format!("{seconds}.{nanoseconds:09}s")), Ok(span));
            prop_assert_eq!(parse(&format(span)), Ok(span));
        }
    }
}
