//! What is odd about a row: columns whose values cannot be read, or cannot be right.
//!
//! The tables are also written by other programs and by hand. One unexpected value
//! must not hide its row, or the other rows of a list. So a row with such a value
//! is read as far as possible, and says which columns are odd.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// The odd columns of a row; usually there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Odd(Vec<Column>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: &'static str,
    /// What it holds, safe to show.
    holds: String,
    /// Whether its value could not be read.
    is_lost: bool,
}

impl Odd {
    /// Notes a column whose value cannot be read; the row has a substitute for it.
    pub(crate) fn lose(&mut self, name: &'static str, holds: impl Into<String>) {
        self.0.push(Column { name, holds: holds.into(), is_lost: true });
    }

    /// Notes a column whose value can be read and cannot be right.
    pub(crate) fn note(&mut self, name: &'static str, holds: impl Into<String>) {
        self.0.push(Column { name, holds: holds.into(), is_lost: false });
    }

    /// Returns whether every column is as it should be.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the value of a column could not be read.
    pub(crate) fn has_lost(&self, name: &str) -> bool {
        self.0.iter().any(|column| column.is_lost && column.name == name)
    }

    /// Returns whether any of these columns could not be read.
    pub(crate) fn has_lost_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has_lost(name))
    }

    /// Returns a column's value, unless it is the substitute for one that could not be read.
    pub(crate) fn readable<T>(&self, name: &str, value: T) -> Option<T> {
        (!self.has_lost(name)).then_some(value)
    }
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, column) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{}: {}", column.name, column.holds)?;
        }
        Ok(())
    }
}

impl Serialize for Odd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for column in &self.0 {
            map.serialize_entry(column.name, &column.holds)?;
        }
        map.end()
    }
}
