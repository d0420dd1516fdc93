//! One field of an expression: values, ranges, steps and lists of them.
//!
//! A field becomes the set of its values here, so that no later part has to
//! know what `a/n` means. Items that only days have (`L`, `15W`, `5#3`) are
//! handed on to `parse`.

use std::collections::BTreeSet;

use super::{Fault, ScheduleError};
use crate::chain::excerpt;

/// How much of an offending text an error shows, in bytes.
const SHOWN_BYTES_MAX: usize = 64;

/// The names of the months.
const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// The names of the days of the week.
const WEEKDAY_NAMES: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// What may stand in a field.
#[derive(Debug)]
pub(super) struct Field {
    /// What errors call it.
    name: &'static str,
    first: u16,
    last: u16,
    /// The highest number that may be written; one beyond the highest value is the lowest again.
    written_last: u16,
    /// Names of the values, from the lowest on; their first three letters are enough.
    names: &'static [&'static str],
    /// What errors say is allowed.
    allowed: &'static str,
}

/// What stands in a field.
#[derive(Debug)]
pub(super) struct Content<'a> {
    /// The values that were written out.
    pub(super) values: BTreeSet<u16>,
    /// Whether `*` or `?` is among the items, so that the field restricts nothing.
    pub(super) any: bool,
    /// Whether `*`, `?` or a step on `*` is among the items.
    pub(super) wildcard: bool,
    /// Items of another form.
    pub(super) special: Vec<&'a str>,
}

/// The seconds of a minute.
pub(super) static SECOND: Field =
    Field::of_numbers("second", 0, 59, "0-59, *, a-b, */n, a-b/n and lists");
/// The minutes of an hour.
pub(super) static MINUTE: Field =
    Field::of_numbers("minute", 0, 59, "0-59, *, a-b, */n, a-b/n and lists");
/// The hours of a day.
pub(super) static HOUR: Field =
    Field::of_numbers("hour", 0, 23, "0-23, *, a-b, */n, a-b/n and lists");
/// The days of a month.
pub(super) static DAY: Field = Field::of_numbers(
    "day-of-month",
    1,
    31,
    "1-31, *, a-b, */n, a-b/n, L (the last day), LW (the last workday), \
     15W (the workday nearest to the 15th) and lists",
);
/// The months of a year.
pub(super) static MONTH: Field = Field {
    names: &MONTH_NAMES,
    ..Field::of_numbers("month", 1, 12, "1-12, JAN-DEC, *, a-b, */n, a-b/n and lists")
};
/// The days of a week; 7 is Sunday again.
pub(super) static WEEKDAY: Field = Field {
    names: &WEEKDAY_NAMES,
    written_last: 7,
    ..Field::of_numbers(
        "day-of-week",
        0,
        6,
        "0-7, SUN-SAT, *, a-b, */n, a-b/n, 5L (the last Friday), 5#3 (the third Friday) and lists",
    )
};
/// The years that the language knows.
pub(super) static YEAR: Field =
    Field::of_numbers("year", 1970, 2099, "1970-2099, *, a-b, */n, a-b/n and lists");

impl Field {
    const fn of_numbers(name: &'static str, first: u16, last: u16, allowed: &'static str) -> Field {
        Field { name, first, last, written_last: last, names: &[], allowed }
    }

    /// Returns the content of the field whose text is `text`.
    pub(super) fn read<'a>(&self, text: &'a str) -> Result<Content<'a>, ScheduleError> {
        let mut content =
            Content { values: BTreeSet::new(), any: false, wildcard: false, special: Vec::new() };
        let mut empty = true;
        // As in the original, an empty item of a list is no fault.
        for item in text.split(',').filter(|item| !item.is_empty()) {
            empty = false;
            self.read_item(item, &mut content)?;
        }
        if empty {
            return Err(self.refused(text, Fault::Nothing(self.allowed)));
        }
        if content.any {
            content.values = self.all();
        }
        Ok(content)
    }

    fn read_item<'a>(&self, item: &'a str, content: &mut Content<'a>) -> Result<(), ScheduleError> {
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, Some(step)),
            None => (item, None),
        };
        let span = match (base, step) {
            ("*" | "?", None) => {
                (content.any, content.wildcard) = (true, true);
                return Ok(());
            }
            ("*", Some(_)) => {
                content.wildcard = true;
                Some((self.first, self.last))
            }
            _ => self.range(base),
        };
        let Some((first, last)) = span else {
            if step.is_some() {
                return Err(self.not_understood(item));
            }
            content.special.push(item);
            return Ok(());
        };
        // `a/n` runs to the end of the field.
        let last = if step.is_some() && !base.contains('-') { self.last } else { last };
        if first > last {
            return Err(self.refused(item, Fault::Reversed));
        }
        let step = step.map_or(Ok(1), |step| self.step(step, item))?;
        let values = (first..=last).step_by(usize::from(step));
        content.values.extend(values.map(|value| self.wrapped(value)));
        Ok(())
    }

    /// Returns the ends of `a-b`, or of `a` alone.
    fn range(&self, base: &str) -> Option<(u16, u16)> {
        let Some((first, last)) = base.split_once('-') else {
            let value = self.value(base)?;
            return Some((value, value));
        };
        let (from, to) = (self.written(first)?, self.written(last)?);
        // A week may be said to end with Sunday, by its name as well as by 7 …
        let by_name = !last.starts_with(|c: char| c.is_ascii_digit());
        let ends_again = self.written_last > self.last && by_name && to == self.first && from > to;
        let to = if ends_again { self.written_last } else { to };
        // … and to begin with it, as 7 as well as 0.
        let from = if to <= self.last { self.wrapped(from) } else { from };
        Some((from, to))
    }

    /// Returns the value that `text` stands for.
    pub(super) fn value(&self, text: &str) -> Option<u16> {
        self.written(text).map(|number| self.wrapped(number))
    }

    /// Returns the number that is written in `text`, as such or by name.
    fn written(&self, text: &str) -> Option<u16> {
        if let Some(number) = self.number(text) {
            return (self.first..=self.written_last).contains(&number).then_some(number);
        }
        let is_named = |name: &str| {
            name.eq_ignore_ascii_case(text)
                || name.get(..3).is_some_and(|short| short.eq_ignore_ascii_case(text))
        };
        (self.first..).zip(self.names).find(|(_, name)| is_named(name)).map(|(value, _)| value)
    }

    fn step(&self, text: &str, item: &str) -> Result<u16, ScheduleError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.not_understood(item));
        }
        let step = self.number(text).filter(|step| (1..=self.last).contains(step));
        step.ok_or_else(|| self.refused(item, Fault::Step(self.last)))
    }

    /// Returns the number written in `text`: digits only, leading zeros are decimal,
    /// and no more of them than the highest value could need.
    fn number(&self, text: &str) -> Option<u16> {
        let digits_max = if self.last > 99 { 4 } else { 2 };
        let plain = (1..=digits_max).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    }

    fn wrapped(&self, number: u16) -> u16 {
        if number > self.last { self.first } else { number }
    }

    /// Returns what the field is called.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the name of `value`, or its number if it has none.
    pub(super) fn label(&self, value: u16) -> String {
        let index = value.checked_sub(self.first).map(usize::from);
        let name = index.and_then(|index| self.names.get(index));
        name.map_or_else(|| value.to_string(), |name| (*name).to_owned())
    }

    /// Returns every value of the field.
    pub(super) fn all(&self) -> BTreeSet<u16> {
        (self.first..=self.last).collect()
    }

    /// Returns the refusal of an `item` that has no meaning here.
    pub(super) fn not_understood(&self, item: &str) -> ScheduleError {
        self.refused(item, Fault::Unknown(self.allowed))
    }

    fn refused(&self, text: &str, fault: Fault) -> ScheduleError {
        ScheduleError::Field { field: self.name, text: shown(text), fault }
    }
}

/// Returns as much of `text` as an error shows.
pub(super) fn shown(text: &str) -> String {
    excerpt(text, SHOWN_BYTES_MAX).into_owned()
}
