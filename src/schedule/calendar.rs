//! Matches minute, hour, day of month, month and day of week with saffron.
//!
//! saffron numbers the days of the week from 1, accepts a special day (`L`, `15W`, `5#3`) only as
//! the only item of its field, and mishandles ranges and steps that wrap and `31W` in a month of 30
//! days. So it never receives a user's text: each kind of day becomes a rule of its own, with every
//! value written out, and a time matches if one rule matches. This also implements the meaning of
//! days in cron: if both day of month and day of week are restricted, either is sufficient.
//!
//! **Invariant.** Only this file uses saffron and chrono. chrono's UTC stands for a wall clock
//! without a zone here.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, TimeDelta, Utc};

use super::ScheduleError;
use super::field;
use super::parse::{Days, Fields, Weekdays};
use super::wall::Wall;

/// saffron's names of the days of the week, from Sunday.
const WEEKDAY_NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// Maximum length of each month, from January.
const MONTH_DAYS_MAX: [u16; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/// Minutes from midnight to the last minute of the day.
const LAST_MINUTE: i64 = 24 * 60 - 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Calendar {
    rules: Box<[DayRule]>,
}

/// One kind of day, at the hours and minutes of the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DayRule {
    cron: saffron::Cron,
    /// Months without this day do not match.
    day: u32,
}

impl Calendar {
    pub(super) fn new(fields: &Fields) -> Result<Calendar, ScheduleError> {
        let minutes = all_or_list(&fields.minutes, &field::MINUTE);
        let hours = all_or_list(&fields.hours, &field::HOUR);
        let rules = day_kinds(fields).into_iter().map(|(days, day)| {
            let rule = format!("{minutes} {hours} {days}");
            // saffron's error has no details; the rule itself is more useful.
            let Ok(cron) = rule.parse() else { return Err(ScheduleError::Calendar(rule)) };
            Ok(DayRule { cron, day: u32::from(day) })
        });
        Ok(Calendar { rules: rules.collect::<Result<_, _>>()? })
    }

    /// Returns the first matching minute at or after `minute`, which is the beginning of a minute.
    pub(super) fn first_from(&self, minute: Wall) -> Option<Wall> {
        let before = DateTime::from_timestamp(minute.plus(-1).minute().seconds(), 0)?;
        let first = self.rules.iter().filter_map(|rule| rule.next_after(before)).min()?;
        Some(Wall::from_seconds(first.timestamp()))
    }
}

impl DayRule {
    fn next_after(&self, minute: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut minute = minute;
        loop {
            let found = self.cron.next_after(minute)?;
            if u32::from(found.num_days_in_month()) >= self.day {
                return Some(found);
            }
            // `29W` in a February of 28 days. The selection of months leaves only this case, and a
            // leap year ends it.
            let midnight = found.date_naive().and_hms_opt(0, 0, 0)?.and_utc();
            minute = midnight.checked_add_signed(TimeDelta::try_minutes(LAST_MINUTE)?)?;
        }
    }
}

/// Returns saffron's day, month and weekday for each kind of day in `fields`, and the day that a
/// month must have to match.
fn day_kinds(fields: &Fields) -> Vec<(String, u16)> {
    let months = all_or_list(&fields.months, &field::MONTH);
    if fields.days.is_none() && fields.weekdays.is_none() {
        return vec![(format!("* {months} *"), 1)];
    }
    let mut kinds = Vec::new();
    if let Some(days) = &fields.days {
        let alone = plain_days(days).into_iter();
        kinds.extend(alone.map(|days| (format!("{days} {months} *"), 1)));
        kinds.extend(days.nearest_workdays.iter().filter_map(|day| {
            // In a month that never has the day, saffron would find a day near the end, or search
            // through all years.
            let long = fields.months.iter().copied().filter(|month| month_days_max(*month) >= *day);
            let long: BTreeSet<u16> = long.collect();
            (!long.is_empty()).then(|| (format!("{day}W {} *", list(&long)), *day))
        }));
    }
    if let Some(weekdays) = &fields.weekdays {
        kinds.extend(
            weekday_kinds(weekdays).into_iter().map(|days| (format!("* {months} {days}"), 1)),
        );
    }
    kinds
}

fn plain_days(days: &Days) -> Vec<String> {
    let numbers = (!days.numbers.is_empty()).then(|| list(&days.numbers));
    let last = days.last.then(|| "L".to_owned());
    let last_workday = days.last_workday.then(|| "LW".to_owned());
    [numbers, last, last_workday].into_iter().flatten().collect()
}

fn weekday_kinds(weekdays: &Weekdays) -> Vec<String> {
    let names: Vec<&str> = weekdays.numbers.iter().map(|day| weekday_name(*day)).collect();
    let numbers = (!names.is_empty()).then(|| names.join(","));
    let last = weekdays.last.iter().map(|day| format!("{}L", weekday_name(*day)));
    let nth = weekdays.nth.iter().map(|(day, nth)| format!("{}#{nth}", weekday_name(*day)));
    numbers.into_iter().chain(last).chain(nth).collect()
}

fn month_days_max(month: u16) -> u16 {
    MONTH_DAYS_MAX.get(usize::from(month).saturating_sub(1)).copied().unwrap_or_default()
}

fn weekday_name(day: u16) -> &'static str {
    WEEKDAY_NAMES.get(usize::from(day)).copied().unwrap_or("SUN")
}

fn all_or_list(values: &BTreeSet<u16>, field: &field::Field) -> String {
    if *values == field.all() { "*".to_owned() } else { list(values) }
}

fn list(values: &BTreeSet<u16>) -> String {
    let texts: Vec<String> = values.iter().map(u16::to_string).collect();
    texts.join(",")
}
