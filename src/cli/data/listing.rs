//! Prints rows one by one: as lines of a table, or as a JSON list.

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output;
use crate::data::InvalidColumns;
use crate::exit::Exit;

/// The text shown for an unreadable value.
pub(super) const UNREADABLE: &str = "?";

/// Appends an exclamation mark and the invalid columns, if any, to the line of a row.
pub(super) fn marked(line: String, invalid: &InvalidColumns) -> String {
    if invalid.is_empty() { line } else { format!("{line}  ! {invalid}") }
}

/// Returns a text, or [`UNREADABLE`] for `None`.
pub(super) fn or_mark(text: Option<&String>) -> &str {
    text.map_or(UNREADABLE, String::as_str)
}

/// A row of a list, with its JSON form.
pub(super) trait TableRow: Serialize {
    /// Returns the row as a line of the text output.
    fn line(&self) -> String;
}

/// The options of commands that print a list.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct ListOptions {
    /// Print a JSON list with all columns
    #[arg(long)]
    json: bool,
    /// Exit with status 1 if any row is found, for monitors
    #[arg(long)]
    fail_if_any: bool,
}

/// A list that is being printed.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    json: bool,
    head: &'a str,
    count: u64,
}

impl<'a> Listing<'a> {
    /// Creates a list with the header line `head`. The header is printed with the first row, so
    /// that a query that fails at once prints only its error.
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

    pub(super) fn row(&mut self, row: &impl TableRow) -> Result<(), Failure> {
        self.begin()?;
        let comma = if self.count > 0 { "," } else { "" };
        self.count += 1;
        if !self.json {
            return output::answer(row.line());
        }
        let text = output::json_line(row)?;
        output::raw(&format!("{comma}\n{text}"))
    }

    /// Ends the list; returns the number of rows.
    pub(super) fn end(self) -> Result<u64, Failure> {
        self.begin()?;
        if self.json {
            output::raw(if self.count > 0 { "\n]\n" } else { "]\n" })?;
        }
        Ok(self.count)
    }
}

impl ListOptions {
    /// Prints all rows as they arrive.
    pub(super) fn print<R: TableRow, E>(
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
