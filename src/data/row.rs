//! A row of a query, whose columns are taken in order.
//!
//! There are two ways to take a column. `text`, `number` and `id` return an error if the value has
//! another type: they are for columns that the queries compute. The `read_…` methods are for stored
//! columns, which other programs also write: they never fail, but return a substitute and record
//! the column in [`InvalidColumns`].

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::de::IgnoredAny;

use super::error::DataError;
use super::id::Id;
use super::invalid::InvalidColumns;
use super::value::SqlValue;
use crate::chain::excerpt;

/// Maximum length of an invalid value in messages, in bytes.
const SHOWN_BYTES_MAX: usize = 80;
/// The years of valid times: those that every program can read.
const YEARS: std::ops::RangeInclusive<i16> = 1..=9999;

#[derive(Debug)]
pub(crate) struct Row {
    query: &'static str,
    column: usize,
    values: std::vec::IntoIter<SqlValue>,
    invalid: InvalidColumns,
}

impl Row {
    pub(super) fn new(query: &'static str, values: Vec<SqlValue>) -> Row {
        Row { query, column: 0, values: values.into_iter(), invalid: InvalidColumns::default() }
    }

    /// Returns the size of the values that are not taken yet, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.values.as_slice().iter().map(SqlValue::bytes).sum()
    }

    /// Returns the values of these columns, counted from 0, as the database returned them. Requires
    /// that no column has been taken yet.
    pub(super) fn key(&self, columns: &[usize]) -> Vec<SqlValue> {
        let values = self.values.as_slice();
        columns.iter().filter_map(|column| values.get(*column).cloned()).collect()
    }

    /// Takes the next column as the database returned it.
    pub(super) fn value(&mut self) -> SqlValue {
        self.column += 1;
        self.values.next().unwrap_or(SqlValue::Null)
    }

    fn type_error(&self, wanted: &'static str) -> DataError {
        DataError::Column { query: self.query, column: self.column, wanted }
    }

    /// Takes the next column, which must be a whole number.
    pub(super) fn number(&mut self) -> Result<i64, DataError> {
        match self.value() {
            SqlValue::Number(number) => Ok(number),
            _ => Err(self.type_error("a whole number")),
        }
    }

    /// Takes the next column, which must be an id.
    pub(super) fn id(&mut self) -> Result<Id, DataError> {
        self.number().map(Id::new)
    }

    /// Takes the next column, which must be text; NULL becomes the empty string.
    pub(super) fn text(&mut self) -> Result<String, DataError> {
        match self.value() {
            SqlValue::Text(text) => Ok(text),
            SqlValue::Null => Ok(String::new()),
            _ => Err(self.type_error("text")),
        }
    }

    /// Returns the invalid columns among those that were taken.
    pub(super) fn into_invalid(self) -> InvalidColumns {
        self.invalid
    }

    /// Takes the next column, which should hold an id; the substitute is 0.
    pub(super) fn read_id(&mut self, column: &'static str) -> Id {
        Id::new(self.read_number(column))
    }

    /// Takes the next column, which should hold a whole number; the substitute is 0.
    pub(super) fn read_number(&mut self, column: &'static str) -> i64 {
        match self.value() {
            SqlValue::Number(number) => number,
            other => {
                self.invalid.add_unreadable(column, display(&other));
                0
            }
        }
    }

    /// Takes the next column, which should hold text; NULL is valid and becomes the empty string.
    pub(super) fn read_optional_text(&mut self, column: &'static str) -> String {
        match self.value() {
            SqlValue::Text(text) | SqlValue::Other(text) => text,
            SqlValue::Null => String::new(),
            SqlValue::Number(number) => number.to_string(),
            SqlValue::Time(time) => time.to_string(),
            SqlValue::NotUtf8(bytes) => {
                self.invalid.add_implausible(column, "not UTF-8");
                String::from_utf8_lossy(&bytes).into_owned()
            }
            SqlValue::Bytes(bytes) => {
                self.invalid.add_implausible(column, "bytes, not text");
                String::from_utf8_lossy(&bytes).into_owned()
            }
        }
    }

    /// Takes the next column, which should hold text; the substitute for NULL is the empty string.
    pub(super) fn read_text(&mut self, column: &'static str) -> String {
        if self.values.as_slice().first() == Some(&SqlValue::Null) {
            self.invalid.add_unreadable(column, "NULL");
        }
        self.read_optional_text(column)
    }

    /// Takes the next column, which should hold a name: text that is not blank.
    pub(super) fn read_name(&mut self, column: &'static str) -> String {
        let name = self.read_text(column);
        if name.trim().is_empty() && !self.invalid.is_unreadable(column) {
            self.invalid.add_implausible(column, "empty");
        }
        name
    }

    /// Takes the next column, which should hold one of the `known` words.
    pub(super) fn read_word(&mut self, column: &'static str, known: &[&str]) -> String {
        let word = self.read_text(column);
        if !known.contains(&word.as_str()) && !self.invalid.is_unreadable(column) {
            let shown = format!("\"{}\"", excerpt(&word, SHOWN_BYTES_MAX));
            self.invalid.add_implausible(column, shown);
        }
        word
    }

    /// Takes the next column, which should hold JSON of at most `chars_max` characters; the
    /// substitute is `null`.
    pub(super) fn read_short_json(&mut self, column: &'static str, chars_max: usize) -> String {
        let is_long = match self.values.as_slice().first() {
            Some(SqlValue::Text(text)) => text.chars().nth(chars_max).is_some(),
            _ => false,
        };
        if is_long {
            self.value();
            self.invalid.add_unreadable(column, format!("longer than {chars_max} characters"));
            return "null".to_owned();
        }
        self.read_json(column)
    }

    /// Takes the next column, which should hold JSON; the substitute is `null`.
    pub(super) fn read_json(&mut self, column: &'static str) -> String {
        let text = match self.value() {
            SqlValue::Text(text) => text,
            // SQLite stores JSON text that looks like a number as a number.
            SqlValue::Number(number) => number.to_string(),
            SqlValue::Other(number) => number,
            other => {
                self.invalid.add_unreadable(column, display(&other));
                return "null".to_owned();
            }
        };
        match serde_json::from_str::<IgnoredAny>(&text) {
            Ok(_) => text,
            Err(_) => {
                let head = excerpt(&text, SHOWN_BYTES_MAX);
                self.invalid.add_unreadable(column, format!("invalid JSON: \"{head}\""));
                "null".to_owned()
            }
        }
    }

    /// Takes the next column, which should hold bytes or NULL; the substitute is empty.
    pub(super) fn read_bytes(&mut self, column: &'static str) -> Vec<u8> {
        match self.value() {
            SqlValue::Bytes(bytes) | SqlValue::NotUtf8(bytes) => bytes,
            SqlValue::Text(text) => text.into_bytes(),
            SqlValue::Null => Vec::new(),
            other => {
                self.invalid.add_unreadable(column, display(&other));
                Vec::new()
            }
        }
    }

    /// Takes the next column, which should hold a time; the substitute is the minimum or maximum
    /// timestamp, or the time itself if its year is out of range.
    pub(super) fn read_time(&mut self, column: &'static str) -> Timestamp {
        let value = self.value();
        self.validated_time(column, &value)
    }

    /// Takes the next column, which should hold a time or NULL; substitutes as in
    /// [`Row::read_time`].
    pub(super) fn read_optional_time(&mut self, column: &'static str) -> Option<Timestamp> {
        match self.value() {
            SqlValue::Null => None,
            value => Some(self.validated_time(column, &value)),
        }
    }

    fn validated_time(&mut self, column: &'static str, value: &SqlValue) -> Timestamp {
        let time = match value {
            SqlValue::Time(time) => Ok(*time),
            SqlValue::Text(text) => text.parse().map_err(|_| Timestamp::MIN),
            // PostgreSQL's infinite times, and those beyond the range of `Timestamp`.
            SqlValue::Other(text) if text.starts_with('-') => Err(Timestamp::MIN),
            SqlValue::Other(_) => Err(Timestamp::MAX),
            _ => Err(Timestamp::MIN),
        };
        match time {
            Ok(time) if YEARS.contains(&TimeZone::UTC.to_datetime(time).year()) => time,
            Ok(time) | Err(time) => {
                self.invalid.add_unreadable(column, display(value));
                time
            }
        }
    }

    /// Takes two columns of a group of agents: the number of agents whose column `name` is
    /// unreadable, and one of these values. `is_unreadable` states that no agent has a readable
    /// one.
    pub(super) fn read_unreadable_agents(&mut self, name: &'static str, is_unreadable: bool) {
        let (count, one) = (self.value(), self.value());
        if count == SqlValue::Number(0) || count == SqlValue::Null {
            return;
        }
        match is_unreadable {
            true => self.invalid.add_unreadable(name, display(&one)),
            false => self.invalid.add_implausible(name, format!("{} of an agent", display(&one))),
        }
    }

    /// Records a column whose value was read but cannot be correct.
    pub(super) fn note_implausible(&mut self, column: &'static str, value: impl Into<String>) {
        self.invalid.add_implausible(column, value);
    }
}

/// Returns a value as messages show it, shortened and escaped.
fn display(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "NULL".to_owned(),
        SqlValue::Number(number) => number.to_string(),
        SqlValue::Other(text) => excerpt(text, SHOWN_BYTES_MAX).into_owned(),
        SqlValue::Text(text) => format!("\"{}\"", excerpt(text, SHOWN_BYTES_MAX)),
        SqlValue::NotUtf8(bytes) => {
            format!("\"{}\"", excerpt(&String::from_utf8_lossy(bytes), SHOWN_BYTES_MAX))
        }
        SqlValue::Bytes(bytes) => format!("{} bytes", bytes.len()),
        SqlValue::Time(time) => time.to_string(),
    }
}
