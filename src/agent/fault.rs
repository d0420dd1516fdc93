//! Why the agent does not run a command, or has no result of an operation.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use super::again;
use crate::action::CommandStatus;
use crate::agent::limits::MEMORY_BYTES_MAX;
use crate::agent::modules::ModuleError;
use crate::agent::modules::message::PackError;
use crate::platform::shortage::is_shortage;
use crate::platform::signers::SignatureError;
use crate::platform::view::ViewError;

/// Why a command was not run at all; the texts are the original's.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error(
        "parseCommands() -> checkActionAuthorization() -> action validation failed: action expireafter is in the past"
    )]
    Expired,
    #[error("parseCommands() -> checkActionAuthorization() -> action is not signed")]
    Unsigned,
    #[error("parseCommands() -> checkActionAuthorization()")]
    Signature(#[from] SignatureError),
    #[error("parseCommands()")]
    View(#[from] ViewError),
}

impl Refused {
    /// Returns whether the action could not be judged now.
    pub(super) fn is_shortage(&self) -> bool {
        matches!(self, Refused::Signature(error) if !error.is_verdict())
    }
}

/// Why an operation has no result of its own; the texts are the original's where it has one.
#[derive(Debug, thiserror::Error)]
pub(super) enum OperationError {
    #[error(transparent)]
    Module(#[from] ModuleError),
    #[error("runModule() -> Failed to make modules.Message")]
    Message(#[from] PackError),
    #[error("runModule()")]
    Json(#[from] serde_json::Error),
    #[error("runModule() -> cannot run the module")]
    Start(#[from] io::Error),
    #[error("runModule() -> the module ended with {0}")]
    Exit(ExitStatus),
    #[error(
        "runModule() -> the module broke down, or needed more than {} MiB of memory",
        MEMORY_BYTES_MAX >> 20
    )]
    Aborted,
    #[error(
        "runModule() -> the module was killed: it took more memory or processor time than it may"
    )]
    Killed,
    #[error("runModule() -> the module answered too much")]
    TooLong,
    #[error("the module was ended after {} s", .0.as_secs())]
    Timeout(Duration),
}

impl OperationError {
    /// Returns whether the module could not be run because of a temporary shortage.
    pub(super) fn is_shortage(&self) -> bool {
        match self {
            OperationError::Start(error) => is_shortage(error),
            OperationError::Exit(status) => again::is_for_shortage(*status),
            _ => false,
        }
    }

    /// Returns the status of a command of which an operation ended like this.
    pub(super) fn status(&self) -> CommandStatus {
        match self {
            OperationError::Timeout(_) => CommandStatus::Timeout,
            OperationError::Module(_)
            | OperationError::Message(_)
            | OperationError::Json(_)
            | OperationError::Start(_)
            | OperationError::Exit(_)
            | OperationError::Aborted
            | OperationError::Killed
            | OperationError::TooLong => CommandStatus::Failed,
        }
    }
}
