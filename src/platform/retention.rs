//! How long the platform keeps what is over: the section `[retention]`.
//!
//! Files of the spool are copies of what the tables hold, so they go after a month. The
//! tables are the record of what was found and stay, unless their owner says otherwise:
//! they may be those of a real platform.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::duration::{Keep, parse_keep};
use crate::config::reader::Section;

/// How long files of the spool stay if nothing is said.
const SPOOL_SPAN: Duration = Duration::from_secs(30 * 86_400);
/// What an age may be: nobody wants to lose what was found before it could be fetched.
const SPANS: RangeInclusive<Duration> =
    Duration::from_secs(3600)..=Duration::from_secs(36_500 * 86_400);

/// How long what is over is kept; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Files of the spool's `done` and `invalid`, and those that were set aside.
    pub(crate) spool: Option<Duration>,
    /// Actions that are completed or invalid, with their commands and signatures.
    pub(crate) actions: Option<Duration>,
}

impl Retention {
    /// Reads the section; what is wrong with it is reported there.
    pub(crate) fn read(section: &mut Section<'_>) -> Retention {
        Retention {
            spool: age(section, "spool", Some(SPOOL_SPAN)),
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
        Keep::For(age) if SPANS.contains(&age) => Some(age),
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

    const DAY_SPAN: Duration = Duration::from_secs(86_400);

    fn read(text: &str) -> Result<Retention, String> {
        let mut reader = Reader::new(text.as_bytes());
        let retention = reader.section("retention", Retention::read);
        reader.finish(Path::new("f"), Some(retention)).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn tables_stay_unless_an_age_is_given() {
        let retention = read("").unwrap();
        assert_eq!(retention, Retention { spool: Some(30 * DAY_SPAN), actions: None });
        let retention = read("[retention]\nspool = keep\nactions = 90d\n").unwrap();
        assert_eq!(retention, Retention { spool: None, actions: Some(90 * DAY_SPAN) });
    }

    #[test]
    fn what_is_no_age_is_reported() {
        for bad in ["spool = 5", "spool = 10m", "actions = soon", "actions = 200000d"] {
            let told = read(&format!("[retention]\n{bad}\n")).unwrap_err();
            assert!(told.contains(bad.split(' ').next().unwrap()), "{told}");
        }
    }
}
