//! Logging: sets up the root logger that the programs pass on.
//!
//! A record is a constant phrase with key-value pairs. A format converts it to one line, and a sink
//! writes the line:
//!
//! | format | sinks |
//! | --- | --- |
//! | [`text`], [`json`] | stdout, the journal behind stdout, [`mod@file`], [`syslog`] |
//!
//! [`LogInterval`] decides when an event that repeats is logged.
//!
//! Each record is written before the call returns, so the log contains the last records of a
//! process that dies.
//!
//! **Invariants.** A record is one line, whatever its values contain: control characters in values
//! are escaped, and no value can look like a second record or another key. A time stamp is written
//! once: none is written if the journal or syslog adds its own.
//!
//! **Failure.** A log that cannot be set up is a [`LogError`], with one exception: if the log file
//! cannot be opened because of a transient error such as a full disk, lines go to stderr until the
//! file can be written. Other lines that cannot be written are lost without an error.

mod file;
mod file_reporter;
mod interval;
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
use file_reporter::FileReporter;
pub(crate) use interval::{LogInterval, Suppressed};
use syslog::Syslog;

/// Maximum length of a value, in bytes, which is also that of the stored output of a plugin.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("cannot open log file {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot reach syslog at {}: without a syslog daemon, set mode = stdout", path.display())]
    Local {
        /// The socket of the syslog daemon.
        path: &'static std::path::Path,
        source: io::Error,
    },
}

/// The destination of log lines.
trait Sink: fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe {
    /// Writes a line; `line` does not end with a line feed.
    fn write(&self, level: Level, line: &str) -> io::Result<()>;
}

/// The root logger, and the log file to be reopened on a signal.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) root: Logger,
    file: Option<Arc<LogFile>>,
}

impl Log {
    /// Sets up the log; `program` is the name that syslog shows.
    ///
    /// `journal` is the value of `JOURNAL_STREAM`: if it identifies stdout, the journal adds the
    /// time stamps.
    pub(crate) fn start(
        config: &LoggingConfig,
        program: &'static str,
        journal: Option<&str>,
        clock: Arc<dyn Clock>,
    ) -> Result<Log, LogError> {
        let mut file = None;
        let mut times = TimeStamps::Omitted;
        let sink: Arc<dyn Sink> = match &config.target {
            LogTarget::Stdout if journal.is_some_and(stdout::is_journal) => {
                Arc::new(stdout::Journal)
            }
            LogTarget::Stdout => {
                times = TimeStamps::Written(clock);
                Arc::new(stdout::Stdout)
            }
            LogTarget::File { path, bytes_max } => {
                times = TimeStamps::Written(clock);
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
                root(FileReporter::new(text::drain(sink, times), file.clone()), config.level)
            }
            LogFormat::Json => {
                root(FileReporter::new(json::Json::new(sink, times), file.clone()), config.level)
            }
        };
        Ok(Log { root, file })
    }

    /// Reopens the log file, which another program may have renamed. Other sinks do nothing.
    pub(crate) fn reopen(&self) -> Result<(), LogError> {
        self.file.as_ref().map_or(Ok(()), |file| file.reopen())
    }
}

/// Checks that the configured log can be set up, without creating or sending anything.
pub(crate) fn check(config: &LoggingConfig) -> Result<(), LogError> {
    match &config.target {
        LogTarget::Stdout => Ok(()),
        LogTarget::File { path, .. } => file::check(path),
        LogTarget::Syslog { server, .. } => syslog::check(server),
    }
}

/// Returns a root logger. A line that cannot be written is lost, because the runner must not depend
/// on its log.
fn root<D>(drain: D, level: Level) -> Logger
where
    D: Drain + Send + Sync + UnwindSafe + RefUnwindSafe + 'static,
{
    Logger::root(LevelFilter::new(drain, level).ignore_res(), o!())
}

/// Whether a line has a time stamp.
#[derive(Debug, Clone)]
enum TimeStamps {
    Written(Arc<dyn Clock>),
    /// The receiver of the line adds the time.
    Omitted,
}

// A clock has no state that a panic could leave inconsistent.
impl UnwindSafe for TimeStamps {}
impl RefUnwindSafe for TimeStamps {}

impl TimeStamps {
    /// Returns the time stamp to be written, as in RFC 3339.
    fn stamp(&self) -> Option<String> {
        match self {
            TimeStamps::Written(clock) => Some(format!("{:.3}", clock.now())),
            TimeStamps::Omitted => None,
        }
    }
}

/// Returns the priority of a level, as in syslog and the journal.
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
