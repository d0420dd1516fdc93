//! The status of a command, as the platform's tables and the API write it.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandStatus {
    /// Sent to an agent that has not answered.
    Sent,
    Success,
    /// An operation failed.
    Failed,
    /// An operation exceeded its time limit.
    Timeout,
    Cancelled,
    /// The agent did not answer in time.
    Expired,
}

impl CommandStatus {
    /// Every status, in the order in which the platform counts them.
    pub(crate) const ALL: [CommandStatus; 6] = [
        CommandStatus::Sent,
        CommandStatus::Success,
        CommandStatus::Cancelled,
        CommandStatus::Expired,
        CommandStatus::Failed,
        CommandStatus::Timeout,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            CommandStatus::Sent => "sent",
            CommandStatus::Success => "success",
            CommandStatus::Failed => "failed",
            CommandStatus::Timeout => "timeout",
            CommandStatus::Cancelled => "cancelled",
            CommandStatus::Expired => "expired",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<CommandStatus> {
        CommandStatus::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Returns whether the agent answered, successfully or not.
    pub(crate) fn is_answered(self) -> bool {
        match self {
            CommandStatus::Success
            | CommandStatus::Failed
            | CommandStatus::Timeout
            | CommandStatus::Cancelled => true,
            CommandStatus::Sent | CommandStatus::Expired => false,
        }
    }
}

impl fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
