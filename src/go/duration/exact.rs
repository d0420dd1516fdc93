//! Go's own `ParseDuration` and `Duration.String`, error messages included.
//!
//! The agent's modules parse their parameters and report times with these.

use std::fmt::Write;
use std::time::Duration;

use jiff::SignedDuration;

use super::{
    DurationFault, MINUTES_PER_HOUR, NANOS_PER_MICRO, NANOS_PER_MILLI, NANOS_PER_SECOND,
    SECONDS_PER_MINUTE, Units, parse_unsigned,
};

/// A text that Go does not parse as a duration. The messages are Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    /// The text is malformed, or the duration does not fit into 64 bits of nanoseconds.
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(String),
    #[error("time: missing unit in duration {}", quote(.0))]
    NoUnit(String),
    #[error("time: unknown unit {} in duration {}", quote(unit), quote(text))]
    Unit {
        unit: String,
        /// The whole text.
        text: String,
    },
}

/// Parses a duration, which may have a sign.
pub(crate) fn parse(text: &str) -> Result<SignedDuration, DurationError> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let magnitude = parse_unsigned(unsigned, Units::Go).map_err(|fault| match fault {
        DurationFault::Form | DurationFault::TooLong => DurationError::Invalid(text.to_owned()),
        DurationFault::NoUnit => DurationError::NoUnit(text.to_owned()),
        DurationFault::UnknownUnit(unit) => DurationError::Unit { unit, text: text.to_owned() },
    })?;
    let invalid = || DurationError::Invalid(text.to_owned());
    let nanos = i128::try_from(magnitude.as_nanos()).map_err(|_| invalid())?;
    let signed = if text.starts_with('-') { -nanos } else { nanos };
    i64::try_from(signed).map(SignedDuration::from_nanos).map_err(|_| invalid())
}

/// Quotes a text as Go does in these errors: bytes outside ASCII as `\xNN`.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='\u{7f}' => quoted.push(c),
            _ => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a string cannot fail.
                    write!(quoted, "\\x{byte:02x}").ok();
                }
            }
        }
    }
    quoted + "\""
}

/// Formats a duration that may be negative.
pub(crate) fn signed_text(span: SignedDuration) -> String {
    let sign = if span.is_negative() { "-" } else { "" };
    format!("{sign}{}", text(span.unsigned_abs()))
}

/// Formats a duration.
pub(crate) fn text(span: Duration) -> String {
    let nanos = span.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..NANOS_PER_MICRO => format!("{nanos}ns"),
        NANOS_PER_MICRO..NANOS_PER_MILLI => format!("{}µs", decimal(nanos, NANOS_PER_MICRO)),
        NANOS_PER_MILLI..NANOS_PER_SECOND => format!("{}ms", decimal(nanos, NANOS_PER_MILLI)),
        _ => {
            let minutes = nanos / NANOS_PER_SECOND / SECONDS_PER_MINUTE;
            let rest = nanos % (NANOS_PER_SECOND * SECONDS_PER_MINUTE);
            let seconds = decimal(rest, NANOS_PER_SECOND);
            let (hours, minutes_left) = (minutes / MINUTES_PER_HOUR, minutes % MINUTES_PER_HOUR);
            match (hours, minutes) {
                (0, 0) => format!("{seconds}s"),
                (0, _) => format!("{minutes}m{seconds}s"),
                _ => format!("{hours}h{minutes_left}m{seconds}s"),
            }
        }
    }
}

/// Formats `nanos` in units of `unit` nanoseconds, a power of ten, without trailing zeros.
fn decimal(nanos: u128, unit: u128) -> String {
    let digits = unit.to_string().len() - 1;
    let text = format!("{}.{:0digits$}", nanos / unit, nanos % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests read their data")]

    use super::*;

    fn forms() -> serde_json::Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/go-forms.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn durations_are_formatted_as_by_go() {
        for vector in forms()["duration_string"].as_array().unwrap() {
            let span = SignedDuration::from_nanos(vector["ns"].as_i64().unwrap());
            assert_eq!(signed_text(span), vector["string"].as_str().unwrap());
        }
    }

    #[test]
    fn durations_are_parsed_as_by_go() {
        for vector in forms()["parse_duration"].as_array().unwrap() {
            let text = vector["text"].as_str().unwrap();
            let read = parse(text).map_err(|error| error.to_string());
            let expected = match vector["error"].as_str() {
                Some(error) => Err(error.to_owned()),
                None => Ok(SignedDuration::from_nanos(vector["ns"].as_i64().unwrap())),
            };
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn the_limits_of_durations_are_those_of_go() {
        let nanos = |text: &str| parse(text).map(|span| span.as_nanos()).ok();
        assert_eq!(nanos("-9223372036854775808ns"), Some(i64::MIN.into()));
        assert_eq!(nanos("2562047h47m16.854775807s"), Some(i64::MAX.into()));
        assert_eq!(nanos("2562047h47m16.854775808s"), None);
        assert_eq!(nanos("0.9999999999999999999999999999s"), Some(999_999_999));
        assert_eq!(nanos("99999999999999999999999999999999999999999s"), None);
        assert_eq!(nanos("1.s"), Some(1_000_000_000));
        assert_eq!(nanos("+"), None);
        let error = parse("1\u{b5}\"").unwrap_err().to_string();
        assert_eq!(error, r#"time: unknown unit "\xc2\xb5\"" in duration "1\xc2\xb5\"""#);
    }

    proptest::proptest! {
        #[test]
        fn a_formatted_duration_parses_to_itself(nanos: i64) {
            let span = SignedDuration::from_nanos(nanos);
            proptest::prop_assert_eq!(parse(&signed_text(span)), Ok(span));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[-+]?[0-9.a-zµ ]{0,40}") {
            parse(&text).ok();
        }
    }
}
