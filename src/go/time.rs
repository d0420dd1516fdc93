//! Times as Go reads and writes them in JSON.
//!
//! Go 1.19, with which the platform is built, parses RFC 3339 leniently: it accepts an hour of one
//! digit, a comma before the fraction, and offsets up to `+99:99`. This parser accepts the same,
//! since the platform would run such an action. [`jiff::Timestamp`] ends a day before the year
//! 10000 and has no offset, so [`Time`] stores the local time and the offset separately.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// The layout in Go's error messages.
const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";
/// Size limit, in bytes, of an invalid text in an error message.
const SHOWN_BYTES_MAX: usize = 200;
/// Digits of a fraction that count; the rest is dropped.
const FRACTION_DIGITS_MAX: usize = 9;

/// A time in the years 0 to 9999 with its UTC offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    local: DateTime,
    offset_seconds: i32,
}

/// A text that Go does not parse as a time. The messages are Go's; texts in them are quoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TimeError {
    /// A part is missing or malformed.
    #[error("parsing time {value} as {layout}: cannot parse {rest} as {part}")]
    Form {
        /// The whole text.
        value: String,
        layout: String,
        /// The text at the position of the part.
        rest: String,
        /// The part, as the layout writes it.
        part: String,
    },
    #[error("parsing time {value}: {part} out of range")]
    Range {
        /// The whole text.
        value: String,
        /// The name of the part.
        part: &'static str,
    },
    /// Text follows the time.
    #[error("parsing time {value}: extra text: {rest}")]
    Extra {
        /// The whole text.
        value: String,
        rest: String,
    },
}

impl Time {
    /// Go's zero time, the first second of the year 1.
    pub(crate) const ZERO: Time =
        Time { local: DateTime::constant(1, 1, 1, 0, 0, 0, 0), offset_seconds: 0 };

    /// Parses a raw JSON value, quotes included, as Go's `Time.UnmarshalJSON` does.
    pub(crate) fn from_json(raw: &[u8]) -> Result<Time, TimeError> {
        TimeParser { value: raw, rest: raw, quote: "\"" }.time()
    }

    /// Returns the time as Unix seconds, rounded down.
    pub(crate) fn unix(self) -> i64 {
        let since = self.local.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
        let seconds = since.as_secs() - i64::from(since.subsec_nanos() < 0);
        seconds - i64::from(self.offset_seconds)
    }

    /// Returns the time as a timestamp, limited to the range of timestamps.
    pub(crate) fn timestamp(self) -> Timestamp {
        let end = if self.unix() < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::new(self.unix(), self.local.subsec_nanosecond()).unwrap_or(end)
    }

    /// Returns the time without its fraction of a second.
    pub(crate) fn whole_second(self) -> Time {
        let fraction = SignedDuration::from_nanos(i64::from(self.local.subsec_nanosecond()));
        Time { local: self.local.saturating_sub(fraction), ..self }
    }
}

impl Default for Time {
    fn default() -> Time {
        Time::ZERO
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Time {
        Time { local: Offset::UTC.to_datetime(at), offset_seconds: 0 }
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Time, TimeError> {
        TimeParser { value: text.as_bytes(), rest: text.as_bytes(), quote: "" }.time()
    }
}

impl fmt::Display for Time {
    /// Writes Go's `RFC3339Nano`: no trailing zeros in a fraction, `Z` for offset zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.local.date(), self.local.time());
        write!(f, "{:04}-{:02}-{:02}T", date.year(), date.month(), date.day())?;
        write!(f, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
        let nanoseconds = time.subsec_nanosecond();
        if nanoseconds != 0 {
            write!(f, ".{}", format!("{nanoseconds:09}").trim_end_matches('0'))?;
        }
        if self.offset_seconds == 0 {
            return f.write_str("Z");
        }
        let sign = if self.offset_seconds < 0 { '-' } else { '+' };
        let minutes = self.offset_seconds.abs() / 60;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// A parser that consumes the parts of a time one by one.
struct TimeParser<'a> {
    value: &'a [u8],
    rest: &'a [u8],
    /// The character around the time, or nothing.
    quote: &'static str,
}

impl TimeParser<'_> {
    fn time(mut self) -> Result<Time, TimeError> {
        self.literal(self.quote)?;
        let year = self.year()?;
        self.literal("-")?;
        let month = self.number("01", Digits::Two, "month", 1..=12)?;
        self.literal("-")?;
        let day = self.number("02", Digits::Two, "day", 0..=99)?;
        self.literal("T")?;
        let hour = self.number("15", Digits::OneOrTwo, "hour", 0..=23)?;
        self.literal(":")?;
        let minute = self.number("04", Digits::Two, "minute", 0..=59)?;
        self.literal(":")?;
        let second = self.number("05", Digits::Two, "second", 0..=59)?;
        let nanoseconds = self.fraction();
        let offset_seconds = self.offset()?;
        self.literal(self.quote)?;
        if !self.rest.is_empty() {
            return Err(TimeError::Extra { value: quoted(self.value), rest: quoted(self.rest) });
        }
        // Only the day can still be out of range, in a short month.
        DateTime::new(year, month, day, hour, minute, second, nanoseconds)
            .map(|local| Time { local, offset_seconds })
            .map_err(|_| self.out_of_range("day"))
    }

    fn literal(&mut self, text: &'static str) -> Result<(), TimeError> {
        let rest = self.rest.strip_prefix(text.as_bytes());
        self.rest = rest.ok_or_else(|| self.malformed(text))?;
        Ok(())
    }

    fn year(&mut self) -> Result<i16, TimeError> {
        let year = self.rest.split_at_checked(4).and_then(|(digits, rest)| {
            let all = digits.iter().all(u8::is_ascii_digit);
            let year = std::str::from_utf8(digits).ok()?.parse().ok()?;
            all.then_some((year, rest))
        });
        let (year, rest) = year.ok_or_else(|| self.malformed("2006"))?;
        self.rest = rest;
        Ok(year)
    }

    fn number(
        &mut self,
        part: &'static str,
        digits: Digits,
        name: &'static str,
        range: std::ops::RangeInclusive<i8>,
    ) -> Result<i8, TimeError> {
        let (number, rest) = match (self.rest, digits) {
            ([a @ b'0'..=b'9', b @ b'0'..=b'9', rest @ ..], _) => {
                (digit(*a) * 10 + digit(*b), rest)
            }
            ([a @ b'0'..=b'9', rest @ ..], Digits::OneOrTwo) => (digit(*a), rest),
            _ => return Err(self.malformed(part)),
        };
        if !range.contains(&number) {
            return Err(self.out_of_range(name));
        }
        self.rest = rest;
        Ok(number)
    }

    /// Consumes an optional fraction and returns it in nanoseconds.
    fn fraction(&mut self) -> i32 {
        let [b'.' | b',', rest @ ..] = self.rest else { return 0 };
        let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let Some((digits, rest)) = rest.split_at_checked(count).filter(|_| count > 0) else {
            return 0;
        };
        self.rest = rest;
        let zeros = std::iter::repeat(&b'0');
        let padded = digits.iter().chain(zeros).take(FRACTION_DIGITS_MAX);
        padded.fold(0, |sum, d| sum * 10 + i32::from(digit(*d)))
    }

    fn offset(&mut self) -> Result<i32, TimeError> {
        let (offset_seconds, rest) = match self.rest {
            [b'Z', rest @ ..] => (0, rest),
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2, rest @ ..] => {
                let hours = signed(*h1, *h2).ok_or_else(|| self.malformed("Z07:00"))?;
                let minutes = signed(*m1, *m2).ok_or_else(|| self.malformed("Z07:00"))?;
                let seconds = (hours * 60 + minutes) * 60;
                (if *sign == b'-' { -seconds } else { seconds }, rest)
            }
            _ => return Err(self.malformed("Z07:00")),
        };
        self.rest = rest;
        Ok(offset_seconds)
    }

    fn malformed(&self, part: &str) -> TimeError {
        TimeError::Form {
            value: quoted(self.value),
            layout: quoted(format!("{0}{LAYOUT}{0}", self.quote).as_bytes()),
            rest: quoted(self.rest),
            part: quoted(part.as_bytes()),
        }
    }

    fn out_of_range(&self, part: &'static str) -> TimeError {
        TimeError::Range { value: quoted(self.value), part }
    }
}

#[derive(Clone, Copy)]
enum Digits {
    OneOrTwo,
    Two,
}

fn digit(byte: u8) -> i8 {
    i8::try_from(byte.saturating_sub(b'0')).unwrap_or_default()
}

/// Parses two characters of an offset: two digits, or a sign and a digit, which Go 1.19 fails to
/// reject.
fn signed(a: u8, b: u8) -> Option<i32> {
    let number = std::str::from_utf8(&[a, b]).ok()?.parse::<i32>().ok()?;
    b.is_ascii_digit().then_some(number)
}

/// Quotes a text as Go's time package does, byte by byte.
fn quoted(text: &[u8]) -> String {
    let mut out = String::from('"');
    for byte in text.iter().take(SHOWN_BYTES_MAX) {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..=0x7f => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Time {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn texts_that_go_accepts_are_parsed() {
        for (text, unix, printed) in [
            ("2016-01-02T3:04:05Z", 1_451_703_845, "2016-01-02T03:04:05Z"),
            ("2016-01-02T03:04:05,5Z", 1_451_703_845, "2016-01-02T03:04:05.5Z"),
            ("2016-01-02T03:04:05.1234567899Z", 1_451_703_845, "2016-01-02T03:04:05.123456789Z"),
            ("2016-01-02T03:04:05+24:00", 1_451_617_445, "2016-01-02T03:04:05+24:00"),
            ("2016-01-02T03:04:05+-1:00", 1_451_707_445, "2016-01-02T03:04:05-01:00"),
            ("1969-12-31T23:59:59.5Z", -1, "1969-12-31T23:59:59.5Z"),
            ("0000-01-01T00:00:00Z", -62_167_219_200, "0000-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59-01:00", 253_402_304_399, "9999-12-31T23:59:59-01:00"),
        ] {
            assert_eq!(
                (read(text).unix(), read(text).to_string().as_str()),
                (unix, printed),
                "{text}"
            );
        }
        assert_eq!(Time::default().unix(), -62_135_596_800);
    }

    #[test]
    fn texts_that_go_rejects_are_rejected_with_its_message() {
        for (text, error) in [
            ("2015-02-29T00:00:00Z", r#"parsing time "2015-02-29T00:00:00Z": day out of range"#),
            ("2016-01-02T24:00:00Z", r#"parsing time "2016-01-02T24:00:00Z": hour out of range"#),
            (
                "2016-01-02T03:04:05.Z",
                r#"parsing time "2016-01-02T03:04:05.Z" as "2006-01-02T15:04:05Z07:00": cannot parse ".Z" as "Z07:00""#,
            ),
            (
                "2016-01-02T03:04:05Zé",
                r#"parsing time "2016-01-02T03:04:05Z\xc3\xa9": extra text: "\xc3\xa9""#,
            ),
        ] {
            assert_eq!(text.parse::<Time>().unwrap_err().to_string(), error);
        }
        for bad in
            ["", "2016", "20a6-01-02T03:04:05Z", "2016-1-02T03:04:05Z", "2016-01-00T03:04:05Z"]
        {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
    }

    #[test]
    fn timestamps_survive_conversion() {
        let at: Timestamp = "2026-11-22T01:11:50.22265753Z".parse().unwrap();
        assert_eq!(Time::from(at).to_string(), "2026-11-22T01:11:50.22265753Z");
        assert_eq!(Time::from(at).timestamp(), at);
        assert_eq!(Time::from(at).whole_second().to_string(), "2026-11-22T01:11:50Z");
        assert_eq!(read("9999-12-31T23:59:59Z").timestamp(), Timestamp::MAX);
        assert_eq!(
            read("1969-12-31T23:59:59.5Z").timestamp().to_string(),
            "1969-12-31T23:59:59.5Z"
        );
    }

    proptest! {
        #[test]
        fn a_printed_time_parses_to_itself(seconds in -62_000_000_000_i64..253_000_000_000, nanos in 0..1_000_000_000_i32) {
            let time = Time::from(Timestamp::new(seconds, nanos).unwrap());
            prop_assert_eq!(read(&time.to_string()), time);
            prop_assert_eq!(time.unix(), seconds);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(raw in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _read = Time::from_json(&raw);
        }

        #[test]
        fn no_time_like_text_makes_the_parser_panic(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{1,2}:[0-9]{2}:[0-9]{2}[.,]?[0-9]{0,12}[Z+-][0-9+-]{0,2}:?[0-9+-]{0,2}") {
            if let Ok(time) = text.parse::<Time>() {
                let _read = (time.unix(), time.timestamp(), time.to_string());
            }
        }
    }
}
