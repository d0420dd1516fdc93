//! The failure of a command: its messages, its hints and the exit status that follows.
//!
//! A [`Failure`] boxes any error that implements [`Explain`]. Every module implements the trait for
//! its own errors, and for errors of lower layers that occur only in it. So this file contains no
//! error of a single program, only those that occur in all programs.

use std::error::Error;
use std::fmt;
use std::io;

use super::shortage;
use crate::chain::Chain;
use crate::config::fault::ConfigError;
use crate::disk::DiskError;
use crate::exit::Exit;
use crate::logging::LogError;

/// An error that can end a command.
pub(crate) trait Explain: Error + 'static {
    /// Returns the exit status, unless a cause is a temporary shortage (see [`shortage`]).
    fn exit(&self) -> Exit;

    /// Returns one message for each fault. If it is empty, the error and its causes are the
    /// message.
    fn lines(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns lines that help the operator to continue, printed below the messages.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the signal that ended the command.
    #[cfg(feature = "platform")]
    fn signal(&self) -> Option<i32> {
        None
    }
}

/// Why a command failed.
pub(crate) struct Failure {
    error: Box<dyn Explain>,
    /// Hints beyond those of the error.
    hints: Vec<String>,
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure { error: Box::new(error), hints: Vec::new() }
    }
}

impl Failure {
    /// Returns the exit status of the program.
    pub(crate) fn exit(&self) -> Exit {
        match self.error.exit() {
            // A lock held by another process surfaces as EAGAIN, which is also a shortage.
            Exit::Locked => Exit::Locked,
            exit => shortage::exit(self.error()).unwrap_or(exit),
        }
    }

    /// Returns the messages: one line for each fault.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.error.lines();
        if lines.is_empty() { vec![Chain(self.error()).to_string()] } else { lines }
    }

    /// Returns lines that help the operator to continue.
    pub(crate) fn hints(&self) -> Vec<String> {
        self.error.hints().into_iter().chain(self.hints.iter().cloned()).collect()
    }

    /// Returns the signal that ended the command.
    #[cfg(feature = "platform")]
    pub(crate) fn signal(&self) -> Option<i32> {
        self.error.signal()
    }

    /// Adds hints to those of the error.
    #[cfg(feature = "platform")]
    pub(crate) fn with_hints(mut self, hints: impl IntoIterator<Item = String>) -> Failure {
        self.hints.extend(hints);
        self
    }

    /// Returns the error, for logging.
    pub(crate) fn error(&self) -> &(dyn Error + 'static) {
        &*self.error
    }

    /// Returns the error if it is an `E`.
    pub(crate) fn downcast_ref<E: Explain>(&self) -> Option<&E> {
        self.error().downcast_ref()
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

/// A basic operation of the system failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}")]
pub(crate) struct SystemError {
    pub(crate) doing: &'static str,
    pub(crate) source: io::Error,
}

impl Explain for SystemError {
    fn exit(&self) -> Exit {
        Exit::System
    }
}

impl Explain for DiskError {
    fn exit(&self) -> Exit {
        match self.kind() {
            io::ErrorKind::PermissionDenied => Exit::Permission,
            io::ErrorKind::AlreadyExists
            | io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem => Exit::CannotCreate,
            _ => Exit::Io,
        }
    }
}

impl Explain for ConfigError {
    fn exit(&self) -> Exit {
        Exit::Config
    }

    fn lines(&self) -> Vec<String> {
        ConfigError::lines(self).collect()
    }
}

impl Explain for LogError {
    fn exit(&self) -> Exit {
        match self {
            LogError::File { .. } => Exit::CannotCreate,
            LogError::Local { .. } => Exit::Unavailable,
        }
    }
}
