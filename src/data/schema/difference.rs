//! The differences between expected and existing tables or roles.

use super::tables::{Schema, Table};
use super::text::TABLES;

const INDEX: &str = "an index";
const UNIQUE_INDEX: &str = "a unique index";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Difference {
    #[error("table {table} is missing")]
    Table { table: String },
    #[error("column {table}.{column} is missing (type {expected})")]
    Column { table: String, column: String, expected: String },
    #[error("column {table}.{column} has type {found} instead of {expected}")]
    Kind { table: String, column: String, expected: String, found: String },
    /// No row can be inserted without a value for this column, which the queries do not know.
    #[error("column {table}.{column} is unknown, and every new row must fill it")]
    Unknown { table: String, column: String },
    #[error("table {table} lacks the primary key ({expected})")]
    Key { table: String, expected: String },
    #[error("{kind} on {table} ({columns}) is missing")]
    Index {
        table: String,
        columns: String,
        /// `INDEX` or `UNIQUE_INDEX`.
        kind: &'static str,
    },
    /// The column may contain ids that do not exist.
    #[error("column {table}.{column} does not reference table {to}")]
    Reference { table: String, column: String, to: String },
    #[error("role {role} is missing")]
    Role { role: String },
    #[error("role {role} lacks the privilege {right} on {object}")]
    Grant {
        role: String,
        right: String,
        /// The table, or the column as `TABLE.COLUMN`.
        object: String,
    },
    #[error("role {role} may not act as {other}")]
    Member { role: String, other: String },
    /// The role cannot use its privileges on tables, or lacks another right.
    #[error("role {role} may not {what}")]
    Lacks { role: String, what: String },
    #[error("role {role} may {what}, but must not")]
    Excess { role: String, what: String },
    #[error("table {table} belongs to role {owner}, whose rights role {expected} lacks")]
    Owner { table: String, owner: String, expected: &'static str },
    #[error("role {role} may read {object}, which is secret")]
    Secret { role: String, object: String },
}

impl Difference {
    /// Returns whether an index is missing that only makes queries fast. A missing unique index is
    /// more serious: without it, duplicate rows can be inserted.
    pub(super) fn is_missing_index(&self) -> bool {
        matches!(self, Difference::Index { kind: INDEX, .. })
    }
}

/// Returns how the `found` tables differ from the expected ones.
pub(super) fn differences(expected: &Schema, found: &Schema) -> Vec<Difference> {
    let tables = expected.tables.iter().filter(|(name, _)| TABLES.contains(&name.as_str()));
    tables
        .flat_map(|(name, expected)| match found.tables.get(name) {
            Some(found) => expected.differences(name, found),
            None => vec![Difference::Table { table: name.clone() }],
        })
        .collect()
}

impl Table {
    /// Returns how `found`, the existing table `name`, differs from this one.
    fn differences(&self, name: &str, found: &Table) -> Vec<Difference> {
        let table = || name.to_owned();
        let mut differences = Vec::new();
        for (column, wanted) in &self.columns {
            let (column, expected) = (column.clone(), wanted.to_string());
            match found.columns.get(&column) {
                None => differences.push(Difference::Column { table: table(), column, expected }),
                Some(is) if is.kind != wanted.kind || is.is_required != wanted.is_required => {
                    let found = is.to_string();
                    differences.push(Difference::Kind { table: table(), column, expected, found });
                }
                Some(_) => {}
            }
        }
        let unknown = found.columns.iter().filter(|(column, is)| {
            is.is_required && !is.has_default && !self.columns.contains_key(*column)
        });
        differences.extend(
            unknown
                .map(|(column, _)| Difference::Unknown { table: table(), column: column.clone() }),
        );
        if self.key != found.key && !self.key.is_empty() {
            differences.push(Difference::Key { table: table(), expected: self.key.clone() });
        }
        for index in self.indexes.difference(&found.indexes) {
            let kind = if index.is_unique { UNIQUE_INDEX } else { INDEX };
            let columns = index.columns.clone();
            differences.push(Difference::Index { table: table(), columns, kind });
        }
        for (column, to) in self.references.difference(&found.references) {
            let (column, to) = (column.clone(), to.clone());
            differences.push(Difference::Reference { table: table(), column, to });
        }
        differences
    }
}
