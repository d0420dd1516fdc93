//! A schedule: an expression, and the next time at which it fires.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::ScheduleError;
use super::calendar::Calendar;
use super::field::{self, shown};
use super::number_set::NumberSet;
use super::parse::Fields;
use super::wall::Wall;
use super::zone::{self, Pace};

/// An expression. It takes less than 200 bytes, because those of all jobs are in memory.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Cron {
    text: Box<str>,
    /// 0 to 59.
    seconds: NumberSet<1>,
    /// 1970 to 2099.
    years: NumberSet<3>,
    pace: Pace,
    calendar: Calendar,
}

impl Cron {
    /// Returns the first slot later than `after`, or `None` if there is none.
    pub(crate) fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let next = zone::first_after(after, zone, self.pace, |from| self.first_from(from));
        // A safeguard against faults below: a slot that is not later would fire endlessly.
        next.filter(|next| *next > after)
    }

    /// Rejects a schedule without a slot later than `now`; called when a job is loaded.
    ///
    /// A schedule whose last slot passes later is not an error: it is finished.
    pub(crate) fn check_at(&self, now: Timestamp, zone: &TimeZone) -> Result<(), ScheduleError> {
        match self.next_after(now, zone) {
            Some(_) => Ok(()),
            None => Err(ScheduleError::Never { text: shown(&self.text), now }),
        }
    }

    /// Returns the values of its fields.
    pub(super) fn fields(&self) -> Result<Fields, ScheduleError> {
        Fields::parse(&self.text)
    }

    /// Returns the first wall time of the expression at or after `from`.
    fn first_from(&self, from: Wall) -> Option<Wall> {
        let mut from = from;
        // Every iteration but one advances to a later year.
        loop {
            let earliest = u16::try_from(from.year()).unwrap_or_default();
            let year = self.years.next_from(earliest)?;
            if year > earliest {
                from = Wall::start_of(i16::try_from(year).ok()?)?;
            }
            let minute = self.calendar.first_from(from.minute())?;
            let year_found = u16::try_from(minute.year()).ok()?;
            if !self.years.contains(year_found) {
                from = minute;
                continue;
            }
            let second_min = if minute == from.minute() { from.second() } else { 0 };
            match self.seconds.next_from(second_min) {
                Some(second) => return Some(minute.plus(i64::from(second))),
                None => from = from.next_minute(),
            }
        }
    }
}

impl Hash for Cron {
    /// All other fields follow from the text.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl FromStr for Cron {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Cron, ScheduleError> {
        let fields = Fields::parse(text)?;
        let calendar = Calendar::new(&fields)?;
        Ok(Cron {
            text: text.into(),
            seconds: NumberSet::new(field::SECOND.first(), &fields.seconds),
            years: NumberSet::new(field::YEAR.first(), &fields.years),
            pace: fields.pace,
            calendar,
        })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cron").field(&self.text).finish()
    }
}
