//! What a database must be able to do, and the values that go in and out.
//!
//! All queries of the platform are texts in `queries/`, written once with `$1` for
//! the first value. A database differs in how it takes them, not in which: that
//! is all that stands behind this trait.

use std::fmt;
use std::ops::ControlFlow;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use super::schema::Schema;
use super::{DataError, Id};

/// A query: its name for messages, and its text.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// The name of its file.
    pub(super) name: &'static str,
    /// What the database is given.
    pub(super) text: std::borrow::Cow<'static, str>,
}

/// Reads a query of `queries/` into the program.
macro_rules! query {
    ($name:literal) => {
        $crate::data::database::Query {
            name: $name,
            text: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/src/data/queries/",
                $name,
                ".sql"
            ))
            .into(),
        }
    };
}
pub(super) use query;

/// A value of a column or of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Nothing.
    Null,
    /// A whole number.
    Number(i64),
    /// A text, or JSON as text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A time; databases keep microseconds.
    Time(Timestamp),
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Number(number)
    }
}

impl From<Id> for Value {
    fn from(id: Id) -> Value {
        Value::Number(id.number())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Value {
        Value::Bytes(bytes.to_owned())
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Value {
        // Half a microsecond goes to the even side, as the platform's database has it.
        let round = TimestampRound::new().smallest(Unit::Microsecond).mode(RoundMode::HalfEven);
        Value::Time(time.round(round).unwrap_or(time))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// What differs in the SQL of two databases.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    /// The operator that matches a pattern and ignores case.
    pub(super) like: &'static str,
    /// The condition that one of a command's results has the flag `foundanything` as in `{}`.
    pub(super) found: fn(flag: bool) -> &'static str,
    /// The statements that make the tables.
    pub(super) tables: fn() -> String,
    /// Whether it knows who may do what.
    pub(super) has_roles: bool,
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It will write.
    Write,
    /// It cannot write.
    Read,
    /// It cannot write, and is done by the role that evaluates targets, where there are roles.
    ReadAsTarget,
}

/// A connection to a database.
pub(crate) trait Database: fmt::Debug + Send {
    /// Runs a statement; returns the number of rows that it changed.
    fn run(&mut self, query: &Query, values: &[Value]) -> Result<u64, DataError>;
    /// Runs a query and hands over its rows, one after the other, as long as they are wanted.
    fn visit(
        &mut self,
        query: &Query,
        values: &[Value],
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), DataError>;
    /// Runs statements that have no values and no answer; `name` is what they do.
    fn batch(&mut self, name: &'static str, text: &str) -> Result<(), DataError>;
    /// Begins a transaction.
    fn begin(&mut self, access: Access) -> Result<(), DataError>;
    /// Makes what was done since `begin` durable.
    fn commit(&mut self) -> Result<(), DataError>;
    /// Forgets what was done since `begin`.
    fn rollback(&mut self) -> Result<(), DataError>;
    /// Returns how it differs from others.
    fn dialect(&self) -> Dialect;
    /// Returns the tables that it has.
    fn schema(&mut self) -> Result<Schema, DataError>;

    /// Runs a query; returns its rows.
    fn rows(&mut self, query: &Query, values: &[Value]) -> Result<Vec<Row>, DataError> {
        let mut rows = Vec::new();
        self.visit(query, values, &mut |row| {
            rows.push(row);
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }
}

/// A row of an answer; its columns are taken from first to last.
#[derive(Debug)]
pub(crate) struct Row {
    query: &'static str,
    column: usize,
    values: std::vec::IntoIter<Value>,
}

impl Row {
    /// Returns the row of a query's answer with these values.
    pub(super) fn new(query: &'static str, values: Vec<Value>) -> Row {
        Row { query, column: 0, values: values.into_iter() }
    }

    /// Takes the next column.
    fn next(&mut self) -> Option<Value> {
        self.column += 1;
        self.values.next()
    }

    fn wrong(&self, wanted: &'static str) -> DataError {
        DataError::Column { query: self.query, column: self.column, wanted }
    }

    /// Takes the next column, which holds a whole number.
    pub(super) fn number(&mut self) -> Result<i64, DataError> {
        match self.next() {
            Some(Value::Number(number)) => Ok(number),
            _ => Err(self.wrong("a whole number")),
        }
    }

    /// Takes the next column, which holds an id.
    pub(super) fn id(&mut self) -> Result<Id, DataError> {
        self.number().map(Id::new)
    }

    /// Takes the next column, which holds a text; nothing is an empty text.
    pub(super) fn text(&mut self) -> Result<String, DataError> {
        match self.next() {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Null) => Ok(String::new()),
            _ => Err(self.wrong("a text")),
        }
    }

    /// Takes the next column, which holds JSON; nothing is `null`.
    pub(super) fn json(&mut self) -> Result<String, DataError> {
        match self.next() {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Null) => Ok("null".to_owned()),
            // SQLite turns a text that reads as a number into one.
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => Err(self.wrong("JSON")),
        }
    }

    /// Takes the next column, which holds bytes or nothing.
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, DataError> {
        match self.next() {
            Some(Value::Bytes(bytes)) => Ok(bytes),
            Some(Value::Text(text)) => Ok(text.into_bytes()),
            Some(Value::Null) => Ok(Vec::new()),
            _ => Err(self.wrong("bytes")),
        }
    }

    /// Takes the next column, which holds a time.
    pub(super) fn time(&mut self) -> Result<Timestamp, DataError> {
        self.optional_time()?.ok_or_else(|| self.wrong("a time"))
    }

    /// Takes the next column, which holds a time or nothing.
    pub(super) fn optional_time(&mut self) -> Result<Option<Timestamp>, DataError> {
        match self.next() {
            Some(Value::Time(time)) => Ok(Some(time)),
            Some(Value::Text(text)) => text.parse().map(Some).map_err(|_| self.wrong("a time")),
            Some(Value::Null) => Ok(None),
            _ => Err(self.wrong("a time")),
        }
    }
}
