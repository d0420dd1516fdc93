//! A file of a scheduler's spool: what its name and its text tell.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// Where the seconds of the platform's ids begin: 29 April 2013, 18:00:00 UTC.
const EPOCH_SECONDS: i64 = 1_367_258_400;
/// How far the seconds are shifted in an id.
const SECOND_BITS: u32 = 16;
/// Numbers from here on are nanoseconds since 1970, which the real scheduler names files after that
/// it could not handle: no id is as high before the year 6000.
const NANOSECONDS_MIN: i64 = 1_000_000_000_000_000_000;
/// How the name of a file ends that the scheduler could not read.
pub(super) const FAIL: &str = ".fail";

/// Returns when what a file is about was made, if its name tells.
///
/// Names are `ACTION.json`, `ACTION-COMMAND.json`, or the number of an answer alone.
pub(super) fn made(name: &str) -> Option<Timestamp> {
    let name = name.strip_suffix(FAIL).unwrap_or(name);
    let stem = name.strip_suffix(".json").unwrap_or(name);
    let last = stem.rsplit('-').next().unwrap_or(stem);
    let number: i64 = last.parse().ok().filter(|number| *number > 0)?;
    if number >= NANOSECONDS_MIN {
        return Timestamp::from_nanosecond(number.into()).ok();
    }
    Timestamp::from_second(EPOCH_SECONDS.checked_add(number >> SECOND_BITS)?).ok()
}

/// Returns the action that a file is about, as its name has it.
pub(super) fn action(name: &str) -> &str {
    let stem = name.strip_suffix(".json").unwrap_or(name);
    stem.split('-').next().unwrap_or(stem)
}

/// When an action may run, as the text of its file or of one of its commands has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    /// When it may begin.
    pub(super) from: Timestamp,
    /// When it ends.
    pub(super) until: Timestamp,
}

#[derive(Deserialize)]
struct ActionText {
    validfrom: Timestamp,
    expireafter: Timestamp,
}

#[derive(Deserialize)]
struct CommandText {
    action: ActionText,
}

impl Period {
    /// Reads the text of an action.
    pub(super) fn of_action(text: &[u8]) -> Result<Period, serde_json::Error> {
        let ActionText { validfrom, expireafter } = serde_json::from_slice(text)?;
        Ok(Period { from: validfrom, until: expireafter })
    }

    /// Reads the text of a command, which holds that of its action.
    pub(super) fn of_command(text: &[u8]) -> Result<Period, serde_json::Error> {
        let CommandText { action: ActionText { validfrom, expireafter } } =
            serde_json::from_slice(text)?;
        Ok(Period { from: validfrom, until: expireafter })
    }

    /// Tells whether it ended, and so long ago that what had to follow has had its time.
    pub(super) fn is_long_over(&self, now: Timestamp, patience: SignedDuration) -> bool {
        self.until.saturating_add(patience).is_ok_and(|end| end < now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_when() {
        for (name, time) in [
            ("28052712325240.json", "2026-11-22T00:53:40Z"),
            ("28052712325240-28052718749058.json", "2026-11-22T00:55:18Z"),
            ("28052718747847", "2026-11-22T00:55:18Z"),
            ("28052718747847.fail", "2026-11-22T00:55:18Z"),
            ("1795309296123456789.json", "2026-11-22T01:01:36Z"),
        ] {
            let told = made(name).map(Timestamp::as_second);
            assert_eq!(told, Some(time.parse::<Timestamp>().unwrap().as_second()), "{name}");
        }
        for name in ["", "x.json", "-.json", ".json", "0.json"] {
            assert_eq!(made(name), None, "{name}");
        }
        assert_eq!(action("7-8.json"), "7");
    }
}
