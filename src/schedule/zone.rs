//! Converts wall times to instants: time zones, and the rule for clock changes.
//!
//! When a clock is set forward, some wall times do not occur; when it is set back, some occur
//! twice. As in cronie:
//! * a schedule of fixed times fires once for each: for a skipped time at the end of the gap, for a
//!   repeated time at its first occurrence;
//! * a schedule with a wildcard in minute or hour means "every so often" and follows elapsed time:
//!   through both passes, and never in the gap.
//!
//! The calculation proceeds in periods of constant offset, as in the zone's database, so it makes
//! no assumption about the length of a gap: half an hour in Lord Howe, a whole day in Samoa.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::ScheduleError;
use super::field::shown;
use super::wall::Wall;

/// Upper limit of an offset from UTC, in seconds.
const OFFSET_SECONDS_MAX: i64 = 26 * 60 * 60;
/// After this time, in seconds, a wall clock shows a later time whatever its offset does meanwhile.
const SPREAD_SECONDS: i64 = 2 * OFFSET_SECONDS_MAX;

/// How a schedule behaves when the clock changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It fires once for each wall time.
    Fixed,
    /// It fires whenever the wall clock shows the time.
    Elapsed,
}

pub(crate) fn find(name: &str) -> Result<TimeZone, ScheduleError> {
    // UTC needs no database, which small containers lack.
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    match TimeZone::get(name) {
        Ok(zone) if !zone.is_unknown() => Ok(zone),
        Ok(_) => Err(ScheduleError::UnknownZone { name: shown(name), source: None }),
        Err(source) => Err(ScheduleError::UnknownZone { name: shown(name), source: Some(source) }),
    }
}

/// Returns the time zone of the machine: that of `TZ`, else that of `/etc/localtime`.
///
/// # Errors
/// The zone is unknown. The caller may use UTC, as the C library does.
pub(crate) fn machine() -> Result<TimeZone, ScheduleError> {
    match TimeZone::try_system() {
        Ok(zone) if !zone.is_unknown() => Ok(zone),
        Ok(_) => Err(ScheduleError::MachineZone { source: None }),
        Err(source) => Err(ScheduleError::MachineZone { source: Some(source) }),
    }
}

/// Returns the first slot later than `after`. `first_from` returns the schedule's first wall time
/// at or after its argument.
pub(super) fn first_after(
    after: Timestamp,
    zone: &TimeZone,
    pace: Pace,
    first_from: impl Fn(Wall) -> Option<Wall>,
) -> Option<Timestamp> {
    let mut cursor = floor_second(after).checked_add(1)?;
    // Every iteration passes a change of the offset; the last year of the language ends the loop.
    loop {
        let period = OffsetPeriod::at(zone, cursor)?;
        let wall = first_from(period.origin(cursor, pace));
        if let Some(second) = wall.map(|wall| period.second(wall))
            && period.end.is_none_or(|end| second < end)
        {
            return Timestamp::from_second(second).ok();
        }
        let end = period.end?;
        // Soon after a change the clock may show times again that it has already shown. Later,
        // every time that it shows is after the origin, and so after `wall`.
        cursor = if end.saturating_sub(cursor) < SPREAD_SECONDS {
            end
        } else {
            end.max(wall?.seconds().saturating_sub(OFFSET_SECONDS_MAX))
        };
    }
}

/// A period in which a zone has a constant offset. Instants are seconds since 1970.
#[derive(Debug)]
struct OffsetPeriod {
    offset: i64,
    /// Its first second, and the wall time then if the offset had not changed.
    start: Option<(i64, Wall)>,
    /// The first second of the next period.
    end: Option<i64>,
}

impl OffsetPeriod {
    /// Returns the period of `zone` that contains `second`.
    fn at(zone: &TimeZone, second: i64) -> Option<OffsetPeriod> {
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
        Some(OffsetPeriod { offset, start, end })
    }

    /// Returns the wall time at which to start the search for a slot at or after `cursor`.
    fn origin(&self, cursor: i64, pace: Pace) -> Wall {
        let shown = Wall::from_seconds(cursor.saturating_add(self.offset));
        match (pace, self.start) {
            (Pace::Elapsed, _) | (Pace::Fixed, None) => shown,
            // The times of a gap must still fire; those of a second pass have fired.
            (Pace::Fixed, Some((start, unchanged))) if cursor == start => unchanged,
            (Pace::Fixed, Some((_, unchanged))) => shown.max(unchanged),
        }
    }

    /// Returns when the clock shows `wall`, or the end of the gap that skips it.
    fn second(&self, wall: Wall) -> i64 {
        let second = wall.seconds().saturating_sub(self.offset);
        self.start.map_or(second, |(start, _)| second.max(start))
    }
}

/// Returns the last whole second at or before `instant`.
fn floor_second(instant: Timestamp) -> i64 {
    instant.as_second().saturating_sub(i64::from(instant.subsec_nanosecond() < 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_only_by_iana_names() {
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
    fn fractions_are_rounded_down_before_and_after_1970() {
        for (text, second) in [("1970-01-01T00:00:01.5Z", 1), ("1969-12-31T23:59:58.5Z", -2)] {
            assert_eq!(floor_second(text.parse().unwrap()), second);
        }
    }
}
