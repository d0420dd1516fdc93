//! The files of a scheduler's spool: their names and contents.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// The suffix of files that the scheduler could not read.
pub(super) const FAIL: &str = ".fail";

/// Returns whether a scheduler creates files with such a name: `ACTION.json`,
/// `ACTION-COMMAND.json`, or the number of an answer alone. A number does not show when its file
/// was created: the numbers of an original platform begin with the second of the process's start
/// and count up from there.
pub(super) fn is_numbered(name: &str) -> bool {
    let name = name.strip_suffix(FAIL).unwrap_or(name);
    let stem = name.strip_suffix(".json").unwrap_or(name);
    let last = stem.rsplit('-').next().unwrap_or(stem);
    last.parse().is_ok_and(|number: i64| number > 0)
}

/// Returns the number of the action in a file's name.
pub(super) fn action(name: &str) -> &str {
    let stem = name.strip_suffix(".json").unwrap_or(name);
    stem.split('-').next().unwrap_or(stem)
}

/// The period in which an action may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) from: Timestamp,
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
    /// Reads the period from the file of an action.
    pub(super) fn of_action(text: &[u8]) -> Result<Period, serde_json::Error> {
        let ActionText { validfrom, expireafter } = serde_json::from_slice(text)?;
        Ok(Period { from: validfrom, until: expireafter })
    }

    /// Reads the period from the file of a command, which contains its action.
    pub(super) fn of_command(text: &[u8]) -> Result<Period, serde_json::Error> {
        let CommandText { action: ActionText { validfrom, expireafter } } =
            serde_json::from_slice(text)?;
        Ok(Period { from: validfrom, until: expireafter })
    }

    /// Returns whether the period ended more than `margin` ago.
    pub(super) fn ended_before(&self, now: Timestamp, margin: SignedDuration) -> bool {
        self.until.saturating_add(margin).is_ok_and(|end| end < now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_actions_commands_and_answers_are_recognised() {
        for name in [
            "28052712325240.json",
            "28052712325240-28052718749058.json",
            "28052718747847",
            "28052718747847.fail",
            "1795309296123456789.json",
        ] {
            assert!(is_numbered(name), "{name}");
        }
        for name in ["", "x.json", "-.json", ".json", "0.json", "notes.txt"] {
            assert!(!is_numbered(name), "{name}");
        }
        assert_eq!(action("7-8.json"), "7");
    }
}
