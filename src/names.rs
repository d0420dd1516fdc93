//! Names that become file names. They are validated once, when they are parsed.
//!
//! **Invariant.** A value of these types is one component of a path: it is not empty, has no `/`,
//! no NUL or other control character and no leading dot, and its length is limited. No other text
//! is ever joined to the path of a folder of the runner.
//!
//! A copy of a name shares its text: the name of a job is a key of several tables.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

/// Maximum length of the name of a job or a plugin, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Maximum length of the id of a run, in bytes: a job's name, a slot and a mark.
const RUN_BYTES_MAX: usize = 192;
/// The format of a slot in an id.
const SLOT_FORMAT: &str = "%Y%m%dT%H%M%SZ";
/// The length of a slot in an id, in bytes.
const SLOT_BYTES: usize = 16;

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("a {0} may not be empty")]
    Empty(&'static str),
    /// A file with this name would be hidden, or it is `.` or `..`.
    #[error("a {0} may not begin with a dot")]
    Dot(&'static str),
    #[error("a {0} may not contain a slash or a control character")]
    Character(&'static str),
    #[error("a {0} may not be longer than {1} bytes")]
    Long(&'static str, usize),
    #[error("the id of a run must end with its slot, as in JOB.20261122T120000Z")]
    Slot,
}

fn checked(text: &str, what: &'static str, bytes_max: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty(what));
    }
    if text.starts_with('.') {
        return Err(NameError::Dot(what));
    }
    if text.chars().any(|c| c == '/' || c.is_control()) {
        return Err(NameError::Character(what));
    }
    if text.len() > bytes_max {
        return Err(NameError::Long(what, bytes_max));
    }
    Ok(())
}

/// The name of a job: its folder below `runners/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct JobName(Arc<str>);

/// The name of a plugin: an executable in the plugins folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct PluginName(Arc<str>);

/// The id of a run, which never changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct RunId(Arc<str>);

macro_rules! name {
    ($name:ident, $check:expr) => {
        impl $name {
            /// Returns the name as text.
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<$name, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(text)?;
                Ok($name(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<$name, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name!(JobName, |text| checked(text, "job name", NAME_BYTES_MAX));
name!(PluginName, |text| checked(text, "plugin name", NAME_BYTES_MAX));
name!(RunId, |text| {
    checked(text, "run id", RUN_BYTES_MAX)?;
    split(text).map(|_| ()).ok_or(NameError::Slot)
});

impl RunId {
    /// Returns the id of the run of `job` that is due at `slot`.
    pub(crate) fn of_slot(job: &JobName, slot: Timestamp) -> RunId {
        RunId(format!("{job}.{}", slot_text(slot)).into())
    }

    /// Returns the id of a run of `stem` that began at `at`; `mark` makes it unique.
    pub(crate) fn marked(stem: &str, at: Timestamp, mark: &str) -> Result<RunId, NameError> {
        format!("{stem}.{}-{mark}", slot_text(at)).parse()
    }

    /// Returns the part before the slot: the name of the job or, for a file that the operator put
    /// into the spool, its name without suffix.
    pub(crate) fn stem(&self) -> &str {
        split(&self.0).map_or("", |(stem, _, _)| stem)
    }

    /// Returns the slot, or the start time of a run that was not scheduled.
    pub(crate) fn slot(&self) -> Timestamp {
        split(&self.0).map_or(Timestamp::UNIX_EPOCH, |(_, slot, _)| slot)
    }

    /// Returns whether the schedule began the run: such an id has no mark.
    pub(crate) fn is_scheduled(&self) -> bool {
        split(&self.0).is_some_and(|(_, _, mark)| mark.is_empty())
    }

    /// Returns the file name of the run.
    pub(crate) fn file_name(&self) -> String {
        format!("{}.json", self.0)
    }
}

/// Splits an id into stem, slot and mark (without its hyphen).
fn split(text: &str) -> Option<(&str, Timestamp, &str)> {
    // The stem may contain dots; the mark does not.
    let dot = text.rfind('.')?;
    let (stem, rest) = (text.get(..dot)?, text.get(dot + 1..)?);
    let slot = parse_slot(rest.get(..SLOT_BYTES)?)?;
    let mark = rest.get(SLOT_BYTES..)?;
    let mark =
        if mark.is_empty() { mark } else { mark.strip_prefix('-').filter(|m| !m.is_empty())? };
    (!stem.is_empty()).then_some((stem, slot, mark))
}

fn slot_text(slot: Timestamp) -> String {
    Offset::UTC.to_datetime(slot).strftime(SLOT_FORMAT).to_string()
}

/// Parses a slot in exactly the form of [`SLOT_FORMAT`], without signs, blanks or missing zeros. A
/// general parser of times would be too slow, because listing a spool parses one slot per file.
fn parse_slot(text: &str) -> Option<Timestamp> {
    let digits = |from, to| {
        let part: &str = text.get(from..to)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
    };
    let small = |from, to| digits(from, to).and_then(|number: i16| i8::try_from(number).ok());
    if text.len() != SLOT_BYTES || text.get(8..9) != Some("T") || !text.ends_with('Z') {
        return None;
    }
    let (month, day) = (small(4, 6)?, small(6, 8)?);
    let (hour, minute, second) = (small(9, 11)?, small(11, 13)?, small(13, 15)?);
    let slot = DateTime::new(digits(0, 4)?, month, day, hour, minute, second, 0).ok()?;
    Offset::UTC.to_timestamp(slot).ok()
}

/// The id that the platform assigned to an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ActionId(pub(crate) u64);

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_single_path_components() {
        for bad in ["", ".", "..", ".x", "a/b", "a\0b", "a\nb", "/", &"x".repeat(129)] {
            assert!(bad.parse::<JobName>().is_err(), "{bad:?}");
        }
        for good in ["a", "a.b", "a b", "ä", "-x", &"x".repeat(128)] {
            assert_eq!(good.parse::<JobName>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn id_contains_job_and_slot() {
        let job: JobName = "a.b-c".parse().unwrap();
        let id = RunId::of_slot(&job, at("2026-11-22T12:00:10Z"));
        assert_eq!(id.as_str(), "a.b-c.20261122T120010Z");
        assert_eq!((id.stem(), id.slot()), ("a.b-c", at("2026-11-22T12:00:10Z")));
        assert!(id.is_scheduled());
        let by_hand = RunId::marked("a", at("2026-11-22T12:00:10.9Z"), "manual-abcdef").unwrap();
        assert_eq!(by_hand.as_str(), "a.20261122T120010Z-manual-abcdef");
        assert!(!by_hand.is_scheduled());
    }

    #[test]
    fn text_without_a_valid_slot_is_rejected() {
        for bad in [
            "a",
            "a.json",
            ".20261122T120010Z",
            "a.20261322T120010Z",
            "a.20261122T120010Z-",
            "a.20261122T120010Zx",
            "a.+2261122T12001Z",
            "a.20261122T1200 0Z",
            "a.20261122T120060Z",
            "a.20261122t120010Z",
            "a.20261122T1200é0Z",
        ] {
            assert!(bad.parse::<RunId>().is_err(), "{bad:?}");
        }
    }
}
