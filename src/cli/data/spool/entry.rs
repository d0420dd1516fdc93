//! A file of a scheduler's spool: what its name and its text tell.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// How the name of a file ends that the scheduler could not read.
pub(super) const FAIL: &str = ".fail";

/// Returns whether a name is that of a file of a scheduler: `ACTION.json`, `ACTION-COMMAND.json`, or the
/// number of an answer alone. A name does not show when its file was made: the numbers of a real platform's
/// process begin with the second of its start, and only count up from there.
pub(super) fn is_numbered(name: &str) -> bool {
    let name = name.strip_suffix(FAIL).unwrap_or(name);
    let stem = name.strip_suffix(".json").unwrap_or(name);
    let last = stem.rsplit('-').next().unwrap_or(stem);
    last.parse().is_ok_and(|number: i64| number > 0)
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
    fn names_tell_what_a_file_is_about() {
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
