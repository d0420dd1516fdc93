//! Why the agent refuses a command, or has no result for an operation.
//!
//! These texts are part of the answer. Where the original has a text for an error, it is used here.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use super::modules::ModuleError;
use super::modules::message::UnpackError;
use super::retry::is_shortage_status;
use crate::disk::transient::is_shortage;
use crate::go::json::ParseError;
use crate::relay::{OPERATIONS_MAX, Outcome, RESULTS_BYTES_MAX, VerificationError};

/// Why the agent runs no operation of a command.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandRefusal {
    #[error(
        "parseCommands() -> checkActionAuthorization() -> action validation failed: action expireafter is in the past"
    )]
    Expired,
    #[error("parseCommands() -> checkActionAuthorization() -> action is not signed")]
    Unsigned,
    #[error("parseCommands() -> checkActionAuthorization()")]
    Signature(#[from] VerificationError),
    #[error("parseCommands() -> the action has {0} operations, more than {OPERATIONS_MAX}")]
    Operations(usize),
    #[error("parseCommands()")]
    Action(#[from] ParseError),
}

impl CommandRefusal {
    /// Returns whether the signatures could not be checked because of a temporary shortage.
    pub(super) fn is_shortage(&self) -> bool {
        matches!(self, CommandRefusal::Signature(VerificationError::Unavailable(_)))
    }
}

/// Why the module of an operation returned no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum OperationError {
    #[error(transparent)]
    Module(#[from] ModuleError),
    #[error("runModule() -> Failed to make modules.Message")]
    Message(#[from] UnpackError),
    #[error("runModule()")]
    Json(#[from] serde_json::Error),
    #[error("runModule() -> cannot run the module")]
    Start(#[from] io::Error),
    #[error("runModule() -> the module ended with {0}")]
    Exit(ExitStatus),
    #[error(
        "runModule() -> the module crashed, or needed more than {} MiB of memory",
        memory_bytes_max >> 20
    )]
    Aborted { memory_bytes_max: u64 },
    #[error("runModule() -> the module was killed: it exceeded its memory or processor time limit")]
    Killed,
    #[error(
        "runModule() -> the results of this command exceed {} MiB: this one was dropped",
        RESULTS_BYTES_MAX >> 20
    )]
    OutputTooLong,
    #[error("the module was killed after {} s", .0.as_secs())]
    Timeout(Duration),
}

impl OperationError {
    /// Returns whether the module could not be run because of a temporary shortage.
    pub(super) fn is_shortage(&self) -> bool {
        match self {
            OperationError::Start(error) => is_shortage(error),
            OperationError::Exit(status) => is_shortage_status(*status),
            _ => false,
        }
    }

    /// Returns the outcome of a command of which an operation failed with this error.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            OperationError::Timeout(_) => Outcome::Timeout,
            OperationError::Module(_)
            | OperationError::Message(_)
            | OperationError::Json(_)
            | OperationError::Start(_)
            | OperationError::Exit(_)
            | OperationError::Aborted { .. }
            | OperationError::Killed
            | OperationError::OutputTooLong => Outcome::Failed,
        }
    }
}
