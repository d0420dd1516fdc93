//! The log: the root logger that the programs hand down.
//!
//! A record is a constant phrase with keys. A format makes one line of it, a
//! sink takes that line where it belongs:
//!
//! | format | sinks |
//! | --- | --- |
//! | [`text`], [`json`] | stdout or the journal behind it, [`file`], [`syslog`] |
//!
//! Each record is written before the call returns: the last words of a process
//! that dies are in the log.
//!
//! **Invariants.** A record is one line, whatever its values hold: no control
//! character of theirs gets through, and none of them can look like a second
//! record or another key. Time stamps are written once: not where the journal or
//! syslog sets its own.
//!
//! **Failure.** A log that cannot be set up is a [`LogError`]. A line that cannot
//! be written later is lost and stops nobody.

mod file;
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
use file::LogFile;
pub(crate) use peer::{Remote, Transport};
pub(crate) use stdout::is_journal;
pub(crate) use syslog::Facility;

/// The longest value of a key, in bytes: as much as is kept of a plugin's output.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The log file cannot be written.
    #[error("cannot open log file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// There is no local syslog.
    #[error("cannot reach syslog at {}: without a syslog daemon, set mode = stdout", path.display())]
    Local {
        /// Where it should listen.
        path: &'static std::path::Path,
        /// Why it failed.
        source: io::Error,
    },
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people: `TIME LEVEL phrase, key: value`.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// To the terminal, or whatever stands there.
    Stdout,
    /// To systemd's journal, which reads stdout and sets the time stamps.
    Journal,
    /// To a file, private to its owner.
    File {
        /// The file.
        path: PathBuf,
        /// The size at which it becomes `FILE.1` and a new one is begun.
        bytes_max: Option<u64>,
    },
    /// To the machine's syslog.
    Syslog(Facility),
    /// To the syslog of another machine.
    Remote(Remote, Facility),
}

/// What the log is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// The name under which the program is known to syslog.
    pub(crate) program: &'static str,
    /// Where records go.
    pub(crate) target: Target,
    /// The least important level that is written.
    pub(crate) level: Level,
    /// How records are written.
    pub(crate) format: Format,
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
    /// Sets up the log.
    pub(crate) fn start(settings: &LogSettings, clock: Arc<dyn Clock>) -> Result<Log, LogError> {
        let mut file = None;
        let mut times = Times::Written(Arc::clone(&clock));
        let sink: Arc<dyn Sink> = match &settings.target {
            Target::Stdout => Arc::new(stdout::Stdout),
            Target::Journal => {
                times = Times::Left;
                Arc::new(stdout::Journal)
            }
            Target::File { path, bytes_max } => {
                let opened = Arc::new(LogFile::open(path, *bytes_max)?);
                file = Some(Arc::clone(&opened));
                opened
            }
            Target::Syslog(facility) => {
                times = Times::Left;
                Arc::new(syslog::Syslog::local(settings.program, *facility, clock)?)
            }
            Target::Remote(remote, facility) => {
                times = Times::Left;
                Arc::new(syslog::Syslog::remote(settings.program, remote, *facility, clock))
            }
        };
        let root = match settings.format {
            Format::Text => root(text::drain(sink, times), settings.level),
            Format::Json => root(json::Json::new(sink, times), settings.level),
        };
        Ok(Log { root, file })
    }

    /// Opens the log file anew, after somebody has renamed it; other logs have nothing to open.
    pub(crate) fn reopen(&self) -> Result<(), LogError> {
        self.file.as_ref().map_or(Ok(()), |file| file.reopen())
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
    /// It does.
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
