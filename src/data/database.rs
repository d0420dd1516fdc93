//! What a database must be able to do, and the values that go in and out.
//!
//! All queries of the platform are texts in `queries/`, written once with `$1` for
//! the first value. A database differs in how it takes them, not in which: that
//! is all that stands behind this trait.

use std::fmt;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use super::schema::Schema;
use super::{DataError, Id, Row};

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
    Null,
    Number(i64),
    /// A text, or JSON as text.
    Text(String),
    Bytes(Vec<u8>),
    /// A time; databases keep microseconds.
    Time(Timestamp),
    /// A text that is not UTF-8.
    Garbled(Vec<u8>),
    /// A number or a time that has no variant of its own, in words: `NaN`, `1.5`, `infinity`.
    Other(String),
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
    /// The condition that an agent's `heartbeattime` is a time that we can read.
    pub(super) heard: &'static str,
    /// The condition that it is not, in a form for which an index can be used; it may name `{heard}`.
    pub(super) unheard: &'static str,
    /// The family of the column `actions.threat`, also where that is damaged.
    pub(super) family: &'static str,
    /// The statements that make the tables.
    pub(super) tables: fn() -> String,
    /// Whether it knows who may do what.
    pub(super) has_roles: bool,
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Write,
    Read,
    /// It cannot write, and is done by the role that evaluates targets, where there are roles.
    ReadAsTarget,
}

/// A connection to a database.
pub(crate) trait Database: fmt::Debug + Send {
    /// Runs a statement; returns the number of rows that it changed.
    fn run(&mut self, query: &Query, values: &[Value]) -> Result<u64, DataError>;
    /// Runs a query; returns its rows.
    fn rows(&mut self, query: &Query, values: &[Value]) -> Result<Vec<Row>, DataError>;
    /// Runs statements that have no values and no answer; `name` is what they do.
    fn batch(&mut self, name: &'static str, text: &str) -> Result<(), DataError>;
    fn begin(&mut self, access: Access) -> Result<(), DataError>;
    /// Makes what was done since `begin` durable.
    fn commit(&mut self) -> Result<(), DataError>;
    /// Forgets what was done since `begin`.
    fn rollback(&mut self) -> Result<(), DataError>;
    /// Returns how it differs from others.
    fn dialect(&self) -> Dialect;
    /// Returns the tables that it has.
    fn schema(&mut self) -> Result<Schema, DataError>;
}
