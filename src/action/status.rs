//! The status of a command, in the platform's words.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandStatus {
    /// Sent to an agent that has not answered yet.
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

/// The status of a command as an API reports it, which may be a word that we do not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReportedStatus {
    Known(CommandStatus),
    Other(String),
}

impl CommandStatus {
    /// All statuses, in the platform's order.
    pub(crate) const ALL: [CommandStatus; 6] = [
        CommandStatus::Sent,
        CommandStatus::Success,
        CommandStatus::Cancelled,
        CommandStatus::Expired,
        CommandStatus::Failed,
        CommandStatus::Timeout,
    ];

    /// Returns the platform's word for the status.
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

    /// Returns the status for one of the platform's words.
    pub(crate) fn parse(text: &str) -> Option<CommandStatus> {
        CommandStatus::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

impl ReportedStatus {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            ReportedStatus::Known(status) => status.as_str(),
            ReportedStatus::Other(word) => word,
        }
    }

    pub(crate) fn is(&self, status: CommandStatus) -> bool {
        *self == ReportedStatus::Known(status)
    }
}

impl From<&str> for ReportedStatus {
    fn from(word: &str) -> ReportedStatus {
        CommandStatus::parse(word)
            .map_or_else(|| ReportedStatus::Other(word.to_owned()), ReportedStatus::Known)
    }
}

impl fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ReportedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
