//! What the tables should be, what they are, and how they differ.
//!
//! `schema.sql` is the only text that says what they should be: it is run to make them
//! and read to compare. What is compared is what our queries rest on, the six tables that we
//! use; those of the platform's loaders and manifests are its own matter. Defaults may be
//! missing: the platform's own database has fewer than ours. More columns and indexes
//! are no difference, but for a column that every new row would have to fill.

mod difference;
mod grants;
mod parse;
mod reach;
mod server;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use difference::Difference;
pub(super) use server::of_postgres;

use super::database::Database;
use super::{DataError, Store};

/// The whole of `schema.sql`, for PostgreSQL; `psql` can run it.
pub(crate) const TEXT: &str = include_str!("../schema.sql");
/// The line where the part about roles begins.
const ROLES: &str = "-- Roles.";
/// The tables that are compared.
const TABLES: [&str; 6] =
    ["actions", "agents", "agents_stats", "commands", "investigators", "signatures"];
/// What SQLite takes where PostgreSQL takes `now()`.
const SQLITE_NOW: &str = "(strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))";
/// How SQLite is told to count by itself.
const SQLITE_COUNTED: &str = "    id integer not null primary key,";

/// How much of the schema is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Tables, keys and indexes.
    Tables,
    /// The platform's roles and what they may do, too; SQLite has none.
    TablesAndRoles,
}

/// Tables as they are, or as they should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Schema {
    pub(super) tables: BTreeMap<String, Table>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) columns: BTreeMap<String, Column>,
    /// The columns of its primary key, as an index names them; empty if it has none.
    pub(super) key: String,
    pub(super) indexes: BTreeSet<Index>,
    /// Columns that hold the id of another table, and that table.
    pub(super) references: BTreeSet<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Its type, as `schema.sql` writes it.
    pub(super) kind: String,
    /// Whether it is never empty.
    pub(super) is_required: bool,
    /// Whether a new row need not fill it.
    pub(super) has_default: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Index {
    /// Its columns, in order, in small letters: `queueloc, pid`.
    pub(super) columns: String,
    /// Whether no two rows may be the same there.
    pub(super) is_unique: bool,
}

/// Returns the part of the schema that makes tables, for PostgreSQL.
pub(super) fn for_postgres() -> String {
    TEXT.split_once(ROLES).map_or(TEXT, |(tables, _)| tables).to_owned()
}

/// Returns the part of the schema that makes roles.
fn roles() -> &'static str {
    TEXT.split_once(ROLES).map_or("", |(_, roles)| roles)
}

/// Returns the part of the schema that makes tables, as SQLite takes it.
pub(super) fn for_sqlite() -> String {
    let tables = for_postgres();
    let lines = tables.lines().filter(|line| !line.starts_with("create sequence")).map(|line| {
        match line.contains("nextval(") {
            true => SQLITE_COUNTED.to_owned(),
            false => line.replace("now()", SQLITE_NOW),
        }
    });
    lines.flat_map(|line| [line, "\n".to_owned()]).collect()
}

impl Schema {
    /// Returns how `found` differs from this schema.
    fn differences(&self, found: &Schema) -> Vec<Difference> {
        let tables = self.tables.iter().filter(|(name, _)| TABLES.contains(&name.as_str()));
        tables
            .flat_map(|(name, wanted)| match found.tables.get(name) {
                Some(found) => wanted.differences(name, found),
                None => vec![Difference::Table { table: name.clone() }],
            })
            .collect()
    }
}

impl Store {
    /// Makes the tables that are missing, all or none; what is there stays.
    pub(crate) fn init_schema(&self, extent: Extent) -> Result<(), DataError> {
        self.transaction(|database| {
            let tables = (database.dialect().tables)();
            if database.dialect().has_roles {
                // Two that do this at once would both find nothing there.
                database.batch("lock schema", "select pg_advisory_xact_lock(1795309296)")?;
            }
            database.batch("make tables", &tables)?;
            match extent {
                Extent::TablesAndRoles if database.dialect().has_roles => {
                    database.batch("make roles", &format!("--{}", roles()))
                }
                Extent::Tables | Extent::TablesAndRoles => Ok(()),
            }
        })
    }

    /// Returns how the tables differ from what they should be.
    pub(crate) fn schema_differences(&self, extent: Extent) -> Result<Vec<Difference>, DataError> {
        self.reading(|database| {
            let wanted = Schema::parse(&(database.dialect().tables)());
            let found = database.schema()?;
            let mut differences = wanted.differences(&found);
            if extent == Extent::TablesAndRoles && database.dialect().has_roles {
                differences.extend(grants::differences(database, roles())?);
            }
            Ok(differences)
        })
    }

    /// Makes the tables if none of them is there yet, and otherwise checks them: somebody else
    /// may have made them, and may be the only one who can.
    ///
    /// # Errors
    /// `Schema` if they differ from what the queries are made for.
    pub(crate) fn make_ready(&self) -> Result<(), DataError> {
        let found = self.reading(|database| database.schema())?;
        if !TABLES.iter().any(|table| found.tables.contains_key(*table)) {
            return self.init_schema(Extent::Tables);
        }
        let differences = self.schema_differences(Extent::Tables)?;
        // Without an index it is slow, and right.
        let (_, grave): (Vec<_>, Vec<_>) = differences.into_iter().partition(Difference::is_slow);
        match grave.is_empty() {
            true => Ok(()),
            false => Err(DataError::Schema { differences: grave }),
        }
    }
}
