//! A time as a wall clock shows it, without a zone.
//!
//! Expressions refer to wall clocks. A wall time is stored as the number of seconds since the
//! beginning of 1970 *on that clock*; only `zone` knows at which instants the clock shows it.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::Offset;

const MINUTE_SECONDS: i64 = 60;

/// A time on a wall clock, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wall(i64);

impl Wall {
    /// Returns the time `seconds` after the beginning of 1970.
    pub(super) fn from_seconds(seconds: i64) -> Wall {
        Wall(seconds)
    }

    pub(super) fn start_of(year: i16) -> Option<Wall> {
        let start = civil::Date::new(year, 1, 1).ok()?.to_datetime(civil::Time::midnight());
        Some(Wall(Offset::UTC.to_timestamp(start).ok()?.as_second()))
    }

    pub(super) fn seconds(self) -> i64 {
        self.0
    }

    /// Returns the year, limited to the range of the calendar.
    pub(super) fn year(self) -> i16 {
        let end = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Offset::UTC.to_datetime(Timestamp::from_second(self.0).unwrap_or(end)).year()
    }

    pub(super) fn minute(self) -> Wall {
        Wall(self.0.saturating_sub(self.0.rem_euclid(MINUTE_SECONDS)))
    }

    pub(super) fn next_minute(self) -> Wall {
        Wall(self.minute().0.saturating_add(MINUTE_SECONDS))
    }

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
    fn wall_time_has_year_minute_and_second() {
        let wall = Wall::start_of(2026).unwrap().plus(61);
        assert_eq!((wall.year(), wall.second()), (2026, 1));
        assert_eq!(wall.minute(), Wall::start_of(2026).unwrap().plus(60));
        assert_eq!(wall.next_minute(), Wall::start_of(2026).unwrap().plus(120));
        assert_eq!(Wall::from_seconds(-1).second(), 59);
        assert_eq!(Wall::from_seconds(-1).year(), 1969);
    }

    #[test]
    fn extreme_wall_times_have_a_year() {
        assert_eq!(Wall::from_seconds(i64::MAX).year(), 9999);
        assert_eq!(Wall::from_seconds(i64::MIN).year(), -9999);
    }
}
