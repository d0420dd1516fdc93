//! What is read of a command, and what a run comes to.
//!
//! Commands are stored as the API sent them; of each only this much is read,
//! and nothing in it is trusted: what is missing or of another type is taken as
//! empty, except the id, without which a command cannot be told from another.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::status::{CommandStatus, ReportedStatus};
use super::{Counters, action_id};
use crate::names::ActionId;

/// One agent's answer, or the lack of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Command {
    /// The id that the platform gave.
    pub(crate) id: u64,
    /// How far it is.
    pub(crate) status: ReportedStatus,
    /// The id of the action that it belongs to.
    pub(crate) action_id: Option<ActionId>,
    /// The name of the action that it belongs to.
    pub(crate) action_name: String,
    /// How many commands of the action are in which state.
    pub(crate) counters: Counters,
    /// The name of the agent.
    pub(crate) agent: String,
    /// A result for each operation.
    pub(crate) results: Vec<OperationResult>,
}

/// What one operation found on one agent.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct OperationResult {
    /// Whether it found what it looked for.
    pub(crate) found_anything: bool,
    /// Whether the module did its work.
    pub(crate) success: bool,
    /// What it found: JSON in the module's own form, empty if there is none.
    pub(crate) elements: String,
    pub(crate) errors: Vec<String>,
}

/// A text that is no command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// It is no JSON.
    #[error("a command is no object of JSON")]
    Json(#[source] serde_json::Error),
    /// It has no id.
    #[error("a command has no id")]
    NoId,
}

/// The fields of a command that are read, each still as text.
#[derive(Deserialize)]
struct RawCommand<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    action: Option<&'a RawValue>,
    #[serde(borrow, default)]
    agent: Option<&'a RawValue>,
    #[serde(borrow, default)]
    results: Option<&'a RawValue>,
}

/// The fields of a command's action or agent.
#[derive(Deserialize, Default)]
struct RawNamed<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    counters: Option<&'a RawValue>,
}

/// The fields of a result.
#[derive(Deserialize, Default)]
struct RawResult<'a> {
    #[serde(borrow, default)]
    foundanything: Option<&'a RawValue>,
    #[serde(borrow, default)]
    success: Option<&'a RawValue>,
    #[serde(borrow, default)]
    elements: Option<&'a RawValue>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

/// Reads a value, or takes it as empty.
pub(super) fn lenient<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> T {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

impl Command {
    /// Reads a command as the API returns it.
    ///
    /// # Errors
    /// It is no object, or has no id.
    pub(crate) fn parse(text: &str) -> Result<Command, CommandError> {
        let raw: RawCommand<'_> = serde_json::from_str(text).map_err(CommandError::Json)?;
        let id = action_id(lenient(raw.id)).ok_or(CommandError::NoId)?;
        let action: RawNamed<'_> = lenient(raw.action);
        let agent: RawNamed<'_> = lenient(raw.agent);
        let results: Vec<Option<&RawValue>> = lenient(raw.results);
        Ok(Command {
            id: id.0,
            status: ReportedStatus::from(lenient::<String>(raw.status).as_str()),
            action_id: action_id(lenient(action.id)),
            action_name: lenient(action.name),
            counters: lenient(action.counters),
            agent: lenient(agent.name),
            results: results.into_iter().map(OperationResult::read).collect(),
        })
    }

    /// Tells whether any operation found what it looked for.
    pub(crate) fn found_anything(&self) -> bool {
        self.results.iter().any(|result| result.found_anything)
    }

    /// Tells whether the agent answered, well or badly.
    pub(crate) fn is_answered(&self) -> bool {
        match self.status {
            ReportedStatus::Known(
                CommandStatus::Success
                | CommandStatus::Failed
                | CommandStatus::Timeout
                | CommandStatus::Cancelled,
            ) => true,
            ReportedStatus::Known(CommandStatus::Sent | CommandStatus::Expired)
            | ReportedStatus::Other(_) => false,
        }
    }

    /// Tells whether the agent answered without having done all that was asked.
    pub(crate) fn is_failed(&self) -> bool {
        let incomplete = self.results.iter().any(|result| !result.success);
        self.is_answered() && (!self.status.is(CommandStatus::Success) || incomplete)
    }
}

impl OperationResult {
    fn read(raw: Option<&RawValue>) -> OperationResult {
        let raw: RawResult<'_> = lenient(raw);
        let errors: Vec<Option<&RawValue>> = lenient(raw.errors);
        OperationResult {
            found_anything: lenient(raw.foundanything),
            success: lenient(raw.success),
            elements: raw.elements.map_or(String::new(), |raw| raw.get().to_owned()),
            errors: errors.into_iter().map(lenient).collect(),
        }
    }
}

/// What a run comes to, in numbers of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Summary {
    pub(crate) sent: u64,
    /// Answered, well or badly.
    pub(crate) answered: u64,
    /// In which something was found.
    pub(crate) found: u64,
    /// Answered without all having been done.
    pub(crate) failed: u64,
    /// That no agent answered in time.
    pub(crate) expired: u64,
    /// That were still under way when they were fetched.
    pub(crate) not_final: u64,
    /// That the platform counts and did not return.
    pub(crate) missing: u64,
}

impl Summary {
    pub(crate) fn add(&mut self, command: &Command) {
        self.sent += 1;
        self.answered += u64::from(command.is_answered());
        self.found += u64::from(command.found_anything());
        self.failed += u64::from(command.is_failed());
        let expired = command.status.is(CommandStatus::Expired);
        self.expired += u64::from(expired);
        self.not_final += u64::from(!expired && !command.is_answered());
    }

    /// Adds what other commands came to.
    pub(crate) fn merge(&mut self, other: &Summary) {
        let Summary { sent, answered, found, failed, expired, not_final, missing } = other;
        self.sent += sent;
        self.answered += answered;
        self.found += found;
        self.failed += failed;
        self.expired += expired;
        self.not_final += not_final;
        self.missing += missing;
    }

    /// Compares what was counted with what the platform sent, its own counter.
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
    fn a_command_is_read() {
        let command = command("success", true, true);
        assert_eq!((command.id, command.agent.as_str()), (28_052_718_747_840, "vm"));
        assert_eq!(command.action_id, Some(ActionId(28_052_712_325_147)));
        assert_eq!((command.action_name.as_str(), command.counters.sent), ("mig-runner: j", 9));
        assert_eq!(command.results[0].elements, r#"{"s1":[]}"#);
        assert_eq!(command.results[0].errors, ["e"]);
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_empty() {
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
    fn a_summary_counts_and_finds_what_is_missing() {
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
        };
        assert_eq!(summary, counted);
        summary.close(6);
        assert_eq!((summary.sent, summary.missing), (6, 0));
    }
}
