//! Commands, as far as the runner reads them, and the summary of a run.
//!
//! Commands are stored as the API sent them. Only the fields here are read, and they are not
//! trusted: see [`raw`](super::raw). The id is required, because without it commands could not be
//! distinguished.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::raw::{Field, RawObject, lenient};
use super::status::CommandStatus;
use super::too_large::{LargeAnswer, Size};
use super::{Counters, action_id};
use crate::names::ActionId;

/// An action as sent to one agent, with the agent's answer if there is one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Command {
    pub(crate) id: u64,
    pub(crate) status: ReportedStatus,
    pub(crate) action_id: Option<ActionId>,
    pub(crate) action_name: String,
    /// The number of the action's commands by state.
    pub(crate) counters: Counters,
    pub(crate) agent: String,
    /// One result for each operation.
    pub(crate) results: Vec<OperationResult>,
    /// Set in the placeholder of a command whose answer was too large.
    pub(crate) too_large: Option<LargeAnswer>,
}

/// The result of one operation on one agent.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct OperationResult {
    pub(crate) found_anything: bool,
    /// Whether the module completed its work.
    pub(crate) success: bool,
    /// The findings: JSON in the module's own form, or empty.
    pub(crate) elements: String,
    pub(crate) errors: Vec<String>,
}

/// A text that is not a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("a command is not a JSON object")]
    Json(#[source] serde_json::Error),
    #[error("a command has no id")]
    NoId,
}

/// A command's status as the API reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReportedStatus {
    Known(CommandStatus),
    Other(String),
}

impl ReportedStatus {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            ReportedStatus::Known(status) => status.as_str(),
            ReportedStatus::Other(text) => text,
        }
    }
}

impl From<&str> for ReportedStatus {
    fn from(text: &str) -> ReportedStatus {
        CommandStatus::parse(text)
            .map_or_else(|| ReportedStatus::Other(text.to_owned()), ReportedStatus::Known)
    }
}

impl Command {
    /// Parses a command as the API returns it.
    ///
    /// # Errors
    /// The text is not an object, or has no id.
    pub(crate) fn parse(text: &str) -> Result<Command, CommandError> {
        let command: RawObject<'_> = serde_json::from_str(text).map_err(CommandError::Json)?;
        let id = action_id(command.get(Field::Id)).ok_or(CommandError::NoId)?;
        let action: RawObject<'_> = command.get(Field::Action);
        let agent: RawObject<'_> = command.get(Field::Agent);
        let results: Vec<Option<&RawValue>> = command.get(Field::Results);
        let agent: String = agent.get(Field::Name);
        let size: Option<Size> = command.get(Field::TooLarge);
        Ok(Command {
            id: id.0,
            status: ReportedStatus::from(command.get::<String>(Field::Status).as_str()),
            action_id: action_id(action.get(Field::Id)),
            action_name: action.get(Field::Name),
            counters: action.get(Field::Counters),
            results: results.into_iter().map(OperationResult::read).collect(),
            too_large: size.map(|size| LargeAnswer::new(&agent, size)),
            agent,
        })
    }

    /// Returns whether any operation found what it searched for.
    pub(crate) fn found_anything(&self) -> bool {
        self.results.iter().any(|result| result.found_anything)
    }

    /// Returns whether the agent answered, successfully or not.
    pub(crate) fn is_answered(&self) -> bool {
        match self.status {
            ReportedStatus::Known(status) => status.is_answered(),
            ReportedStatus::Other(_) => false,
        }
    }

    /// Returns whether the agent did not answer in time.
    pub(crate) fn is_expired(&self) -> bool {
        self.status == ReportedStatus::Known(CommandStatus::Expired)
    }

    /// Returns whether the agent answered without completing all operations.
    pub(crate) fn is_failed(&self) -> bool {
        let is_success = self.status == ReportedStatus::Known(CommandStatus::Success);
        let is_incomplete = self.results.iter().any(|result| !result.success);
        self.is_answered() && (!is_success || is_incomplete)
    }
}

impl OperationResult {
    fn read(raw: Option<&RawValue>) -> OperationResult {
        let result: RawObject<'_> = lenient(raw);
        let errors: Vec<Option<&RawValue>> = result.get(Field::Errors);
        OperationResult {
            found_anything: result.get(Field::FoundAnything),
            success: result.get(Field::Success),
            elements: result.raw(Field::Elements).map_or(String::new(), |raw| raw.get().to_owned()),
            errors: errors.into_iter().map(lenient).collect(),
        }
    }
}

/// The summary of a run, in numbers of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Summary {
    pub(crate) sent: u64,
    /// Answered, successfully or not.
    pub(crate) answered: u64,
    /// With findings.
    pub(crate) found: u64,
    /// Answered without completing all operations.
    pub(crate) failed: u64,
    /// Not answered in time.
    pub(crate) expired: u64,
    /// Not finished when they were fetched.
    pub(crate) not_final: u64,
    /// Counted by the platform but not returned.
    pub(crate) missing: u64,
    /// Not stored, because the answer is too large.
    pub(crate) too_large: u64,
}

impl Summary {
    pub(crate) fn add(&mut self, command: &Command) {
        self.sent += 1;
        if command.too_large.is_some() {
            self.too_large += 1;
            return;
        }
        self.answered += u64::from(command.is_answered());
        self.found += u64::from(command.found_anything());
        self.failed += u64::from(command.is_failed());
        self.expired += u64::from(command.is_expired());
        self.not_final += u64::from(!command.is_expired() && !command.is_answered());
    }

    /// Adds another summary.
    pub(crate) fn merge(&mut self, other: &Summary) {
        let Summary { sent, answered, found, failed, expired, not_final, missing, too_large } =
            other;
        self.sent += sent;
        self.answered += answered;
        self.found += found;
        self.failed += failed;
        self.expired += expired;
        self.not_final += not_final;
        self.missing += missing;
        self.too_large += too_large;
    }

    /// Compares the count with the number that the platform reports as sent; the difference is
    /// missing.
    pub(crate) fn close(&mut self, sent: i64) {
        let sent = u64::try_from(sent).unwrap_or_default();
        let counted = self.sent - self.missing;
        self.missing = sent.saturating_sub(counted);
        self.sent = counted + self.missing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(status: &str, found: bool, success: bool) -> Command {
        Command::parse(&format!(
            r#"{{"id":28052718747840,"action":{{"id":28052712325147,"name":"mig-runner: j","counters":{{"sent":9}}}},
            "agent":{{"name":"vm"}},"status":"{status}",
            "results":[{{"foundanything":{found},"success":{success},"elements":{{"s1":[]}},"errors":["e"]}}]}}"#
        ))
        .unwrap()
    }

    #[test]
    fn command_is_parsed() {
        let command = command("success", true, true);
        assert_eq!((command.id, command.agent.as_str()), (28_052_718_747_840, "vm"));
        assert_eq!(command.action_id, Some(ActionId(28_052_712_325_147)));
        assert_eq!((command.action_name.as_str(), command.counters.sent), ("mig-runner: j", 9));
        assert_eq!(command.results[0].elements, r#"{"s1":[]}"#);
        assert_eq!(command.results[0].errors, ["e"]);
    }

    #[test]
    fn missing_or_mistyped_fields_are_empty() {
        let odd = r#"{"id":2.8e13,"action":7,"agent":null,"status":[],"results":[null,{"errors":[1,"x"],"success":"yes"}],"more":{}}"#;
        let command = Command::parse(odd).unwrap();
        assert_eq!(command.id, 28_000_000_000_000);
        assert_eq!((command.status.as_str(), command.agent.as_str()), ("", ""));
        assert_eq!(command.results.len(), 2);
        assert_eq!(command.results[1].errors, ["", "x"]);
        for bad in ["", "[]", "7", "{}", r#"{"id":-1}"#, r#"{"id":1.5}"#, r#"{"id":"1"}"#] {
            assert!(Command::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn summary_counts_commands_and_missing_ones() {
        let mut summary = Summary::default();
        for (status, found, success) in [
            ("success", true, true),
            ("success", false, false),
            ("failed", false, false),
            ("timeout", false, false),
            ("expired", false, false),
            ("sent", false, false),
        ] {
            summary.add(&command(status, found, success));
        }
        summary.close(8);
        let counted = Summary {
            sent: 8,
            answered: 4,
            found: 1,
            failed: 3,
            expired: 1,
            not_final: 1,
            missing: 2,
            too_large: 0,
        };
        assert_eq!(summary, counted);
        summary.close(6);
        assert_eq!((summary.sent, summary.missing), (6, 0));
    }
}
