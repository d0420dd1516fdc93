//! Durations as Go's `time.Duration` reads and writes them: `1.5µs`, `1m0.000150741s`, `25h1m1s`.
//!
//! This is the only parser of durations. Configuration files accept days too, so the caller of
//! [`parse_unsigned`] chooses the units; `exact::parse` accepts exactly what Go accepts.

#[cfg(any(test, feature = "platform"))]
mod exact;

use std::time::Duration;

#[cfg(feature = "platform")]
pub(crate) use exact::{parse, signed_text, text};

const NANOS_PER_MICRO: u128 = 1_000;
const NANOS_PER_MILLI: u128 = 1_000_000;
const NANOS_PER_SECOND: u128 = 1_000_000_000;
const NANOS_PER_HOUR: u128 = NANOS_PER_SECOND * SECONDS_PER_MINUTE * MINUTES_PER_HOUR;
const SECONDS_PER_MINUTE: u128 = 60;
const MINUTES_PER_HOUR: u128 = 60;

/// Go's units with their nanoseconds. `µ` has two forms: the micro sign and the Greek letter.
const GO_UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", NANOS_PER_MICRO),
    ("\u{b5}s", NANOS_PER_MICRO),
    ("\u{3bc}s", NANOS_PER_MICRO),
    ("ms", NANOS_PER_MILLI),
    ("s", NANOS_PER_SECOND),
    ("m", NANOS_PER_SECOND * SECONDS_PER_MINUTE),
    ("h", NANOS_PER_HOUR),
];
/// The unit that Go lacks.
const DAY: (&str, u128) = ("d", 24 * NANOS_PER_HOUR);
/// Digits of a fraction that count: the rest is less than a nanosecond of any unit.
const FRACTION_DIGITS_MAX: usize = 18;

/// Which units a text may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Units {
    #[cfg(any(test, feature = "platform"))]
    Go,
    /// Go's and `d`, a day of 24 hours.
    GoAndDays,
}

impl Units {
    fn nanos_of(self, unit: &str) -> Option<u128> {
        let days = (self == Units::GoAndDays).then_some(DAY);
        let mut units = GO_UNITS.into_iter().chain(days);
        units.find(|(name, _)| *name == unit).map(|(_, nanos)| nanos)
    }
}

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DurationFault {
    /// A number is missing or malformed.
    Form,
    /// A number has no unit.
    NoUnit,
    UnknownUnit(String),
    TooLong,
}

/// Parses a duration without a sign, such as `1h30m`.
pub(crate) fn parse_unsigned(text: &str, units: Units) -> Result<Duration, DurationFault> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(DurationFault::Form);
    }
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let (whole, after) = split(rest, |c| !c.is_ascii_digit());
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split(after, |c| !c.is_ascii_digit()),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(DurationFault::Form);
        }
        let (unit, after) = split(after, |c| c == '.' || c.is_ascii_digit());
        if unit.is_empty() {
            return Err(DurationFault::NoUnit);
        }
        let nanos =
            units.nanos_of(unit).ok_or_else(|| DurationFault::UnknownUnit(unit.to_owned()))?;
        let part = part(whole, fraction, nanos).ok_or(DurationFault::TooLong)?;
        sum = sum.checked_add(part).ok_or(DurationFault::TooLong)?;
        rest = after;
    }
    Ok(sum)
}

/// Splits `text` before the first character for which `ends` holds.
fn split(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at_checked(text.find(ends).unwrap_or(text.len())).unwrap_or((text, ""))
}

/// Returns `whole.fraction` units of `unit` nanoseconds, or `None` on overflow.
fn part(whole: &str, fraction: &str, unit: u128) -> Option<Duration> {
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let (mut digits, mut scale) = (0, 1);
    for digit in fraction.bytes().take(FRACTION_DIGITS_MAX) {
        digits = digits * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    let nanos = u128::from(whole) * unit + digits * unit / scale;
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND).ok()?;
    let subsecond_nanos = u32::try_from(nanos % NANOS_PER_SECOND).ok()?;
    Some(Duration::new(seconds, subsecond_nanos))
}
