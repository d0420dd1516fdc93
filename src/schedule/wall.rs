//! A time as a wall clock shows it, without a zone.
//!
//! Expressions speak of wall clocks. Here such a time is the number of seconds
//! since the beginning of 1970 *on the clock*; only `zone` knows which instants
//! show it.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::Offset;

/// The seconds of a minute.
const MINUTE_SECONDS: i64 = 60;

/// A time on a wall clock, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wall(i64);

impl Wall {
    /// Returns the time that is `seconds` after the beginning of 1970.
    pub(super) fn from_seconds(seconds: i64) -> Wall {
        Wall(seconds)
    }

    /// Returns the beginning of `year`.
    pub(super) fn start_of(year: i16) -> Option<Wall> {
        let start = civil::Date::new(year, 1, 1).ok()?.to_datetime(civil::Time::midnight());
        Some(Wall(Offset::UTC.to_timestamp(start).ok()?.as_second()))
    }

    /// Returns the seconds since the beginning of 1970.
    pub(super) fn seconds(self) -> i64 {
        self.0
    }

    /// Returns the year, or the first or last that the calendar has.
    pub(super) fn year(self) -> i16 {
        let end = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Offset::UTC.to_datetime(Timestamp::from_second(self.0).unwrap_or(end)).year()
    }

    /// Returns the beginning of the minute.
    pub(super) fn minute(self) -> Wall {
        Wall(self.0.saturating_sub(self.0.rem_euclid(MINUTE_SECONDS)))
    }

    /// Returns the beginning of the next minute.
    pub(super) fn next_minute(self) -> Wall {
        Wall(self.minute().0.saturating_add(MINUTE_SECONDS))
    }

    /// Returns the second of the minute.
    pub(super) fn second(self) -> u16 {
        u16::try_from(self.0.rem_euclid(MINUTE_SECONDS)).unwrap_or_default()
    }

    /// Returns the time `seconds` later.
    pub(super) fn plus(self, seconds: i64) -> Wall {
        Wall(self.0.saturating_add(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_time_has_a_year_a_minute_and_a_second() {
        let wall = Wall::start_of(2026).unwrap().plus(61);
        assert_eq!((wall.year(), wall.second()), (2026, 1));
        assert_eq!(wall.minute(), Wall::start_of(2026).unwrap().plus(60));
        assert_eq!(wall.next_minute(), Wall::start_of(2026).unwrap().plus(120));
        assert_eq!(Wall::from_seconds(-1).second(), 59);
        assert_eq!(Wall::from_seconds(-1).year(), 1969);
    }

    #[test]
    fn the_ends_of_time_have_a_year() {
        assert_eq!(Wall::from_seconds(i64::MAX).year(), 9999);
        assert_eq!(Wall::from_seconds(i64::MIN).year(), -9999);
    }
}
