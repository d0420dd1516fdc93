//! The language of schedules: text in, sets of values out.
//!
//! Five fields are minute, hour, day of month, month and day of week; six have
//! a year besides, seven a second in front. Everything the original accepts
//! and gives a meaning is accepted; what it accepts and then trips over
//! (reversed ranges, surplus fields, text behind a macro) is refused.

use std::collections::BTreeSet;

use super::ScheduleError;
use super::field::{self, Field, shown};
use super::zone::Pace;

/// The longest schedule, in bytes: each field with every value written out has less than half.
const SCHEDULE_BYTES_MAX: usize = 4096;

/// The macros, and what they stand for.
const MACROS: [(&str, [&str; 7]); 7] = [
    ("@yearly", ["0", "0", "0", "1", "1", "*", "*"]),
    ("@annually", ["0", "0", "0", "1", "1", "*", "*"]),
    ("@monthly", ["0", "0", "0", "1", "*", "*", "*"]),
    ("@weekly", ["0", "0", "0", "*", "*", "0", "*"]),
    ("@daily", ["0", "0", "0", "*", "*", "*", "*"]),
    ("@midnight", ["0", "0", "0", "*", "*", "*", "*"]),
    ("@hourly", ["0", "0", "*", "*", "*", "*", "*"]),
];
/// The macros as errors list them.
pub(super) const MACRO_NAMES: &str =
    "@yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly";

/// An expression as sets of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields {
    /// Seconds, 0 to 59.
    pub(super) seconds: BTreeSet<u16>,
    /// Minutes, 0 to 59.
    pub(super) minutes: BTreeSet<u16>,
    /// Hours, 0 to 23.
    pub(super) hours: BTreeSet<u16>,
    /// Days of the month, unless the field restricts nothing.
    pub(super) days: Option<Days>,
    /// Months, 1 to 12.
    pub(super) months: BTreeSet<u16>,
    /// Days of the week, unless the field restricts nothing.
    pub(super) weekdays: Option<Weekdays>,
    /// Years, 1970 to 2099.
    pub(super) years: BTreeSet<u16>,
    /// What the schedule does when the clock changes.
    pub(super) pace: Pace,
}

/// Days of the month.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Days {
    /// By number, 1 to 31.
    pub(super) numbers: BTreeSet<u16>,
    /// `L`: the last one.
    pub(super) last: bool,
    /// `LW`: the last workday.
    pub(super) last_workday: bool,
    /// `15W`: the workday nearest to each of these, in the same month.
    pub(super) nearest_workdays: BTreeSet<u16>,
}

/// Days of the week; Sunday is 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Weekdays {
    /// Every such day.
    pub(super) numbers: BTreeSet<u16>,
    /// `5L`: the last one of the month.
    pub(super) last: BTreeSet<u16>,
    /// `5#3`: the day, and which one of the month.
    pub(super) nth: BTreeSet<(u16, u16)>,
}

impl Fields {
    /// Returns what `text` says.
    pub(super) fn parse(text: &str) -> Result<Fields, ScheduleError> {
        if text.len() > SCHEDULE_BYTES_MAX {
            let (bytes, bytes_max) = (text.len(), SCHEDULE_BYTES_MAX);
            return Err(ScheduleError::Long { bytes, bytes_max });
        }
        // The blanks of the original: no vertical tab, nothing beyond ASCII.
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        match words.as_slice() {
            [first, rest @ ..] if first.starts_with('@') => Fields::from_macro(first, rest),
            [minute, hour, day, month, weekday] => {
                Fields::from_words(["0", minute, hour, day, month, weekday, "*"])
            }
            [minute, hour, day, month, weekday, year] => {
                Fields::from_words(["0", minute, hour, day, month, weekday, year])
            }
            [second, minute, hour, day, month, weekday, year] => {
                Fields::from_words([second, minute, hour, day, month, weekday, year])
            }
            other => Err(ScheduleError::FieldCount { count: other.len() }),
        }
    }

    fn from_macro(name: &str, rest: &[&str]) -> Result<Fields, ScheduleError> {
        let Some((name, words)) = MACROS.into_iter().find(|(known, _)| *known == name) else {
            return Err(ScheduleError::UnknownMacro { text: shown(name) });
        };
        if !rest.is_empty() {
            return Err(ScheduleError::AfterMacro { name, rest: shown(&rest.join(" ")) });
        }
        Fields::from_words(words)
    }

    fn from_words(words: [&str; 7]) -> Result<Fields, ScheduleError> {
        let [second, minute, hour, day, month, weekday, year] = words;
        let (minutes, minute_wildcard) = plain(&field::MINUTE, minute)?;
        let (hours, hour_wildcard) = plain(&field::HOUR, hour)?;
        Ok(Fields {
            seconds: plain(&field::SECOND, second)?.0,
            minutes,
            hours,
            days: days(day)?,
            months: plain(&field::MONTH, month)?.0,
            weekdays: weekdays(weekday)?,
            years: plain(&field::YEAR, year)?.0,
            pace: if minute_wildcard || hour_wildcard { Pace::Elapsed } else { Pace::Fixed },
        })
    }
}

/// Reads a field that has nothing but values; tells besides whether it has a wildcard.
fn plain(field: &Field, text: &str) -> Result<(BTreeSet<u16>, bool), ScheduleError> {
    let content = field.read(text)?;
    match content.special.first() {
        Some(item) => Err(field.refused(item)),
        None => Ok((content.values, content.wildcard)),
    }
}

fn days(text: &str) -> Result<Option<Days>, ScheduleError> {
    let field = &field::DAY;
    let content = field.read(text)?;
    let mut days = Days { numbers: content.values, ..Days::default() };
    for item in &content.special {
        match item.as_str() {
            "l" => days.last = true,
            "lw" => days.last_workday = true,
            other => {
                let day = other.strip_suffix('w').and_then(|day| field.value(day));
                days.nearest_workdays.insert(day.ok_or_else(|| field.refused(item))?);
            }
        }
    }
    Ok((!content.any).then_some(days))
}

fn weekdays(text: &str) -> Result<Option<Weekdays>, ScheduleError> {
    let field = &field::WEEKDAY;
    let content = field.read(text)?;
    let mut weekdays = Weekdays { numbers: content.values, ..Weekdays::default() };
    for item in &content.special {
        if let Some((day, nth)) = item.split_once('#') {
            let nth = ["1", "2", "3", "4", "5"].iter().zip(1..).find(|(text, _)| **text == nth);
            let both = field.value(day).zip(nth.map(|(_, nth)| nth));
            weekdays.nth.insert(both.ok_or_else(|| field.refused(item))?);
        } else {
            let day = item.strip_suffix('l').and_then(|day| field.value(day));
            weekdays.last.insert(day.ok_or_else(|| field.refused(item))?);
        }
    }
    Ok((!content.any).then_some(weekdays))
}
