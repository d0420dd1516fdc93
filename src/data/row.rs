//! A row of an answer: its columns, taken from first to last.
//!
//! There are two ways to take a column. `text`, `number` and `id` fail if the value has
//! another type: they are for what our own queries compute. The `read_…` methods are for what
//! somebody wrote into a table: they never fail, but substitute a value and note the column
//! in [`Odd`].

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::de::IgnoredAny;

use super::database::Value;
use super::{DataError, Id, Odd};
use crate::chain::excerpt;

/// How much of an odd value is shown.
const SHOWN_BYTES_MAX: usize = 80;
/// The years of times that can be shown: those that every program reads.
const YEARS: std::ops::RangeInclusive<i16> = 1..=9999;

/// A row of an answer; its columns are taken from first to last.
#[derive(Debug)]
pub(crate) struct Row {
    query: &'static str,
    column: usize,
    values: std::vec::IntoIter<Value>,
    odd: Odd,
}

impl Row {
    /// Returns the row of a query's answer with these values.
    pub(super) fn new(query: &'static str, values: Vec<Value>) -> Row {
        Row { query, column: 0, values: values.into_iter(), odd: Odd::default() }
    }

    /// Returns the values of these columns, counted from 0, as the database gave them.
    pub(super) fn key(&self, columns: &[usize]) -> Vec<Value> {
        let values = self.values.as_slice();
        columns.iter().filter_map(|column| values.get(*column).cloned()).collect()
    }

    /// Takes the next column as the database gave it.
    pub(super) fn value(&mut self) -> Value {
        self.column += 1;
        self.values.next().unwrap_or(Value::Null)
    }

    fn wrong(&self, wanted: &'static str) -> DataError {
        DataError::Column { query: self.query, column: self.column, wanted }
    }

    /// Takes the next column, which holds a whole number.
    pub(super) fn number(&mut self) -> Result<i64, DataError> {
        match self.value() {
            Value::Number(number) => Ok(number),
            _ => Err(self.wrong("a whole number")),
        }
    }

    /// Takes the next column, which holds an id.
    pub(super) fn id(&mut self) -> Result<Id, DataError> {
        self.number().map(Id::new)
    }

    /// Takes the next column, which holds a text; nothing is an empty text.
    pub(super) fn text(&mut self) -> Result<String, DataError> {
        match self.value() {
            Value::Text(text) => Ok(text),
            Value::Null => Ok(String::new()),
            _ => Err(self.wrong("a text")),
        }
    }

    /// Returns what was odd about the columns that were taken.
    pub(super) fn into_odd(self) -> Odd {
        self.odd
    }

    /// Takes the next column, which should hold an id; the substitute is 0.
    pub(super) fn read_id(&mut self, column: &'static str) -> Id {
        Id::new(self.read_number(column))
    }

    /// Takes the next column, which should hold a whole number; the substitute is 0.
    pub(super) fn read_number(&mut self, column: &'static str) -> i64 {
        match self.value() {
            Value::Number(number) => number,
            other => {
                self.odd.lose(column, shown(&other));
                0
            }
        }
    }

    /// Takes the next column, which should hold a text; NULL is an empty text.
    pub(super) fn read_optional_text(&mut self, column: &'static str) -> String {
        match self.value() {
            Value::Text(text) | Value::Other(text) => text,
            Value::Null => String::new(),
            Value::Number(number) => number.to_string(),
            Value::Time(time) => time.to_string(),
            Value::Garbled(bytes) => {
                self.odd.note(column, "not UTF-8");
                String::from_utf8_lossy(&bytes).into_owned()
            }
            Value::Bytes(bytes) => {
                self.odd.note(column, "bytes, not text");
                String::from_utf8_lossy(&bytes).into_owned()
            }
        }
    }

    /// Takes the next column, which should hold a text; the substitute for NULL is an empty text.
    pub(super) fn read_text(&mut self, column: &'static str) -> String {
        if self.values.as_slice().first() == Some(&Value::Null) {
            self.odd.lose(column, "NULL");
        }
        self.read_optional_text(column)
    }

    /// Takes the next column, which should hold a name.
    pub(super) fn read_name(&mut self, column: &'static str) -> String {
        let name = self.read_text(column);
        if name.trim().is_empty() && !self.odd.has_lost(column) {
            self.odd.note(column, "empty");
        }
        name
    }

    /// Takes the next column, which should hold one of the `known` words.
    pub(super) fn read_word(&mut self, column: &'static str, known: &[&str]) -> String {
        let word = self.read_text(column);
        if !known.contains(&word.as_str()) && !self.odd.has_lost(column) {
            self.odd.note(column, format!("\"{}\"", excerpt(&word, SHOWN_BYTES_MAX)));
        }
        word
    }

    /// Takes the next column, which should hold JSON; the substitute is `null`.
    pub(super) fn read_json(&mut self, column: &'static str) -> String {
        let text = match self.value() {
            Value::Text(text) => text,
            // SQLite turns a text that reads as a number into one.
            Value::Number(number) => number.to_string(),
            Value::Other(number) => number,
            other => {
                self.odd.lose(column, shown(&other));
                return "null".to_owned();
            }
        };
        match serde_json::from_str::<IgnoredAny>(&text) {
            Ok(_) => text,
            Err(_) => {
                let head = excerpt(&text, SHOWN_BYTES_MAX);
                self.odd.lose(column, format!("no JSON: \"{head}\""));
                "null".to_owned()
            }
        }
    }

    /// Takes the next column, which should hold bytes or nothing; the substitute is nothing.
    pub(super) fn read_bytes(&mut self, column: &'static str) -> Vec<u8> {
        match self.value() {
            Value::Bytes(bytes) | Value::Garbled(bytes) => bytes,
            Value::Text(text) => text.into_bytes(),
            Value::Null => Vec::new(),
            other => {
                self.odd.lose(column, shown(&other));
                Vec::new()
            }
        }
    }

    /// Takes the next column, which should hold a time; the substitute is the first or last of all times.
    pub(super) fn read_time(&mut self, column: &'static str) -> Timestamp {
        let value = self.value();
        self.told_time(column, &value)
    }

    /// Takes the next column, which should hold a time or nothing.
    pub(super) fn read_optional_time(&mut self, column: &'static str) -> Option<Timestamp> {
        match self.value() {
            Value::Null => None,
            value => Some(self.told_time(column, &value)),
        }
    }

    fn told_time(&mut self, column: &'static str, value: &Value) -> Timestamp {
        let time = match value {
            Value::Time(time) => Ok(*time),
            Value::Text(text) => text.parse().map_err(|_| Timestamp::MIN),
            // A server's infinite times, and those that are too late or too early for us.
            Value::Other(text) if text.starts_with('-') => Err(Timestamp::MIN),
            Value::Other(_) => Err(Timestamp::MAX),
            _ => Err(Timestamp::MIN),
        };
        match time {
            Ok(time) if YEARS.contains(&TimeZone::UTC.to_datetime(time).year()) => time,
            Ok(time) | Err(time) => {
                self.odd.lose(column, shown(value));
                time
            }
        }
    }

    /// Takes two columns that tell of rows whose column `name` cannot be read: how many there are, and
    /// what one of them holds.
    pub(super) fn read_lost(&mut self, name: &'static str, is_lost: bool) {
        let (count, one) = (self.value(), self.value());
        if count == Value::Number(0) || count == Value::Null {
            return;
        }
        match is_lost {
            true => self.odd.lose(name, shown(&one)),
            false => self.odd.note(name, format!("{} of an agent", shown(&one))),
        }
    }

    /// Notes a column whose value can be read and cannot be right.
    pub(super) fn note(&mut self, column: &'static str, holds: impl Into<String>) {
        self.odd.note(column, holds);
    }
}

/// Returns a value as messages show it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Other(text) => excerpt(text, SHOWN_BYTES_MAX).into_owned(),
        Value::Text(text) => format!("\"{}\"", excerpt(text, SHOWN_BYTES_MAX)),
        Value::Garbled(bytes) => {
            format!("\"{}\"", excerpt(&String::from_utf8_lossy(bytes), SHOWN_BYTES_MAX))
        }
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Time(time) => time.to_string(),
    }
}
