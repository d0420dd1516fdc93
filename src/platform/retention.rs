//! The section `[retention]`: how long the platform keeps ended actions and their files.
//!
//! Files of the spool are copies of what the database contains, so the default is a month. The
//! database is the record of what was found, so the rows of actions are kept unless the configuration
//! says otherwise. Silent agents of other hosts are removed in any case, see the scheduler's `prune`:
//! no other scheduler may use the database.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::duration::{Keep, parse_keep};
use crate::config::reader::Section;

/// Default retention of files of the spool.
const SPOOL_RETENTION: Duration = Duration::from_secs(30 * 86_400);
/// Valid range of an age: results must not be removed before a client could fetch them.
const RETENTIONS: RangeInclusive<Duration> =
    Duration::from_secs(3600)..=Duration::from_secs(36_500 * 86_400);

/// Maximum age of files and rows; `None` keeps them permanently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Applies to the files of the spool's `done` and `invalid`, and to those that were set aside.
    pub(crate) spool: Option<Duration>,
    /// Applies to completed and invalid actions, with their commands and signatures.
    pub(crate) actions: Option<Duration>,
}

impl Retention {
    /// Reads the section; faults are reported to it.
    pub(crate) fn read(section: &mut Section<'_>) -> Retention {
        Retention {
            spool: age(section, "spool", Some(SPOOL_RETENTION)),
            actions: age(section, "actions", None),
        }
    }
}

fn age(
    section: &mut Section<'_>,
    key: &'static str,
    default: Option<Duration>,
) -> Option<Duration> {
    let Some(found) = section.text(key) else { return default };
    let keep = section.parsed(key, &found, parse_keep)?;
    match keep {
        Keep::All => None,
        Keep::For(age) if RETENTIONS.contains(&age) => Some(age),
        Keep::For(_) | Keep::Count(_) => {
            let text = format!(
                "{key} = {}: write an age of 1h or more, such as 30d, or keep",
                found.value
            );
            section.fault(found.line, text);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::reader::Reader;

    const DAY: Duration = Duration::from_secs(86_400);

    fn read(text: &str) -> Result<Retention, String> {
        let mut reader = Reader::new(text.as_bytes());
        let retention = reader.section("retention", Retention::read);
        reader.finish(Path::new("f"), Some(retention)).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn rows_are_kept_unless_an_age_is_configured() {
        let retention = read("").unwrap();
        assert_eq!(retention, Retention { spool: Some(30 * DAY), actions: None });
        let retention = read("[retention]\nspool = keep\nactions = 90d\n").unwrap();
        assert_eq!(retention, Retention { spool: None, actions: Some(90 * DAY) });
    }

    #[test]
    fn invalid_age_is_reported() {
        for bad in ["spool = 5", "spool = 10m", "actions = soon", "actions = 200000d"] {
            let error = read(&format!("[retention]\n{bad}\n")).unwrap_err();
            assert!(error.contains(bad.split(' ').next().unwrap()), "{error}");
        }
    }
}
