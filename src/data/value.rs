//! The values that go into and come out of a database.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use super::id::Id;

/// The value of a column or of a query parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SqlValue {
    Null,
    Number(i64),
    /// Text, including JSON as text.
    Text(String),
    Bytes(Vec<u8>),
    /// A time, rounded to microseconds, which is what both databases store.
    Time(Timestamp),
    /// Text that is not valid UTF-8.
    NotUtf8(Vec<u8>),
    /// A number or time that no other variant can hold, as text: `NaN`, `1.5`, `infinity`.
    Other(String),
}

impl SqlValue {
    /// Returns the number of bytes that the value takes up in memory.
    pub(super) fn bytes(&self) -> usize {
        size_of::<SqlValue>()
            + match self {
                SqlValue::Null | SqlValue::Number(_) | SqlValue::Time(_) => 0,
                SqlValue::Text(text) | SqlValue::Other(text) => text.len(),
                SqlValue::Bytes(bytes) | SqlValue::NotUtf8(bytes) => bytes.len(),
            }
    }
}

impl From<i64> for SqlValue {
    fn from(number: i64) -> SqlValue {
        SqlValue::Number(number)
    }
}

impl From<Id> for SqlValue {
    fn from(id: Id) -> SqlValue {
        SqlValue::Number(id.number())
    }
}

impl From<&str> for SqlValue {
    fn from(text: &str) -> SqlValue {
        SqlValue::Text(text.to_owned())
    }
}

impl From<&[u8]> for SqlValue {
    fn from(bytes: &[u8]) -> SqlValue {
        SqlValue::Bytes(bytes.to_owned())
    }
}

impl From<Timestamp> for SqlValue {
    fn from(time: Timestamp) -> SqlValue {
        // Half to even, as PostgreSQL rounds.
        let round = TimestampRound::new().smallest(Unit::Microsecond).mode(RoundMode::HalfEven);
        SqlValue::Time(time.round(round).unwrap_or(time))
    }
}

impl<T: Into<SqlValue>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> SqlValue {
        value.map_or(SqlValue::Null, Into::into)
    }
}
