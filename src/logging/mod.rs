//! The log: the root logger that the programs hand down.
//!
//! A record is a constant phrase with keys. A format makes one line of it, a
//! sink takes that line where it belongs:
//!
//! | format | sinks |
//! | --- | --- |
//! | [`text`], [`json`] | stdout or the journal behind it, [`mod@file`], [`syslog`] |
//!
//! Each record is written before the call returns: the last words of a process
//! that dies are in the log.
//!
//! **Invariants.** A record is one line, whatever its values hold: no control
//! character of theirs gets through, and none of them can look like a second
//! record or another key. Time stamps are written once: not where the journal or
//! syslog sets its own.
//!
//! **Failure.** A log that cannot be set up is a [`LogError`], unless its file only lacks
//! room or another thing that it may have later: then lines go to stderr until the file
//! can be written. Another line that cannot be written is lost and stops nobody.

mod file;
mod herald;
mod json;
mod peer;
mod stdout;
mod syslog;
mod text;

use std::fmt;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;

use slog::{Drain, Level, LevelFilter, Logger, o};

use crate::clock::Clock;
use crate::config::logging::{LogFormat, LogTarget, LoggingConfig};
use file::LogFile;
use herald::Herald;
use syslog::Syslog;

/// The longest value of a key, in bytes: as much as is kept of a plugin's output.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The log file cannot be written.
    #[error("cannot open log file {}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// There is no local syslog.
    #[error("cannot reach syslog at {}: without a syslog daemon, set mode = stdout", path.display())]
    Local {
        /// Where it should listen.
        path: &'static std::path::Path,
        source: io::Error,
    },
}

/// Takes whole lines to where they belong.
trait Sink: fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe {
    /// Writes a line, which has no line feed yet.
    fn write(&self, level: Level, line: &str) -> io::Result<()>;
}

/// The log: its root logger, and what a signal may ask of it.
#[derive(Debug)]
pub(crate) struct Log {
    /// The logger from which all others descend.
    pub(crate) root: Logger,
    file: Option<Arc<LogFile>>,
}

impl Log {
    /// Sets up the log of `program`, the name by which syslog knows it.
    ///
    /// `journal` is what the environment says in `JOURNAL_STREAM`: if it is stdout,
    /// the journal sets the time stamps.
    pub(crate) fn start(
        config: &LoggingConfig,
        program: &'static str,
        journal: Option<&str>,
        clock: Arc<dyn Clock>,
    ) -> Result<Log, LogError> {
        let mut file = None;
        let mut times = Times::Left;
        let sink: Arc<dyn Sink> = match &config.target {
            LogTarget::Stdout if journal.is_some_and(stdout::is_journal) => {
                Arc::new(stdout::Journal)
            }
            LogTarget::Stdout => {
                times = Times::Written(clock);
                Arc::new(stdout::Stdout)
            }
            LogTarget::File { path, bytes_max } => {
                times = Times::Written(clock);
                let opened = Arc::new(LogFile::open(path, *bytes_max)?);
                file = Some(Arc::clone(&opened));
                opened
            }
            LogTarget::Syslog { server, facility } => {
                Arc::new(Syslog::open(program, server, facility.number(), clock)?)
            }
        };
        let root = match config.format {
            LogFormat::Text => {
                root(Herald::new(text::drain(sink, times), file.clone()), config.level)
            }
            LogFormat::Json => {
                root(Herald::new(json::Json::new(sink, times), file.clone()), config.level)
            }
        };
        Ok(Log { root, file })
    }

    /// Opens the log file anew, after somebody has renamed it; other logs have nothing to open.
    pub(crate) fn reopen(&self) -> Result<(), LogError> {
        self.file.as_ref().map_or(Ok(()), |file| file.reopen())
    }
}

/// Checks that the log could be set up as it is configured; nothing is made, and nothing sent.
///
/// # Errors
/// As for [`Log::start`].
pub(crate) fn check(config: &LoggingConfig) -> Result<(), LogError> {
    match &config.target {
        LogTarget::Stdout => Ok(()),
        LogTarget::File { path, .. } => file::check(path),
        LogTarget::Syslog { server, .. } => syslog::check(server),
    }
}

/// A line that cannot be written is lost: the runner has better things to do than its log.
fn root<D>(drain: D, level: Level) -> Logger
where
    D: Drain + Send + Sync + UnwindSafe + RefUnwindSafe + 'static,
{
    Logger::root(LevelFilter::new(drain, level).ignore_res(), o!())
}

/// Whether a line says when it was written.
#[derive(Debug, Clone)]
enum Times {
    Written(Arc<dyn Clock>),
    /// Who takes the line sets the time.
    Left,
}

// A clock that panicked half way would still only tell the time.
impl UnwindSafe for Times {}
impl RefUnwindSafe for Times {}

impl Times {
    /// Returns the time stamp to be written, in the form of RFC 3339.
    fn stamp(&self) -> Option<String> {
        match self {
            Times::Written(clock) => Some(format!("{:.3}", clock.now())),
            Times::Left => None,
        }
    }
}

/// Returns the priority of a level as syslog and the journal count it.
fn severity(level: Level) -> u8 {
    match level {
        Level::Critical => 2,
        Level::Error => 3,
        Level::Warning => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

#[cfg(test)]
mod tests;
