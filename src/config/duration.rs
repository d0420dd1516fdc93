//! Spans of time as Go writes them, and days: `30s`, `1h30m`, `1.5h`, `3d`.
//!
//! humantime knows the units; which of them are meant, and how a fraction is
//! written, is decided here. It would also read months and years, whose length
//! nobody agrees on, and `1M` as one month where somebody meant a minute.

use std::time::Duration;

/// How many results or entries to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// All of them, for ever.
    All,
    /// Those that are not older than this.
    For(Duration),
    /// The newest, this many.
    Count(u32),
}

/// Why a text is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    /// A number has no unit, or something else is not as it should be.
    #[error("write a duration such as 30s, 5m, 1h30m or 3d")]
    Form,
    /// It is none of the ways to say how much to keep.
    #[error("write keep, a number, or an age such as 90d")]
    Keep,
    /// The unit is none of ours.
    #[error("{0} is no unit of time: known are ns, us, ms, s, m, h and d")]
    Unit(String),
    /// It lies in the past.
    #[error("a duration cannot be negative")]
    Negative,
    /// It does not fit.
    #[error("this duration is too long")]
    Long,
}

/// Reads a span of time.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    if text.starts_with('-') {
        return Err(DurationError::Negative);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(DurationError::Form);
    }
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let whole = digits(&mut rest);
        let fraction = match rest.strip_prefix('.') {
            Some(after) => {
                rest = after;
                digits(&mut rest)
            }
            None => "",
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(DurationError::Form);
        }
        let unit = unit(&mut rest)?;
        let part = part(whole, fraction, &unit)?;
        sum = sum.checked_add(part).ok_or(DurationError::Long)?;
    }
    Ok(sum)
}

/// Reads `keep`, a number, or an age.
pub(crate) fn parse_keep(text: &str) -> Result<Keep, DurationError> {
    if text == "keep" {
        return Ok(Keep::All);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map(Keep::Count).map_err(|_| DurationError::Long);
    }
    match parse(text) {
        Err(DurationError::Form) => Err(DurationError::Keep),
        parsed => parsed.map(Keep::For),
    }
}

/// Returns a span as one would write it.
pub(crate) fn shown(span: Duration) -> String {
    let mut text = String::new();
    let mut rest = span.as_nanos();
    for (unit, nanoseconds) in [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ] {
        if rest >= nanoseconds {
            text.push_str(&format!("{}{unit}", rest / nanoseconds));
            rest %= nanoseconds;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Takes the digits at the beginning of `rest`.
fn digits<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    *rest = after;
    digits
}

/// Takes the unit at the beginning of `rest`, in humantime's spelling.
fn unit(rest: &mut &str) -> Result<String, DurationError> {
    let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, after) = rest.split_at(end);
    *rest = after;
    match unit {
        "" => Err(DurationError::Form),
        // Both letters that look like a µ: the sign and the Greek one.
        "us" | "\u{b5}s" | "\u{3bc}s" => Ok("us".to_owned()),
        "ns" | "ms" | "s" | "m" | "h" | "d" => Ok(unit.to_owned()),
        other => Err(DurationError::Unit(other.to_owned())),
    }
}

fn part(whole: &str, fraction: &str, unit: &str) -> Result<Duration, DurationError> {
    let span = |number: &str| {
        humantime::parse_duration(&format!("{number}{unit}")).map_err(|_| DurationError::Long)
    };
    let whole = span(if whole.is_empty() { "0" } else { whole })?;
    // humantime refuses a fraction that is no whole number of its next unit, 0.001h say.
    let one = span("1")?.as_nanos();
    let (mut nanoseconds, mut scale) = (0, 1);
    for digit in fraction.bytes().take(FRACTION_DIGITS_MAX) {
        scale *= 10;
        nanoseconds = nanoseconds * 10 + u128::from(digit - b'0');
    }
    let nanoseconds = u64::try_from(nanoseconds * one / scale).map_err(|_| DurationError::Long)?;
    whole.checked_add(Duration::from_nanos(nanoseconds)).ok_or(DurationError::Long)
}

/// More digits than these make no nanosecond of a day.
const FRACTION_DIGITS_MAX: usize = 18;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_go_reads_and_days() {
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
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
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
        assert_eq!(parse("99999999999999999999h"), Err(DurationError::Long));
        assert_eq!(parse("18446744073709551615s1s"), Err(DurationError::Long));
    }

    #[test]
    fn keeps_all_an_age_or_a_number() {
        assert_eq!(parse_keep("keep"), Ok(Keep::All));
        assert_eq!(parse_keep("100"), Ok(Keep::Count(100)));
        assert_eq!(parse_keep("30d"), Ok(Keep::For(Duration::from_secs(2_592_000))));
        for text in ["", "all", "-5", "4294967296"] {
            assert!(parse_keep(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.smhdnuµ+ -]{0,30}|.{0,20}") {
            parse(&text).ok();
        }

        #[test]
        fn what_is_printed_is_read(seconds in 0..4_000_000_000_u64, nanoseconds in 0..1_000_000_000_u32) {
            let span = Duration::new(seconds, nanoseconds);
            prop_assert_eq!(parse(&format!("{seconds}.{nanoseconds:09}s")), Ok(span));
            prop_assert_eq!(parse(&shown(span)), Ok(span));
        }
    }
}
