//! Spans of time as Go writes and reads them: `1.5µs`, `1m0.000150741s`, `25h1m1s`.

use std::fmt::Write;
use std::time::Duration;

use jiff::SignedDuration;

const NANOS_PER_MICRO: u128 = 1_000;
const NANOS_PER_MILLI: u128 = 1_000_000;
const NANOS_PER_SECOND: u128 = 1_000_000_000;
const SECONDS_PER_MINUTE: u128 = 60;
const MINUTES_PER_HOUR: u128 = 60;

/// The units that are read, with their nanoseconds; the letter for micro has two forms.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", NANOS_PER_MICRO),
    ("\u{b5}s", NANOS_PER_MICRO),
    ("\u{3bc}s", NANOS_PER_MICRO),
    ("ms", NANOS_PER_MILLI),
    ("s", NANOS_PER_SECOND),
    ("m", NANOS_PER_SECOND * SECONDS_PER_MINUTE),
    ("h", NANOS_PER_SECOND * SECONDS_PER_MINUTE * MINUTES_PER_HOUR),
];
/// How many digits after the point count: more are less than a nanosecond of any unit.
const FRACTION_DIGITS_MAX: usize = 18;

/// A text that is no span of time, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    /// It has another form, or is too long a span.
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(String),
    /// A number has no unit.
    #[error("time: missing unit in duration {}", quote(.0))]
    NoUnit(String),
    /// A unit is not known.
    #[error("time: unknown unit {} in duration {}", quote(unit), quote(text))]
    Unit {
        unit: String,
        /// All of the text.
        text: String,
    },
}

/// Reads a span of time.
///
/// # Errors
/// Go refuses it, and the text is Go's.
pub(crate) fn parse(text: &str) -> Result<SignedDuration, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "0" {
        return Ok(SignedDuration::ZERO);
    }
    let mut rest = unsigned;
    let mut nanos: u128 = 0;
    while !rest.is_empty() || unsigned.is_empty() {
        let (whole, after) = split(rest, |c| !c.is_ascii_digit());
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split(after, |c| !c.is_ascii_digit()),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let (unit, after) = split(after, |c| c == '.' || c.is_ascii_digit());
        if unit.is_empty() {
            return Err(DurationError::NoUnit(text.to_owned()));
        }
        let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(DurationError::Unit { unit: unit.to_owned(), text: text.to_owned() });
        };
        let part = in_nanos(whole, fraction, *size).ok_or_else(invalid)?;
        nanos = nanos.checked_add(part).ok_or_else(invalid)?;
        rest = after;
    }
    let nanos = i128::try_from(nanos).map_err(|_| invalid())?;
    let signed = if text.starts_with('-') { -nanos } else { nanos };
    i64::try_from(signed).map(SignedDuration::from_nanos).map_err(|_| invalid())
}

fn split(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at_checked(text.find(ends).unwrap_or(text.len())).unwrap_or((text, ""))
}

fn in_nanos(whole: &str, fraction: &str, unit: u128) -> Option<u128> {
    let fraction = fraction.get(..FRACTION_DIGITS_MAX).unwrap_or(fraction);
    let number = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse().ok() };
    let (whole, digits): (u128, u128) = (number(whole)?, number(fraction)?);
    let parts = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    whole.checked_mul(unit)?.checked_add(digits.checked_mul(unit)? / parts)
}

/// Quotes as Go does in these errors: what is no plain ASCII by its bytes.
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

/// Returns the text of a span of time that may go back.
pub(crate) fn signed_text(span: SignedDuration) -> String {
    let sign = if span.is_negative() { "-" } else { "" };
    format!("{sign}{}", text(span.unsigned_abs()))
}

/// Returns the text of a span of time.
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

/// Writes `nanos` in units of `unit` nanoseconds, a power of ten, without needless zeros.
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
    fn spans_are_written_as_by_go() {
        for vector in forms()["duration_string"].as_array().unwrap() {
            let span = SignedDuration::from_nanos(vector["ns"].as_i64().unwrap());
            assert_eq!(signed_text(span), vector["string"].as_str().unwrap());
        }
    }

    #[test]
    fn spans_are_read_as_by_go() {
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
    fn the_edges_of_spans_are_those_of_go() {
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
        fn what_is_written_reads_the_same(nanos: i64) {
            let span = SignedDuration::from_nanos(nanos);
            proptest::prop_assert_eq!(parse(&signed_text(span)), Ok(span));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "[-+]?[0-9.a-zµ ]{0,40}") {
            parse(&text).ok();
        }
    }
}
