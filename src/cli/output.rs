//! Answers to stdout, messages to stderr: the only code that writes there.
//!
//! **Invariants.** Escaped output contains no control characters except the line feeds that end its
//! lines and, on a terminal, our own colours. A closed stdout is not a failure.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::env;
use super::failure::{Explain, Failure};
use crate::chain::escape;
use crate::exit::Exit;
use crate::invocation;

/// An answer cannot be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("cannot write to stdout")]
    Write(#[source] io::Error),
    #[error("cannot encode the output as JSON")]
    Encode(#[source] serde_json::Error),
}

impl Explain for OutputError {
    fn exit(&self) -> Exit {
        match self {
            OutputError::Write(_) => Exit::Io,
            OutputError::Encode(_) => Exit::Software,
        }
    }
}

/// Writes one line of an answer.
pub(crate) fn answer(line: impl Display) -> Result<(), Failure> {
    raw(&format!("{}\n", escape(&line.to_string())))
}

/// The style of a line on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    /// The title of a section.
    Title,
    /// What the operator should see first.
    Alarm,
}

impl Style {
    /// Returns the escape sequence that switches the style on.
    const fn code(self) -> Option<&'static str> {
        match self {
            Style::Plain => None,
            Style::Title => Some("\u{1b}[1m"),
            Style::Alarm => Some("\u{1b}[1;31m"),
        }
    }
}

/// Writes one line of an answer, in colour on a terminal unless `NO_COLOR` is set.
pub(crate) fn styled(style: Style, line: impl Display) -> Result<(), Failure> {
    match style.code() {
        Some(code) if !env::no_color() && io::stdout().is_terminal() => {
            raw(&format!("{code}{}\u{1b}[0m\n", escape(&line.to_string())))
        }
        _ => answer(line),
    }
}

/// Writes a value as JSON, indented, with a line feed at its end.
pub(crate) fn json_pretty(value: &impl Serialize) -> Result<(), Failure> {
    raw(&format!("{}\n", serde_json::to_string_pretty(value).map_err(OutputError::Encode)?))
}

/// Returns a value as JSON on one line.
pub(crate) fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(value).map_err(OutputError::Encode)?)
}

/// Writes an answer without escaping it: help, or a text in which every byte matters.
pub(crate) fn raw(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes an answer for another program.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        // The reader closed the pipe, as in `mig-runner status | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written.map_err(OutputError::Write)?),
    }
}

/// Writes a message to stderr. A failure to do so is ignored: there is nowhere to report it.
pub(crate) fn message(line: impl Display) {
    let line = line.to_string();
    let program = invocation::own().name();
    writeln!(io::stderr().lock(), "{program}: {}", escape(&line)).ok();
}

/// Writes indented lines below the last message.
pub(crate) fn hint(lines: &[String]) {
    for line in lines {
        writeln!(io::stderr().lock(), "  {}", escape(line)).ok();
    }
}
