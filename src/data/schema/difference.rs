//! How tables differ from what they should be.

use super::Table;

/// How the two sorts of indexes are called.
const INDEX: &str = "an index";
const UNIQUE_INDEX: &str = "a unique index";

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Difference {
    /// A table is missing.
    #[error("table {table} is missing")]
    Table { table: String },
    /// A column is missing.
    #[error("column {table}.{column} is missing: it is {expected}")]
    Column {
        table: String,
        column: String,
        /// What it should be.
        expected: String,
    },
    /// A column holds something else.
    #[error("column {table}.{column} is {found}, not {expected}")]
    Kind {
        table: String,
        column: String,
        /// What it should be.
        expected: String,
        found: String,
    },
    /// No row can be added without a value that nobody knows of.
    #[error("column {table}.{column} is not known here and must be filled in every row")]
    Unknown { table: String, column: String },
    /// The primary key is missing, or another one.
    #[error("the primary key of table {table} is missing: it is ({expected})")]
    Key { table: String, expected: String },
    /// An index is missing.
    #[error("{kind} on {table} ({columns}) is missing")]
    Index {
        table: String,
        columns: String,
        /// What sort of index it is.
        kind: &'static str,
    },
    /// A column may hold ids that are none.
    #[error("column {table}.{column} does not refer to table {to}")]
    Reference { table: String, column: String, to: String },
    /// A role is missing.
    #[error("role {role} is missing")]
    Role { role: String },
    /// A role may not do what it has to.
    #[error("role {role} may not {right} on {object}")]
    Grant {
        role: String,
        /// What it may not do.
        right: String,
        /// On which table or column.
        object: String,
    },
    /// A role may not take on another one.
    #[error("role {role} may not act as {other}")]
    Member { role: String, other: String },
    /// A role is kept from what its rights are for.
    #[error("role {role} may not {what}")]
    Lacks {
        role: String,
        /// What it may not do.
        what: String,
    },
    /// A role may do what it must not.
    #[error("role {role} may {what}, and must not")]
    Excess {
        role: String,
        /// What it may do.
        what: String,
    },
    /// A table belongs to another role.
    #[error("table {table} belongs to role {owner}, and role {expected} has not its rights")]
    Owner {
        table: String,
        owner: String,
        /// Whose it should be.
        expected: &'static str,
    },
    /// A role may see a secret.
    #[error("role {role} may read {object}, which is secret")]
    Secret { role: String, object: String },
}

impl Difference {
    /// Tells whether it costs nothing but time.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self, Difference::Index { kind: INDEX, .. })
    }
}

impl Table {
    /// Returns how `found`, the table `name`, differs from this one.
    pub(super) fn differences(&self, name: &str, found: &Table) -> Vec<Difference> {
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
