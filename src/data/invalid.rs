//! The invalid columns of a row: values that cannot be read, or that cannot be correct.
//!
//! Other programs and administrators also write to the tables. One unexpected value must not hide
//! its row or the other rows of a list. Such a row is read as far as possible and names its invalid
//! columns.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// The invalid columns of a row; usually empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct InvalidColumns(Vec<InvalidColumn>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct InvalidColumn {
    name: &'static str,
    /// The value, shortened and escaped for display.
    value: String,
    /// Whether the value could not be read, so that the row has a substitute for it.
    is_unreadable: bool,
}

impl InvalidColumns {
    /// Records a column whose value cannot be read; the row has a substitute for it.
    pub(crate) fn add_unreadable(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push(InvalidColumn { name, value: value.into(), is_unreadable: true });
    }

    /// Records a column whose value can be read but cannot be correct.
    pub(crate) fn add_implausible(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push(InvalidColumn { name, value: value.into(), is_unreadable: false });
    }

    /// Returns whether all columns are valid.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the value of a column could not be read.
    pub(crate) fn is_unreadable(&self, name: &str) -> bool {
        self.0.iter().any(|column| column.is_unreadable && column.name == name)
    }

    /// Returns whether the value of at least one of these columns could not be read.
    pub(crate) fn is_any_unreadable(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.is_unreadable(name))
    }

    /// Returns `value`, or `None` if it is the substitute for an unreadable value.
    pub(crate) fn readable<T>(&self, name: &str, value: T) -> Option<T> {
        (!self.is_unreadable(name)).then_some(value)
    }
}

impl fmt::Display for InvalidColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, column) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{}: {}", column.name, column.value)?;
        }
        Ok(())
    }
}

impl Serialize for InvalidColumns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for column in &self.0 {
            map.serialize_entry(column.name, &column.value)?;
        }
        map.end()
    }
}
