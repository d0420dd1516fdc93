//! A reference implementation of the language and the rule for clock changes, by brute force and
//! sharing no code with the implementation.
//!
//! It iterates over instants in quarters of an hour (minutes where the clock changes), uses only
//! the offset of the zone, and checks each minute that the clock shows or skips.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

const QUARTER: i64 = 15 * 60;
const DAY: i64 = 24 * 60 * 60;

/// A valid expression, as lookup tables and unparsed items.
#[derive(Debug)]
pub(super) struct Reference {
    seconds: Vec<bool>,
    minutes: Vec<bool>,
    hours: Vec<bool>,
    months: Vec<bool>,
    years: Vec<bool>,
    days: String,
    weekdays: String,
    elapsed: bool,
}

const MONTHS: [&str; 13] =
    ["", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Reference {
    pub(super) fn new(text: &str) -> Reference {
        let text = text.to_lowercase();
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *".to_owned(),
            "@monthly" => "0 0 1 * *".to_owned(),
            "@weekly" => "0 0 * * 0".to_owned(),
            "@daily" | "@midnight" => "0 0 * * *".to_owned(),
            "@hourly" => "0 * * * *".to_owned(),
            other => other.to_owned(),
        };
        let mut words: Vec<&str> = text.split_whitespace().collect();
        if words.len() < 7 {
            words.insert(0, "0");
        }
        if words.len() < 7 {
            words.push("*");
        }
        let table = |text: &str, first, last, names: &[&str]| {
            (0..=last).map(|value| value >= first && has(text, value, first, last, names)).collect()
        };
        Reference {
            seconds: table(words[0], 0, 59, &[]),
            minutes: table(words[1], 0, 59, &[]),
            hours: table(words[2], 0, 23, &[]),
            months: table(words[4], 1, 12, &MONTHS),
            years: table(words[6], 1970, 2099, &[]),
            days: words[3].to_owned(),
            weekdays: words[5].to_owned(),
            elapsed: [words[1], words[2]].iter().any(|text| text.contains(['*', '?'])),
        }
    }

    /// Returns the slots after `from` and up to `until`, at most `limit`.
    pub(super) fn slots(
        &self,
        zone: &TimeZone,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Vec<Timestamp> {
        let mut slots = Vec::new();
        // Starts two days earlier, to know which wall times the clock has already shown.
        let mut instant = (from.as_second() - 2 * DAY).div_euclid(QUARTER) * QUARTER;
        let mut shown = instant + offset(zone, instant);
        let mut today = (i64::MIN, false);
        while instant <= until.as_second() && slots.len() < limit {
            let wall = instant + offset(zone, instant);
            let steady = offset(zone, instant + QUARTER - 60) == wall - instant;
            let block = if steady && wall % QUARTER == 0 { QUARTER } else { 60 };
            let mut found = Vec::new();
            if !self.elapsed && (shown..wall).step_by(60).any(|skipped| self.has_minute(skipped)) {
                found.push(instant);
            }
            if today.0 != wall.div_euclid(DAY) {
                today = (wall.div_euclid(DAY), self.has_date(date_of(wall)));
            }
            for minute in (0..block).step_by(60) {
                let wall = wall + minute;
                if today.1 && (self.elapsed || wall >= shown) && self.has_time(wall) {
                    let seconds = (0..60).filter(|second| self.seconds[index(*second)]);
                    found.extend(seconds.map(|second| instant + minute + second));
                }
            }
            found.dedup();
            let found = found.into_iter().map(|second| Timestamp::from_second(second).unwrap());
            slots.extend(found.filter(|slot| *slot > from && *slot <= until));
            shown = shown.max(wall + block);
            instant += block;
        }
        slots.truncate(limit);
        slots
    }

    fn has_minute(&self, wall: i64) -> bool {
        self.has_date(date_of(wall)) && self.has_time(wall)
    }

    fn has_time(&self, wall: i64) -> bool {
        let minute = wall.rem_euclid(DAY) / 60;
        self.hours[index(minute / 60)] && self.minutes[index(minute % 60)]
    }

    fn has_date(&self, date: Date) -> bool {
        let year = usize::try_from(date.year()).unwrap_or_default();
        if !self.years.get(year).copied().unwrap_or_default()
            || !self.months[usize::try_from(date.month()).unwrap()]
        {
            return false;
        }
        let any = |text: &str| text.split(',').any(|item| item == "*" || item == "?");
        let day = items(&self.days).any(|item| is_day(item, date));
        let weekday = items(&self.weekdays).any(|item| is_weekday(item, date));
        match (any(&self.days), any(&self.weekdays)) {
            (true, true) => true,
            (false, true) => day,
            (true, false) => weekday,
            (false, false) => day || weekday,
        }
    }
}

fn offset(zone: &TimeZone, second: i64) -> i64 {
    i64::from(zone.to_offset(Timestamp::from_second(second).unwrap()).seconds())
}

fn date_of(wall: i64) -> Date {
    date(1970, 1, 1) + wall.div_euclid(DAY).days()
}

fn index(value: i64) -> usize {
    usize::try_from(value).unwrap()
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|item| !item.is_empty())
}

fn has(text: &str, value: i64, first: i64, last: i64, names: &[&str]) -> bool {
    items(text).any(|item| item_has(item, value, first, last, names))
}

fn item_has(item: &str, value: i64, first: i64, last: i64, names: &[&str]) -> bool {
    let number = |text: &str| {
        let named = names.iter().position(|name| !name.is_empty() && text.starts_with(name));
        named.map_or_else(|| text.parse().unwrap(), |index| i64::try_from(index).unwrap())
    };
    let (base, step) = item.split_once('/').unwrap_or((item, ""));
    let (from, to) = match base.split_once('-') {
        _ if base == "*" || base == "?" => (first, last),
        Some((from, to)) => (number(from), number(to)),
        None if step.is_empty() => (number(base), number(base)),
        None => (number(base), last),
    };
    let step = if step.is_empty() { 1 } else { step.parse().unwrap() };
    (from..=to).contains(&value) && (value - from) % step == 0
}

fn is_weekday(item: &str, date: Date) -> bool {
    let day = i64::from(date.weekday().to_sunday_zero_offset());
    let number = |text: &str| {
        let named = WEEKDAYS.iter().position(|name| text.starts_with(name));
        named
            .map_or_else(|| text.parse::<i64>().unwrap() % 7, |index| i64::try_from(index).unwrap())
    };
    if let Some((weekday, nth)) = item.split_once('#') {
        return number(weekday) == day && (date.day() - 1) / 7 + 1 == nth.parse::<i8>().unwrap();
    }
    if let Some(weekday) = item.strip_suffix('l') {
        return number(weekday) == day && date.day() + 7 > date.days_in_month();
    }
    // Sunday at the end of a range is day 7, at the beginning it is day 0.
    let base = item.split('/').next().unwrap();
    let (from, to) = base.split_once('-').unwrap_or((base, base));
    let sunday = |text: &str| text == "7" || text.starts_with("sun");
    let item = match (sunday(from), sunday(to)) {
        (true, true) if from == "sun" && to == "7" => item.replacen("sun", "0", 1),
        (true, true) if base.contains('-') => "0".to_owned(),
        (true, _) => item.replacen(from, "0", 1),
        (false, true) if from == "0" && to != "7" => "0".to_owned(),
        (false, true) => item.replacen(&format!("-{to}"), "-7", 1),
        (false, false) => item.to_owned(),
    };
    item_has(&item, day, 0, 6, &WEEKDAYS) || (day == 0 && item_has(&item, 7, 0, 6, &WEEKDAYS))
}

fn is_day(item: &str, date: Date) -> bool {
    let length = date.days_in_month();
    match item {
        "l" => date.day() == length,
        "lw" => Some(date) == nearest_workday(date, length),
        _ => match item.strip_suffix('w') {
            Some(day) => Some(date) == nearest_workday(date, day.parse().unwrap()),
            None => item_has(item, i64::from(date.day()), 1, 31, &[]),
        },
    }
}

/// Returns the workday nearest to a day of the month; `None` if the month lacks the day.
fn nearest_workday(month: Date, day: i8) -> Option<Date> {
    let wanted = Date::new(month.year(), month.month(), day).ok()?;
    let is_workday = |date: &Date| date.weekday().to_monday_zero_offset() < 5;
    [0, -1, 1, -2, 2]
        .into_iter()
        .map(|days: i64| wanted + days.days())
        .find(|near| near.month() == month.month() && is_workday(near))
}
