//! Answers to stdout, messages to stderr: the only code that writes there.
//!
//! **Invariants.** What is written holds no control character but the line feeds
//! that end its lines, and on a terminal our own colours. An answer whose reader has
//! gone away is no failure.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use super::env;
use super::failure::Failure;
use crate::chain::escape;
use crate::invocation;

/// Writes one line of an answer.
///
/// # Errors
/// It cannot be written, for another reason than that nobody reads it.
pub(crate) fn answer(line: impl Display) -> Result<(), Failure> {
    raw(&format!("{}\n", escape(&line.to_string())))
}

/// How a line looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    /// The title of a part.
    Title,
    /// What a person should see first.
    Alarm,
}

impl Style {
    /// Returns what switches the style on.
    const fn code(self) -> Option<&'static str> {
        match self {
            Style::Plain => None,
            Style::Title => Some("\u{1b}[1m"),
            Style::Alarm => Some("\u{1b}[1;31m"),
        }
    }
}

/// Writes one line of an answer, in colour where somebody looks at it and does not mind.
///
/// # Errors
/// As [`answer`].
pub(crate) fn styled(style: Style, line: impl Display) -> Result<(), Failure> {
    match style.code() {
        Some(code) if !env::no_color() && io::stdout().is_terminal() => {
            raw(&format!("{code}{}\u{1b}[0m\n", escape(&line.to_string())))
        }
        _ => answer(line),
    }
}

/// Writes an answer as it is: help, or a text of which each byte counts.
///
/// # Errors
/// As [`answer`].
pub(crate) fn raw(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes an answer for another program.
///
/// # Errors
/// As [`answer`].
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        // `mig-runner status | head` is no failure of ours.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Failure::Output),
    }
}

/// Writes a message for the person who typed the command. That it cannot be written
/// cannot be told to anybody.
pub(crate) fn message(line: impl Display) {
    let line = line.to_string();
    let program = invocation::own().name();
    writeln!(io::stderr().lock(), "{program}: {}", escape(&line)).ok();
}

/// Writes lines that go with the message before them.
pub(crate) fn hint(lines: &[String]) {
    for line in lines {
        writeln!(io::stderr().lock(), "  {}", escape(line)).ok();
    }
}
