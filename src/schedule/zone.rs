//! From wall clocks to instants: finding time zones, and the rule for clock changes.
//!
//! When a clock goes ahead, some wall times do not happen; when it goes back,
//! some happen twice. As in cronie:
//!
//! * a schedule of fixed times fires once for each: a skipped time at the end
//!   of the gap, a repeated one the first time;
//! * a schedule with a wildcard in minute or hour means "every so often" and
//!   follows elapsed time: through both passes, and never in the gap.
//!
//! Time is taken in stretches of one offset, as the zone's database has them,
//! so that there is no guessing how long a gap may be: half an hour in
//! Lord Howe, a whole day in Samoa.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::ScheduleError;
use super::field::shown;
use super::wall::Wall;

/// No offset from UTC is as large, in seconds.
const OFFSET_SECONDS_MAX: i64 = 26 * 60 * 60;
/// A wall clock that much later shows a later time, whatever happened to it since, in seconds.
const SPREAD_SECONDS: i64 = 2 * OFFSET_SECONDS_MAX;

/// What a schedule does when the clock changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Each wall time once.
    Fixed,
    /// Whenever the wall clock shows the time.
    Elapsed,
}

/// Returns the zone with the IANA name `name`.
///
/// # Errors
/// The system's database does not have it.
pub(crate) fn find(name: &str) -> Result<TimeZone, ScheduleError> {
    // It needs no database, and a small container has none.
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    match TimeZone::get(name) {
        Ok(zone) if !zone.is_unknown() => Ok(zone),
        Ok(_) => Err(ScheduleError::UnknownZone { name: shown(name), source: None }),
        Err(source) => Err(ScheduleError::UnknownZone { name: shown(name), source: Some(source) }),
    }
}

/// Returns the zone of the machine: that of `TZ`, else that of `/etc/localtime`.
///
/// # Errors
/// Neither tells it. It is left to the caller whether to go on in UTC, as the C library does.
pub(crate) fn machine() -> Result<TimeZone, ScheduleError> {
    match TimeZone::try_system() {
        Ok(zone) if !zone.is_unknown() => Ok(zone),
        Ok(_) => Err(ScheduleError::MachineZone { source: None }),
        Err(source) => Err(ScheduleError::MachineZone { source: Some(source) }),
    }
}

/// Returns the first slot later than `after` of a schedule whose wall times `first_from` gives:
/// the first that is not before its argument.
pub(super) fn first_after(
    after: Timestamp,
    zone: &TimeZone,
    pace: Pace,
    first_from: impl Fn(Wall) -> Option<Wall>,
) -> Option<Timestamp> {
    let mut cursor = floor_second(after).checked_add(1)?;
    // Each turn passes a change of the offset; the last year of the language ends it.
    loop {
        let stretch = Stretch::at(zone, cursor)?;
        let wall = first_from(stretch.origin(cursor, pace));
        if let Some(second) = wall.map(|wall| stretch.second(wall))
            && stretch.end.is_none_or(|end| second < end)
        {
            return Timestamp::from_second(second).ok();
        }
        let end = stretch.end?;
        // Soon after a change the clock may show times again that were just passed by;
        // later, every time that it shows is later than the origin, and so than `wall`.
        cursor = if end.saturating_sub(cursor) < SPREAD_SECONDS {
            end
        } else {
            end.max(wall?.seconds().saturating_sub(OFFSET_SECONDS_MAX))
        };
    }
}

/// A stretch of time in which a zone has one offset. Instants are seconds since 1970.
#[derive(Debug)]
struct Stretch {
    offset: i64,
    /// Its first second, and what the clock would have shown then without the change.
    start: Option<(i64, Wall)>,
    /// The first second of the next one.
    end: Option<i64>,
}

impl Stretch {
    /// Returns the stretch of `zone` that holds `second`.
    fn at(zone: &TimeZone, second: i64) -> Option<Stretch> {
        let instant = Timestamp::from_second(second).ok()?;
        let next_second = Timestamp::from_second(second.checked_add(1)?).ok()?;
        let offset = i64::from(zone.to_offset(instant).seconds());
        let start = zone.preceding(next_second).next().and_then(|change| {
            let start = change.timestamp().as_second();
            let last = Timestamp::from_second(start.checked_sub(1)?).ok()?;
            let offset = i64::from(zone.to_offset(last).seconds());
            Some((start, Wall::from_seconds(start.saturating_add(offset))))
        });
        let end = zone.following(instant).next().map(|change| change.timestamp().as_second());
        Some(Stretch { offset, start, end })
    }

    /// Returns the wall time from which on a slot at `cursor` or later is to be looked for.
    fn origin(&self, cursor: i64, pace: Pace) -> Wall {
        let shown = Wall::from_seconds(cursor.saturating_add(self.offset));
        match (pace, self.start) {
            (Pace::Elapsed, _) | (Pace::Fixed, None) => shown,
            // The times of a gap are still owed; those of a second pass are done.
            (Pace::Fixed, Some((start, unchanged))) if cursor == start => unchanged,
            (Pace::Fixed, Some((_, unchanged))) => shown.max(unchanged),
        }
    }

    /// Returns when the clock shows `wall`, or has skipped it.
    fn second(&self, wall: Wall) -> i64 {
        let second = wall.seconds().saturating_sub(self.offset);
        self.start.map_or(second, |(start, _)| second.max(start))
    }
}

/// Returns the last whole second that is not after `instant`.
fn floor_second(instant: Timestamp) -> i64 {
    instant.as_second().saturating_sub(i64::from(instant.subsec_nanosecond() < 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_by_their_names_only() {
        assert_eq!(find("Europe/Paris").unwrap().iana_name(), Some("Europe/Paris"));
        assert!(find("UTC").is_ok());
        for name in [
            "",
            "Mars/Olympus",
            "Etc/Unknown",
            "../zoneinfo/UTC",
            "/etc/localtime",
            "EST5EDT,M3.2.0,M11.1.0",
        ] {
            assert!(find(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_second_before_a_fraction_is_found_on_both_sides_of_1970() {
        for (text, second) in [("1970-01-01T00:00:01.5Z", 1), ("1969-12-31T23:59:58.5Z", -2)] {
            assert_eq!(floor_second(text.parse().unwrap()), second);
        }
    }
}
