//! In-flight files of the original runner: `runners/JOB/inflight/ACTIONID.json`.
//!
//! The same file always yields the same run id, so that no action is adopted twice after a crash
//! between creating the run and removing the file.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::launch::RunDefaults;
use crate::action::Action;
use crate::clock::after;
use crate::go::json::ParseError;
use crate::names::{JobName, NameError, PluginName, RunId};
use crate::spool::{Fate, Launch, Origin, Record};

/// Time from the start of an action's validity to its launch by the original runner.
const VALID_SINCE: Duration = Duration::from_secs(60);

/// Why a file of the original runner is not adopted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdoptError {
    #[error("it is not an in-flight file of the original runner")]
    Damaged(#[source] serde_json::Error),
    #[error("its action cannot be read")]
    Action(#[source] ParseError),
    #[error("its action has no id")]
    NoId,
    /// The job, the action id or the plugin cannot be used in a name.
    #[error("a name in it is not valid")]
    Name(#[source] NameError),
}

#[derive(Deserialize)]
struct Original {
    action: Box<RawValue>,
    #[serde(default)]
    plugin: String,
}

/// Returns the record of an action that the original runner posted for `job`.
pub(crate) fn record(
    job: &JobName,
    text: &[u8],
    defaults: &RunDefaults,
    now: Timestamp,
) -> Result<Record, AdoptError> {
    let original: Original = serde_json::from_slice(text).map_err(AdoptError::Damaged)?;
    let action = Action::parse(original.action.get().as_bytes()).map_err(AdoptError::Action)?;
    let id = action.action_id().ok_or(AdoptError::NoId)?;
    let (valid_from, expire_after) =
        (action.valid_from.timestamp(), action.expire_after.timestamp());
    let slot = after(valid_from, VALID_SINCE);
    let run = RunId::marked(job.as_str(), slot, &id.to_string()).map_err(AdoptError::Name)?;
    let plugins: Vec<PluginName> = match original.plugin.as_str() {
        "" => Vec::new(),
        name => vec![name.parse().map_err(AdoptError::Name)?],
    };
    let launch = Launch {
        id: run,
        origin: Origin::Adopted,
        name: job.clone(),
        template: original.action.get().to_owned(),
        action_name: action.name,
        verbatim: true,
        settings: defaults.settings(expire_after),
        plugins,
    };
    let mut record = Record::new(launch, now);
    record.action = Some(original.action);
    record.action_id = Some(id);
    record.request.valid_from = Some(valid_from);
    record.request.expire_after = Some(expire_after);
    record.request.fate = Fate::Accepted;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> RunDefaults {
        RunDefaults::new(None, false, Duration::from_secs(300))
    }

    #[test]
    fn same_file_yields_the_same_run() {
        let text = include_bytes!("../../tests/data/runner/inflight-sample.json");
        let job = "job".parse().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let one = record(&job, text, &defaults(), now).unwrap();
        let other = record(&job, text, &defaults(), now).unwrap();
        assert_eq!(one.id, other.id);
        assert!(one.id.as_str().ends_with(&format!("-{}", one.action_id.unwrap())), "{}", one.id);
        assert_eq!(one.request.fate, Fate::Accepted);
        assert!(one.request.expire_after > one.request.valid_from);
    }

    #[test]
    fn truncated_file_and_action_without_id_are_refused() {
        let text = include_bytes!("../../tests/data/runner/inflight-sample.json");
        let job = "job".parse().unwrap();
        for end in [0, 1, text.len() / 2, text.len() - 1] {
            let cut = record(&job, &text[..end], &defaults(), Timestamp::UNIX_EPOCH);
            assert!(matches!(cut, Err(AdoptError::Damaged(_))), "{end}");
        }
        let none = br#"{"action":{"id":0,"name":"x","valid_from":"2026-11-22T12:00:00Z","expire_after":"2026-11-22T12:00:00Z"},"commands":null,"name":"job","plugin":""}"#;
        let none = record(&job, none, &defaults(), Timestamp::UNIX_EPOCH);
        assert!(matches!(none, Err(AdoptError::NoId)));
    }
}
