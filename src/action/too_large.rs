//! The placeholder for a command whose answer is too large to be stored.
//!
//! It stands in the results document in place of the command, with the same id, action and agent. It
//! has the form of a failed command whose error names the size, so that a plugin that does not know
//! placeholders reports the agent as failed. Programs recognize it by the key `toolarge`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::action_id;
use super::raw::{Field, RawObject, lenient};
use crate::chain::excerpt;

/// Size limit, in bytes, of an agent that is copied as a whole. Of a larger one, only id and name are
/// copied.
const AGENT_BYTES_MAX: usize = 64 << 10;
/// Size limit, in bytes, of an action that is copied: more than the API accepts.
const ACTION_BYTES_MAX: usize = 32 << 20;
/// Length limit of an agent's name, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// The members of a command that are known although its answer is too large.
#[derive(Debug, Default)]
pub(crate) struct LargeCommand {
    pub(crate) id: Option<Box<RawValue>>,
    pub(crate) action: Option<Box<RawValue>>,
    pub(crate) agent: Option<Box<RawValue>>,
    pub(crate) status: Option<Box<RawValue>>,
}

/// An answer that was too large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LargeAnswer {
    /// The agent's name, possibly shortened; empty if it is unknown.
    pub(crate) agent: String,
    /// The size of the answer; at least this size if it was not read to its end.
    pub(crate) bytes: u64,
}

/// The value of the key `toolarge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Size {
    bytes: u64,
}

#[derive(Serialize)]
struct Placeholder<'a> {
    id: u64,
    action: &'a RawValue,
    agent: Option<Box<RawValue>>,
    status: &'a str,
    results: [FailedResult; 1],
    toolarge: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    bytes: u64,
    /// The largest size that is stored.
    limit: u64,
    /// The status that the platform reported.
    status: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct FailedResult {
    foundanything: bool,
    success: bool,
    elements: Option<()>,
    statistics: Option<()>,
    errors: [String; 1],
}

#[derive(Serialize)]
struct ShortAgent<'a> {
    id: Option<&'a RawValue>,
    name: String,
}

impl LargeCommand {
    /// Returns the placeholder for the command, whose answer has `bytes` bytes, more than `limit`.
    /// Returns `None` if its id or its action is unknown: it then counts as missing.
    pub(crate) fn placeholder(&self, bytes: u64, limit: u64) -> Option<Box<RawValue>> {
        let id = action_id(lenient(self.id.as_deref()))?;
        let action =
            self.action.as_deref().filter(|action| action.get().len() <= ACTION_BYTES_MAX)?;
        let error = format!(
            "the answer has {bytes} bytes, and the runner stores at most {limit}: its results are not here"
        );
        let placeholder = Placeholder {
            id: id.0,
            action,
            agent: self.agent(),
            status: "failed",
            results: [FailedResult {
                foundanything: false,
                success: false,
                elements: None,
                statistics: None,
                errors: [error],
            }],
            toolarge: Details { bytes, limit, status: self.status.as_deref() },
        };
        serde_json::value::to_raw_value(&placeholder).ok()
    }

    /// Returns the agent, shortened if it is large.
    fn agent(&self) -> Option<Box<RawValue>> {
        let agent = self.agent.as_deref()?;
        if agent.get().len() <= AGENT_BYTES_MAX {
            return Some(agent.to_owned());
        }
        let members: RawObject<'_> = lenient(Some(agent));
        let name: String = members.get(Field::Name);
        let id = members.raw(Field::Id).filter(|id| id.get().len() <= NAME_BYTES_MAX);
        let name = excerpt(&name, NAME_BYTES_MAX).into_owned();
        serde_json::value::to_raw_value(&ShortAgent { id, name }).ok()
    }
}

impl LargeAnswer {
    /// Returns the answer that a placeholder stands for.
    pub(super) fn new(agent: &str, size: Size) -> LargeAnswer {
        LargeAnswer { agent: excerpt(agent, NAME_BYTES_MAX).into_owned(), bytes: size.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Command, Summary};
    use super::*;

    fn raw(text: &str) -> Option<Box<RawValue>> {
        Some(RawValue::from_string(text.to_owned()).unwrap())
    }

    fn large(agent: &str) -> LargeCommand {
        let action = r#"{"id":7,"name":"mig-runner: j","counters":{"sent":10}}"#;
        LargeCommand {
            id: raw("5"),
            action: raw(action),
            agent: raw(agent),
            status: raw(r#""success""#),
        }
    }

    #[test]
    fn placeholder_is_a_failed_command_that_names_agent_and_size() {
        let placeholder = large(r#"{"id":3,"name":"five","tags":{}}"#).placeholder(70, 64).unwrap();
        for parse in [Command::parse, Command::parse_for_summary] {
            let command = parse(placeholder.get()).unwrap();
            assert_eq!((command.id, command.action_name.as_str()), (5, "mig-runner: j"));
            assert_eq!((command.counters.sent, command.is_failed()), (10, true));
            let answer = LargeAnswer { agent: "five".to_owned(), bytes: 70 };
            assert_eq!(command.too_large, Some(answer));
            let mut summary = Summary::default();
            summary.add(&command);
            assert_eq!(summary, Summary { sent: 1, too_large: 1, ..Summary::default() });
        }
        let value: serde_json::Value = serde_json::from_str(placeholder.get()).unwrap();
        assert_eq!(
            value["toolarge"],
            serde_json::json!({"bytes":70,"limit":64,"status":"success"})
        );
        assert_eq!(value["agent"]["tags"], serde_json::json!({}));
        let error = value["results"][0]["errors"][0].as_str().unwrap();
        assert!(error.contains("70 bytes") && error.contains("at most 64"), "{error}");
    }

    #[test]
    fn large_agent_is_shortened() {
        let agent =
            format!(r#"{{"name":"{}","id":3,"tags":"{}"}}"#, "n".repeat(1000), "x".repeat(1 << 20));
        let placeholder = large(&agent).placeholder(70, 64).unwrap();
        assert!(placeholder.get().len() < 2000);
        let value: serde_json::Value = serde_json::from_str(placeholder.get()).unwrap();
        assert_eq!(value["agent"]["id"], 3);
        assert!(value["agent"]["name"].as_str().unwrap().starts_with("nnn"));
    }

    #[test]
    fn command_without_id_or_action_has_no_placeholder() {
        assert!(LargeCommand { id: None, ..large("{}") }.placeholder(70, 64).is_none());
        assert!(LargeCommand { action: None, ..large("{}") }.placeholder(70, 64).is_none());
        let unknown = LargeCommand { agent: None, status: None, ..large("{}") };
        let placeholder = unknown.placeholder(70, 64).unwrap();
        assert!(placeholder.get().contains(r#""agent":null"#), "{placeholder}");
    }
}
