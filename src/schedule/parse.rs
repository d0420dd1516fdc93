//! The language of schedules: parses a text into sets of values.
//!
//! Five fields are minute, hour, day of month, month and day of week; six fields add the year at
//! the end, and seven also add the second in front. Everything that the original accepts and
//! interprets correctly is accepted; what it accepts but mishandles (reversed ranges, surplus
//! fields, text after a macro) is rejected.

use std::collections::BTreeSet;

use super::ScheduleError;
use super::field::{self, Field, shown};
use super::zone::Pace;

/// Size limit, in bytes, of a schedule: more than every value of every field written out.
pub(super) const SCHEDULE_BYTES_MAX: usize = 2048;

/// The macros and their expansions.
const MACROS: [(&str, [&str; 7]); 7] = [
    ("@yearly", ["0", "0", "0", "1", "1", "*", "*"]),
    ("@annually", ["0", "0", "0", "1", "1", "*", "*"]),
    ("@monthly", ["0", "0", "0", "1", "*", "*", "*"]),
    ("@weekly", ["0", "0", "0", "*", "*", "0", "*"]),
    ("@daily", ["0", "0", "0", "*", "*", "*", "*"]),
    ("@midnight", ["0", "0", "0", "*", "*", "*", "*"]),
    ("@hourly", ["0", "0", "*", "*", "*", "*", "*"]),
];
/// The list of macros in errors.
pub(super) const MACRO_NAMES: &str =
    "@yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields {
    /// 0 to 59.
    pub(super) seconds: BTreeSet<u16>,
    /// 0 to 59.
    pub(super) minutes: BTreeSet<u16>,
    /// 0 to 23.
    pub(super) hours: BTreeSet<u16>,
    /// `None` if every day matches.
    pub(super) days: Option<Days>,
    /// 1 to 12.
    pub(super) months: BTreeSet<u16>,
    /// `None` if every day of the week matches.
    pub(super) weekdays: Option<Weekdays>,
    /// 1970 to 2099.
    pub(super) years: BTreeSet<u16>,
    pub(super) pace: Pace,
}

/// The restriction to days of the month.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Days {
    /// 1 to 31.
    pub(super) numbers: BTreeSet<u16>,
    /// `L`: the last day.
    pub(super) last: bool,
    /// `LW`: the last workday.
    pub(super) last_workday: bool,
    /// `15W`: the workday nearest to each of these, in the same month.
    pub(super) nearest_workdays: BTreeSet<u16>,
}

/// The restriction to days of the week; Sunday is 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Weekdays {
    /// Every such day.
    pub(super) numbers: BTreeSet<u16>,
    /// `5L`: the last such day of the month.
    pub(super) last: BTreeSet<u16>,
    /// `5#3`: the day of the week, and its number within the month.
    pub(super) nth: BTreeSet<(u16, u16)>,
}

impl Fields {
    /// Parses an expression.
    pub(super) fn parse(text: &str) -> Result<Fields, ScheduleError> {
        if text.len() > SCHEDULE_BYTES_MAX {
            return Err(ScheduleError::Long(text.len()));
        }
        // The white space of the original: ASCII without vertical tab.
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
            other => Err(ScheduleError::FieldCount(other.len())),
        }
    }

    fn from_macro(name: &str, rest: &[&str]) -> Result<Fields, ScheduleError> {
        let Some((name, words)) = MACROS.into_iter().find(|(known, _)| *known == name) else {
            return Err(ScheduleError::UnknownMacro(shown(name)));
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

/// Parses a field without special items; also returns whether it has a wildcard.
fn plain(field: &Field, text: &str) -> Result<(BTreeSet<u16>, bool), ScheduleError> {
    let content = field.read(text)?;
    match content.special.first() {
        Some(item) => Err(field.invalid(item)),
        None => Ok((content.values, content.wildcard)),
    }
}

fn days(text: &str) -> Result<Option<Days>, ScheduleError> {
    let field = &field::DAY;
    let content = field.read(text)?;
    let mut days = Days { numbers: content.values, ..Days::default() };
    for item in content.special {
        match item.to_ascii_lowercase().as_str() {
            "l" => days.last = true,
            "lw" => days.last_workday = true,
            other => {
                let day = other.strip_suffix('w').and_then(|day| field.value(day));
                days.nearest_workdays.insert(day.ok_or_else(|| field.invalid(item))?);
            }
        }
    }
    Ok((!content.any).then_some(days))
}

fn weekdays(text: &str) -> Result<Option<Weekdays>, ScheduleError> {
    let field = &field::WEEKDAY;
    let content = field.read(text)?;
    let mut weekdays = Weekdays { numbers: content.values, ..Weekdays::default() };
    for item in content.special {
        let text = item.to_ascii_lowercase();
        if let Some((day, nth)) = text.split_once('#') {
            let nth = (1..).zip(["1", "2", "3", "4", "5"]).find(|(_, text)| *text == nth);
            let both = field.value(day).zip(nth.map(|(nth, _)| nth));
            weekdays.nth.insert(both.ok_or_else(|| field.invalid(item))?);
        } else {
            let day = text.strip_suffix('l').and_then(|day| field.value(day));
            weekdays.last.insert(day.ok_or_else(|| field.invalid(item))?);
        }
    }
    Ok((!content.any).then_some(weekdays))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weekdays_of(field: &str) -> Vec<u16> {
        let fields = Fields::parse(&format!("0 0 * * {field}")).unwrap();
        fields.weekdays.unwrap().numbers.into_iter().collect()
    }

    #[test]
    fn sunday_may_begin_or_end_a_range() {
        for (field, days) in [
            ("0", vec![0]),
            ("7", vec![0]),
            ("07", vec![0]),
            ("1-7", vec![0, 1, 2, 3, 4, 5, 6]),
            ("0-7", vec![0, 1, 2, 3, 4, 5, 6]),
            ("6-7", vec![0, 6]),
            ("fri-SUN", vec![0, 5, 6]),
            ("Sunday-tue", vec![0, 1, 2]),
            ("7-2", vec![0, 1, 2]),
            ("7-7", vec![0]),
            ("SUN-SUN", vec![0]),
            ("1-7/2", vec![0, 1, 3, 5]),
            ("7/2", vec![0, 2, 4, 6]),
        ] {
            assert_eq!(weekdays_of(field), days, "{field}");
        }
    }

    #[test]
    fn special_days_may_be_in_lists() {
        let fields = Fields::parse("0 0 L,lw,15W,03w,,7 * 5L,fril,MON#2,7#1").unwrap();
        let days = fields.days.unwrap();
        assert!(days.last && days.last_workday);
        assert_eq!(days.nearest_workdays, BTreeSet::from([3, 15]));
        assert_eq!(days.numbers, BTreeSet::from([7]));
        let weekdays = fields.weekdays.unwrap();
        assert_eq!(weekdays.last, BTreeSet::from([5]));
        assert_eq!(weekdays.nth, BTreeSet::from([(0, 1), (1, 2)]));
    }

    #[test]
    fn wildcard_in_minute_or_hour_means_elapsed_time() {
        for text in ["* 2 * * *", "0 * * * *", "5,*/20 2 * * *", "? 2 * * *", "@hourly"] {
            assert_eq!(Fields::parse(text).unwrap().pace, Pace::Elapsed, "{text}");
        }
        for text in ["0 0-23 * * *", "5/20 2 * * *", "* 0 0 * * * *", "@daily", "@midnight"] {
            assert_eq!(Fields::parse(text).unwrap().pace, Pace::Fixed, "{text}");
        }
    }

    #[test]
    fn errors_name_field_fault_and_valid_items() {
        for (text, message) in [
            ("", "the schedule has 0 fields; write 5 "),
            ("* * * *", "the schedule has 4 fields; write 5 "),
            ("* * * * * * * *", "the schedule has 8 fields; write 5 "),
            ("@Daily", "unknown macro \"@Daily\"; allowed are @yearly, "),
            ("@every 5m", "unknown macro \"@every\"; allowed are @yearly, "),
            ("@hourly x y", "\"x y\" follows @hourly, which is a whole schedule; remove it"),
            ("0 @daily * * *", "hour: \"@daily\" is invalid; allowed are 0-23, "),
            ("5-1 * * * *", "minute: \"5-1\" is a reversed range; write two ranges with "),
            ("0 0 * * 6-0", "day-of-week: \"6-0\" is a reversed range; "),
            ("0 0 * DEC-jan *", "month: \"DEC-jan\" is a reversed range; "),
            ("0 ,, * * *", "hour: \",,\" contains no value; allowed are 0-23, "),
            ("*/60 * * * *", "minute: \"*/60\" has a step outside 1 to 59"),
            ("*/0 * * * *", "minute: \"*/0\" has a step outside 1 to 59"),
            ("1-/2 * * * *", "minute: \"1-/2\" is invalid; "),
            ("*,x * * * *", "minute: \"x\" is invalid; "),
            ("001 * * * *", "minute: \"001\" is invalid; "),
            ("0 0 32 * *", "day-of-month: \"32\" is invalid; allowed are 1-31, "),
            ("0 0 * * 1#6", "day-of-week: \"1#6\" is invalid; "),
            ("0 0 * * * 2100", "year: \"2100\" is invalid; allowed are 1970-2099, "),
            ("60 * * * * * *", "second: \"60\" is invalid; allowed are 0-59, "),
            ("a\u{1b}[2J * * * *", "minute: \"a\\u{1b}[2J\" is invalid; "),
        ] {
            let error = Fields::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{text:?}: {error}");
        }
    }

    #[test]
    fn every_value_of_every_field_may_be_written_out() {
        let all = |first: u16, last: u16| {
            (first..=last).map(|value| value.to_string()).collect::<Vec<_>>().join(",")
        };
        let [sixty, hours] = [all(0, 59), all(0, 23)];
        let [days, months, weekdays, years] = [all(1, 31), all(1, 12), all(0, 7), all(1970, 2099)];
        let text = format!("{sixty} {sixty} {hours} {days} {months} {weekdays} {years}");
        assert!(Fields::parse(&text).is_ok());
        let text = format!("{text}{}", " ".repeat(SCHEDULE_BYTES_MAX));
        assert!(matches!(Fields::parse(&text), Err(ScheduleError::Long(_))));
    }
}
