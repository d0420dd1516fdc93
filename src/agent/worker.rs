//! A worker: checks a command's action, runs its operations one after the other, and answers.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::AgentContext;
use super::child::{self, ChildEnd, RunLimits};
use super::error::{CommandRefusal, OperationError};
use super::modules::{self, ModuleError, ModuleResult, message};
use super::results::Results;
use crate::action::Action;
use crate::chain::Chain;
use crate::clock::elapsed;
use crate::relay::{AgentMessage, Answer, Command, OPERATIONS_MAX, Outcome};

/// An operation of an action, with its parameters as they are passed to the module.
#[derive(Debug, Deserialize)]
struct Operation {
    #[serde(default)]
    module: String,
    parameters: Box<RawValue>,
    #[serde(default)]
    is_compressed: bool,
}

/// The part of an action that is run.
#[derive(Debug, Deserialize)]
struct Operations {
    operations: Vec<Operation>,
}

/// The outcome of a command and its results.
type Ran = Result<(Outcome, Results), serde_json::Error>;

impl AgentContext {
    /// Runs commands until a stop.
    pub(super) fn run_commands(&self) {
        while let Some(command) = self.relay.next_command() {
            if self.stop.is_requested() {
                return;
            }
            if let Some(answer) = self.answer(&command)
                && self.relay.send(AgentMessage::Answer(answer)).is_err()
            {
                return;
            }
        }
    }

    /// Runs a command and returns its answer; `None` if a stop came first.
    fn answer(&self, command: &Command) -> Option<Answer> {
        let run = match self.checked_action(command)? {
            Ok(action) => self.run_operations(&action)?,
            Err(refusal) => {
                slog::warn!(self.log, "command refused"; "command" => command.id,
                    "error" => %Chain(&refusal));
                failed(&Chain(&refusal).to_string())
            }
        };
        let (outcome, results) = match run {
            Ok((outcome, results)) => (outcome, results.into_json()),
            Err(error) => {
                slog::error!(self.log, "cannot encode results"; "error" => %Chain(&error));
                (Outcome::Failed, "[]".to_owned())
            }
        };
        Some(Answer { command_id: command.id, action_id: command.action_id, outcome, results })
    }

    /// Returns a command's action if it may be run now; `None` if a stop came first.
    fn checked_action(&self, command: &Command) -> Option<Result<Action, CommandRefusal>> {
        let action = match Action::parse(command.action.as_bytes()) {
            Ok(action) => action,
            Err(error) => return Some(Err(error.into())),
        };
        let end = action.expire_after.timestamp();
        let checked = self.retry_until(end, CommandRefusal::is_shortage, || self.check(&action))?;
        Some(checked.map(|()| action))
    }

    /// Checks that an action has not expired and that all its signatures are valid.
    fn check(&self, action: &Action) -> Result<(), CommandRefusal> {
        if action.expire_after.timestamp() < self.clock.now() {
            return Err(CommandRefusal::Expired);
        }
        let operations = action.operations.as_ref().map_or(0, Vec::len);
        if operations > OPERATIONS_MAX {
            return Err(CommandRefusal::Operations(operations));
        }
        if action.signatures.as_ref().is_none_or(Vec::is_empty) {
            return Err(CommandRefusal::Unsigned);
        }
        Ok(self.verifier.verify(action)?)
    }

    /// Runs the operations of an action, all of them even if one fails; returns `None` if a stop
    /// came first.
    fn run_operations(&self, action: &Action) -> Option<Ran> {
        // Encoded from the action that was verified, so that nothing else can be run.
        let operations = match serde_json::from_str::<Operations>(&action.to_json()) {
            Ok(Operations { operations }) => operations,
            Err(error) => return Some(failed(&OperationError::from(error).to_string())),
        };
        let end = action.expire_after.timestamp();
        let mut outcome = Outcome::Success;
        let mut results = Results::new(operations.len());
        for operation in &operations {
            let attempt = || self.run_operation(operation, end, results.room());
            let added = match self.retry_until(end, OperationError::is_shortage, attempt)? {
                Ok(result) => results.add(&result?),
                Err(error) => Err(error),
            };
            if let Err(error) = added {
                outcome = error.outcome();
                if let Err(error) = results.add_failure(&Chain(&error).to_string()) {
                    return Some(Err(error));
                }
            }
        }
        Some(Ok((outcome, results)))
    }

    /// Runs one operation until `end` at the latest, with `room` for the bytes of its result;
    /// returns `None` if a stop came first.
    fn run_operation(
        &self,
        operation: &Operation,
        end: Timestamp,
        room: u64,
    ) -> Result<Option<ModuleResult>, OperationError> {
        let name = operation.module.as_str();
        if !modules::is_available(name) {
            return Err(ModuleError::Unknown(name.to_owned()).into());
        }
        let parameters = message::unpack(&operation.parameters, operation.is_compressed)?;
        let line = message::write(&parameters)?;
        let timeout = self.module_timeout.min(elapsed(self.clock.now(), end));
        let memory_bytes_max = child::memory_bytes_max(modules::processes(name));
        let limits = RunLimits { timeout, output_bytes_max: room, memory_bytes_max };
        match child::run(&self.program, name, &line, limits, &self.stop)? {
            ChildEnd::Exited { status, output } if status.success() => {
                Ok(Some(serde_json::from_slice(&output)?))
            }
            ChildEnd::Exited { status, .. } => Err(OperationError::Exit(status)),
            ChildEnd::Aborted => Err(OperationError::Aborted { memory_bytes_max }),
            ChildEnd::Killed => Err(OperationError::Killed),
            ChildEnd::TimedOut => Err(OperationError::Timeout(timeout)),
            ChildEnd::OutputTooLong => Err(OperationError::OutputTooLong),
            ChildEnd::Stopped => Ok(None),
        }
    }
}

/// Returns the results of a command of which no operation was run.
fn failed(reason: &str) -> Ran {
    let mut results = Results::new(1);
    results.add_failure(reason).map(|()| (Outcome::Failed, results))
}

#[cfg(test)]
mod tests;
