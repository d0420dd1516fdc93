//! Describes an expression in English.
//!
//! `check` shows the description, so that the operator can compare it with the intention. It is
//! derived from the values, not from the text, so that it shows the real effect of a mistake:
//! `5/20` reads "at minutes 5, 25 and 45 of every hour".

use std::collections::BTreeSet;

use super::Cron;
use super::field::{self, Field};
use super::parse::{Days, Fields, Weekdays};

/// Maximum number of times of day that are listed one by one.
const TIMES_MAX: usize = 6;
/// Minimum number of consecutive values that are written as a range.
const RUN_LEN_MIN: u16 = 3;

impl Cron {
    /// Describes the schedule in English.
    pub(crate) fn in_words(&self) -> String {
        // The text was parsed before, so this cannot fail.
        let Ok(fields) = self.fields() else { return self.to_string() };
        let fields = &fields;
        let mut words = time(fields);
        let days = days(fields);
        if !days.is_empty() {
            // If both kinds of day are restricted, either is sufficient.
            words = format!("{words} {}", days.join(" or "));
        } else if restricted(&fields.hours, &field::HOUR).is_some() && words.starts_with("at") {
            words = format!("{words} every day");
        }
        if let Some(months) = restricted(&fields.months, &field::MONTH) {
            words = format!("{words} in {months}");
        }
        if let Some(years) = restricted(&fields.years, &field::YEAR) {
            words = format!("{words}, in {years}");
        }
        words
    }
}

/// Describes the times of a day.
fn time(fields: &Fields) -> String {
    let Fields { seconds, minutes, hours, .. } = fields;
    let times = seconds.len() * minutes.len() * hours.len();
    if times <= TIMES_MAX {
        return format!("at {}", joined(&times_of_day(fields)));
    }
    let on_zero = BTreeSet::from([0]);
    let every_hours = every(hours, &field::HOUR).filter(|_| *minutes == on_zero);
    let every_minutes = every(minutes, &field::MINUTE);
    let minute_words = match (every_hours.or(every_minutes), restricted(hours, &field::HOUR)) {
        (Some(every), _) if *minutes == on_zero => every,
        (Some(every), None) => every,
        (Some(every), Some(hours)) => {
            format!("{every} of {} {hours}", plural("hour", &fields.hours))
        }
        (None, None) => format!("at {} of every hour", counted(minutes, &field::MINUTE, "minute")),
        (None, Some(_)) => format!(
            "at {} of {}",
            counted(minutes, &field::MINUTE, "minute"),
            counted(hours, &field::HOUR, "hour")
        ),
    };
    if *seconds == on_zero {
        return minute_words;
    }
    match every(seconds, &field::SECOND) {
        Some(every) if minute_words == "every minute" => every,
        Some(every) => format!("{minute_words}, {every}"),
        None => format!("{minute_words}, at {}", counted(seconds, &field::SECOND, "second")),
    }
}

fn times_of_day(fields: &Fields) -> Vec<String> {
    let mut times = Vec::new();
    for hour in &fields.hours {
        for minute in &fields.minutes {
            for second in &fields.seconds {
                times.push(match second {
                    0 => format!("{hour:02}:{minute:02}"),
                    second => format!("{hour:02}:{minute:02}:{second:02}"),
                });
            }
        }
    }
    times
}

/// Describes each kind of day; empty if days are not restricted.
fn days(fields: &Fields) -> Vec<String> {
    let month_days = fields.days.iter().flat_map(month_days);
    month_days.chain(fields.weekdays.iter().flat_map(week_days)).collect()
}

fn month_days(days: &Days) -> Vec<String> {
    let mut kinds = Vec::new();
    if !days.numbers.is_empty() {
        kinds.push(format!("on {} of the month", counted(&days.numbers, &field::DAY, "day")));
    }
    if days.last {
        kinds.push("on the last day of the month".to_owned());
    }
    if days.last_workday {
        kinds.push("on the last workday of the month".to_owned());
    }
    for day in &days.nearest_workdays {
        kinds.push(format!("on the workday nearest to day {day} of the month"));
    }
    kinds
}

fn week_days(weekdays: &Weekdays) -> Vec<String> {
    let mut kinds = Vec::new();
    if !weekdays.numbers.is_empty() {
        kinds.push(format!("on {}", listed(&weekdays.numbers, &field::WEEKDAY)));
    }
    for day in &weekdays.last {
        kinds.push(format!("on the last {} of the month", field::WEEKDAY.label(*day)));
    }
    for (day, nth) in &weekdays.nth {
        let nth = ["first", "second", "third", "fourth", "fifth"]
            .get(usize::from(*nth).saturating_sub(1))
            .unwrap_or(&"last");
        kinds.push(format!("on the {nth} {} of the month", field::WEEKDAY.label(*day)));
    }
    kinds
}

/// Returns "every minute" or "every 5 minutes" if `values` have this form.
fn every(values: &BTreeSet<u16>, field: &Field) -> Option<String> {
    let all = field.all();
    if *values == all {
        return Some(format!("every {}", field.name()));
    }
    let step = *values.iter().nth(1)?;
    let whole = u16::try_from(all.len()).is_ok_and(|len| len.is_multiple_of(step));
    let stepped: BTreeSet<u16> = all.into_iter().step_by(usize::from(step)).collect();
    (whole && *values == stepped).then(|| format!("every {step} {}s", field.name()))
}

/// Lists the values, or returns `None` if they are all values of the field.
fn restricted(values: &BTreeSet<u16>, field: &Field) -> Option<String> {
    (*values != field.all()).then(|| listed(values, field))
}

fn counted(values: &BTreeSet<u16>, field: &Field, noun: &str) -> String {
    format!("{} {}", plural(noun, values), listed(values, field))
}

fn plural(noun: &str, values: &BTreeSet<u16>) -> String {
    if values.len() == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// Returns `1, 3 to 5 and 9`.
fn listed(values: &BTreeSet<u16>, field: &Field) -> String {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for &value in values {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(value) => *last = value,
            _ => runs.push((value, value)),
        }
    }
    let items: Vec<String> = runs
        .into_iter()
        .flat_map(|(first, last)| {
            if last - first + 1 >= RUN_LEN_MIN {
                vec![format!("{} to {}", field.label(first), field.label(last))]
            } else {
                (first..=last).map(|value| field.label(value)).collect()
            }
        })
        .collect();
    joined(&items)
}

/// Returns `a, b and c`.
fn joined(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_described_in_english() {
        for (text, words) in [
            ("* * * * *", "every minute"),
            ("*/5 * * * *", "every 5 minutes"),
            ("*/7 * * * *", "at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour"),
            ("5/20 * * * *", "at minutes 5, 25 and 45 of every hour"),
            ("@hourly", "every hour"),
            ("0 */2 * * *", "every 2 hours"),
            ("@daily", "at 00:00 every day"),
            ("30 2,14 * * *", "at 02:30 and 14:30 every day"),
            ("15 30 2 * * * *", "at 02:30:15 every day"),
            ("0 9-17 * * 1-5", "at minute 0 of hours 9 to 17 on Monday to Friday"),
            ("*/15 2 * * *", "at 02:00, 02:15, 02:30 and 02:45 every day"),
            ("* 2 * * *", "every minute of hour 2"),
            ("0 0 13 * FRI", "at 00:00 on day 13 of the month or on Friday"),
            (
                "0 0 L,15W * *",
                "at 00:00 on the last day of the month or on the workday nearest to day 15 of the month",
            ),
            ("0 0 LW * *", "at 00:00 on the last workday of the month"),
            (
                "0 0 * * 5L,1#2",
                "at 00:00 on the last Friday of the month or on the second Monday of the month",
            ),
            ("@yearly", "at 00:00 on day 1 of the month in January"),
            ("0 0 * 2,6-8 * 2027", "at 00:00 every day in February and June to August, in 2027"),
            ("* * * * * * *", "every second"),
            ("*/10 * * * * * *", "every 10 seconds"),
            ("5-10 * * * * * *", "every minute, at seconds 5 to 10"),
            ("*/10 30 * * * * *", "at minute 30 of every hour, every 10 seconds"),
        ] {
            assert_eq!(text.parse::<Cron>().unwrap().in_words(), words, "{text}");
        }
    }
}
