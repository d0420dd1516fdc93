//! A worker: checks a command's action, runs its operations one after the other, and answers.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::AgentContext;
use super::child::{self, ChildEnd};
use super::error::{CommandRefusal, OperationError};
use super::modules::{self, ModuleError, ModuleResult, message};
use crate::action::Action;
use crate::chain::Chain;
use crate::clock::elapsed;
use crate::relay::{AgentMessage, Answer, Command, Outcome};

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
        let (outcome, results) = match self.checked_action(command)? {
            Ok(action) => self.run_operations(&action)?,
            Err(refusal) => {
                slog::warn!(self.log, "command refused"; "command" => command.id,
                    "error" => %Chain(&refusal));
                (Outcome::Failed, vec![ModuleResult::failed(Chain(&refusal).to_string())])
            }
        };
        let (outcome, results) = match serde_json::to_string(&results) {
            Ok(results) => (outcome, results),
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
        if action.signatures.as_ref().is_none_or(Vec::is_empty) {
            return Err(CommandRefusal::Unsigned);
        }
        Ok(self.verifier.verify(action)?)
    }

    /// Runs the operations of an action, all of them even if one fails; returns `None` if a stop
    /// came first.
    fn run_operations(&self, action: &Action) -> Option<(Outcome, Vec<ModuleResult>)> {
        // Encoded from the action that was verified, so that nothing else can be run.
        let operations = match serde_json::from_str::<Operations>(&action.to_json()) {
            Ok(Operations { operations }) => operations,
            Err(error) => {
                let result = ModuleResult::failed(OperationError::from(error).to_string());
                return Some((Outcome::Failed, vec![result]));
            }
        };
        let end = action.expire_after.timestamp();
        let (mut outcome, mut results) = (Outcome::Success, Vec::new());
        for operation in &operations {
            let attempt = || self.run_operation(operation, end);
            match self.retry_until(end, OperationError::is_shortage, attempt)? {
                Ok(result) => results.push(result?),
                Err(error) => {
                    outcome = error.outcome();
                    results.push(ModuleResult::failed(Chain(&error).to_string()));
                }
            }
        }
        Some((outcome, results))
    }

    /// Runs one operation until `end` at the latest; returns `None` if a stop came first.
    fn run_operation(
        &self,
        operation: &Operation,
        end: Timestamp,
    ) -> Result<Option<ModuleResult>, OperationError> {
        let name = operation.module.as_str();
        if !modules::is_available(name) {
            return Err(ModuleError::Unknown(name.to_owned()).into());
        }
        let parameters = message::unpack(&operation.parameters, operation.is_compressed)?;
        let line = message::write(&parameters)?;
        let timeout = self.module_timeout.min(elapsed(self.clock.now(), end));
        match child::run(&self.program, name, &line, timeout, &self.stop)? {
            ChildEnd::Exited { status, output } if status.success() => {
                Ok(Some(serde_json::from_slice(&output)?))
            }
            ChildEnd::Exited { status, .. } => Err(OperationError::Exit(status)),
            ChildEnd::Aborted => Err(OperationError::Aborted),
            ChildEnd::Killed => Err(OperationError::Killed),
            ChildEnd::TimedOut => Err(OperationError::Timeout(timeout)),
            ChildEnd::OutputTooLong => Err(OperationError::OutputTooLong),
            ChildEnd::Stopped => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
