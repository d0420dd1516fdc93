//! Tables with their columns, keys and indexes, either as expected or as they exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Schema {
    pub(super) tables: BTreeMap<String, Table>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) columns: BTreeMap<String, Column>,
    /// The columns of the primary key, written as for an index; empty if there is none.
    pub(super) key: String,
    pub(super) indexes: BTreeSet<Index>,
    /// Pairs of a column and the table whose id it references.
    pub(super) references: BTreeSet<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// The type, as `schema.sql` writes it.
    pub(super) kind: String,
    /// Whether the column is `not null`.
    pub(super) is_required: bool,
    pub(super) has_default: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Index {
    /// The columns in order, in lower case: `queueloc, pid`.
    pub(super) columns: String,
    pub(super) is_unique: bool,
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let required = if self.is_required { " not null" } else { "" };
        write!(f, "{}{required}", self.kind)
    }
}
