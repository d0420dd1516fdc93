//! Rows as they come: a line each for people, or a JSON list for programs.

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output;
use crate::data::Odd;
use crate::exit::Exit;

/// What is shown instead of a value that cannot be read.
pub(super) const UNREADABLE: &str = "?";

/// Returns a row's line with the mark of an odd row: an exclamation mark, and which columns are odd.
pub(super) fn marked(line: String, odd: &Odd) -> String {
    if odd.is_empty() { line } else { format!("{line}  ! {odd}") }
}

/// Returns a text, or what is shown if it cannot be read.
pub(super) fn or_mark(text: Option<&String>) -> &str {
    text.map_or(UNREADABLE, String::as_str)
}

/// A row of a list.
pub(super) trait Line: Serialize {
    /// Returns the row as people are shown it.
    fn line(&self) -> String;
}

/// How a list is told.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Form {
    /// As a JSON list, with all that is known
    #[arg(long)]
    json: bool,
    /// Exit with status 1 if there is any, for monitors
    #[arg(long)]
    fail_if_any: bool,
}

/// A list that is being told.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    json: bool,
    head: &'a str,
    count: u64,
}

impl<'a> Listing<'a> {
    /// Returns a list whose lines are headed by `head`. Nothing is written before its first row is
    /// known: where there is none because something failed, only that is told.
    pub(super) fn new(json: bool, head: &'a str) -> Listing<'a> {
        Listing { json, head, count: 0 }
    }

    fn begin(&self) -> Result<(), Failure> {
        match self.count {
            0 if self.json => output::raw("["),
            0 => output::answer(self.head),
            _ => Ok(()),
        }
    }

    /// Tells a row.
    pub(super) fn row(&mut self, row: &impl Line) -> Result<(), Failure> {
        self.begin()?;
        let comma = if self.count > 0 { "," } else { "" };
        self.count += 1;
        if !self.json {
            return output::answer(row.line());
        }
        let text = output::json_line(row)?;
        output::raw(&format!("{comma}\n{text}"))
    }

    /// Ends the list; returns how many rows there were.
    pub(super) fn end(self) -> Result<u64, Failure> {
        self.begin()?;
        if self.json {
            output::raw(if self.count > 0 { "\n]\n" } else { "]\n" })?;
        }
        Ok(self.count)
    }
}

impl Form {
    /// Tells all rows, as they come.
    pub(super) fn tell<R: Line, E>(
        self,
        head: &str,
        rows: impl IntoIterator<Item = Result<R, E>>,
    ) -> Result<Exit, Failure>
    where
        Failure: From<E>,
    {
        let mut listing = Listing::new(self.json, head);
        for row in rows {
            listing.row(&row?)?;
        }
        let any = listing.end()? > 0;
        Ok(if any && self.fail_if_any { Exit::Attention } else { Exit::Done })
    }
}
