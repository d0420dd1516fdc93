//! One field of an expression: values, ranges, steps and lists.
//!
//! This file expands a field to the set of its values, so that other files need not know the
//! syntax. Items that only days have (`L`, `15W`, `5#3`) are returned to `parse` as text.

use std::collections::BTreeSet;

use super::{FieldFault, ScheduleError};
use crate::chain::excerpt;

/// Size limit, in bytes, of an invalid text in an error.
const SHOWN_BYTES_MAX: usize = 64;

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
const WEEKDAY_NAMES: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The syntax of a field.
#[derive(Debug)]
pub(super) struct Field {
    /// The name in errors.
    name: &'static str,
    first: u16,
    last: u16,
    /// The highest accepted number; one above the highest value denotes the lowest value.
    written_last: u16,
    /// The names of the values, from the lowest; three letters are sufficient.
    names: &'static [&'static str],
    /// The description of valid items in errors.
    allowed: &'static str,
}

/// The content of a field.
#[derive(Debug)]
pub(super) struct Content<'a> {
    /// The values that its items denote.
    pub(super) values: BTreeSet<u16>,
    /// Whether `*` or `?` is an item, so that the field matches every value.
    pub(super) any: bool,
    /// Whether `*`, `?` or a step on `*` is an item.
    pub(super) wildcard: bool,
    /// Items of other forms.
    pub(super) special: Vec<&'a str>,
}

pub(super) static SECOND: Field =
    Field::of_numbers("second", 0, 59, "0-59, *, a-b, */n, a-b/n and lists");
pub(super) static MINUTE: Field =
    Field::of_numbers("minute", 0, 59, "0-59, *, a-b, */n, a-b/n and lists");
pub(super) static HOUR: Field =
    Field::of_numbers("hour", 0, 23, "0-23, *, a-b, */n, a-b/n and lists");
pub(super) static DAY: Field = Field::of_numbers(
    "day-of-month",
    1,
    31,
    "1-31, *, a-b, */n, a-b/n, L (the last day), LW (the last workday), \
     15W (the workday nearest to the 15th) and lists",
);
pub(super) static MONTH: Field = Field {
    names: &MONTH_NAMES,
    ..Field::of_numbers("month", 1, 12, "1-12, JAN-DEC, *, a-b, */n, a-b/n and lists")
};
/// 7 is Sunday, like 0.
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
pub(super) static YEAR: Field =
    Field::of_numbers("year", 1970, 2099, "1970-2099, *, a-b, */n, a-b/n and lists");

impl Field {
    const fn of_numbers(name: &'static str, first: u16, last: u16, allowed: &'static str) -> Field {
        Field { name, first, last, written_last: last, names: &[], allowed }
    }

    /// Parses the text of a field.
    pub(super) fn read<'a>(&self, text: &'a str) -> Result<Content<'a>, ScheduleError> {
        let mut content =
            Content { values: BTreeSet::new(), any: false, wildcard: false, special: Vec::new() };
        let mut empty = true;
        // As in the original, empty items of a list are ignored.
        for item in text.split(',').filter(|item| !item.is_empty()) {
            empty = false;
            self.read_item(item, &mut content)?;
        }
        if empty {
            return Err(self.error(text, FieldFault::Empty(self.allowed)));
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
                return Err(self.invalid(item));
            }
            content.special.push(item);
            return Ok(());
        };
        // `a/n` extends to the highest value.
        let last = if step.is_some() && !base.contains('-') { self.last } else { last };
        if first > last {
            return Err(self.error(item, FieldFault::Reversed));
        }
        let step = step.map_or(Ok(1), |step| self.step(step, item))?;
        let values = (first..=last).step_by(usize::from(step));
        content.values.extend(values.map(|value| self.wrapped(value)));
        Ok(())
    }

    /// Parses `a-b`, or `a` as the range of one value.
    fn range(&self, base: &str) -> Option<(u16, u16)> {
        let Some((first, last)) = base.split_once('-') else {
            let value = self.value(base)?;
            return Some((value, value));
        };
        let (from, to) = (self.written(first)?, self.written(last)?);
        // A range may end with Sunday, by name or as 7 …
        let by_name = !last.starts_with(|c: char| c.is_ascii_digit());
        let ends_again = self.written_last > self.last && by_name && to == self.first && from > to;
        let to = if ends_again { self.written_last } else { to };
        // … and begin with Sunday, as 7 or as 0.
        let from = if to <= self.last { self.wrapped(from) } else { from };
        Some((from, to))
    }

    /// Parses a number or a name.
    pub(super) fn value(&self, text: &str) -> Option<u16> {
        self.written(text).map(|number| self.wrapped(number))
    }

    /// Parses a number or a name; a number may be one above the highest value.
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
            return Err(self.invalid(item));
        }
        let step = self.number(text).filter(|step| (1..=self.last).contains(step));
        step.ok_or_else(|| self.error(item, FieldFault::Step(self.last)))
    }

    /// Parses a decimal number, with leading zeros, but with no more digits than the highest value
    /// needs.
    fn number(&self, text: &str) -> Option<u16> {
        let digits_max = if self.last > 99 { 4 } else { 2 };
        let plain = (1..=digits_max).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    }

    fn wrapped(&self, number: u16) -> u16 {
        if number > self.last { self.first } else { number }
    }

    pub(super) fn first(&self) -> u16 {
        self.first
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the name of `value`, or its number if it has no name.
    pub(super) fn label(&self, value: u16) -> String {
        let index = value.checked_sub(self.first).map(usize::from);
        let name = index.and_then(|index| self.names.get(index));
        name.map_or_else(|| value.to_string(), |name| (*name).to_owned())
    }

    pub(super) fn all(&self) -> BTreeSet<u16> {
        (self.first..=self.last).collect()
    }

    /// Returns the error for an `item` that is invalid in this field.
    pub(super) fn invalid(&self, item: &str) -> ScheduleError {
        self.error(item, FieldFault::Invalid(self.allowed))
    }

    fn error(&self, text: &str, fault: FieldFault) -> ScheduleError {
        ScheduleError::Field { field: self.name, text: shown(text), fault }
    }
}

/// Returns the part of `text` that an error shows.
pub(super) fn shown(text: &str) -> String {
    excerpt(text, SHOWN_BYTES_MAX).into_owned()
}
