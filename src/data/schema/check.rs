//! Creating the tables, and comparing them with the expected ones.

use super::difference::Difference;
use super::tables::Schema;
use super::text::{TABLES, roles};
use super::{difference, grants};
use crate::data::error::DataError;
use crate::data::store::Store;

/// The part of the schema to create or compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SchemaScope {
    /// Tables, keys and indexes.
    Tables,
    /// Also the platform's roles and their privileges; SQLite has none.
    TablesAndRoles,
}

impl Store {
    /// Creates the missing tables, all or none. Existing ones stay unchanged.
    pub(crate) fn init_schema(&self, scope: SchemaScope) -> Result<(), DataError> {
        self.transaction(|database| {
            let tables = (database.dialect().create_tables)();
            if database.dialect().has_roles {
                // Otherwise two processes could both find no tables, and both create them.
                database.batch("lock schema", "select pg_advisory_xact_lock(1795309296)")?;
            }
            database.batch("create tables", &tables)?;
            match scope {
                SchemaScope::TablesAndRoles if database.dialect().has_roles => {
                    database.batch("create roles", &format!("--{}", roles()))
                }
                SchemaScope::Tables | SchemaScope::TablesAndRoles => Ok(()),
            }
        })
    }

    /// Returns the differences between the expected tables and the existing ones.
    pub(crate) fn schema_differences(
        &self,
        scope: SchemaScope,
    ) -> Result<Vec<Difference>, DataError> {
        self.read_transaction(|database| {
            let expected = Schema::parse(&(database.dialect().create_tables)());
            let found = database.schema()?;
            let mut differences = difference::differences(&expected, &found);
            if scope == SchemaScope::TablesAndRoles && database.dialect().has_roles {
                differences.extend(grants::differences(database, roles())?);
            }
            Ok(differences)
        })
    }

    /// Creates the tables if none of them exists, and otherwise checks them: an administrator may
    /// have created them, and the current role may lack the privilege to do it.
    ///
    /// # Errors
    /// `Schema` if the tables differ in something that the queries depend on.
    pub(crate) fn create_or_check_tables(&self) -> Result<(), DataError> {
        let found = self.read_transaction(|database| database.schema())?;
        if !TABLES.iter().any(|table| found.tables.contains_key(*table)) {
            return self.init_schema(SchemaScope::Tables);
        }
        let mut differences = self.schema_differences(SchemaScope::Tables)?;
        // A missing index makes queries slow but not wrong.
        differences.retain(|difference| !difference.is_missing_index());
        match differences.is_empty() {
            true => Ok(()),
            false => Err(DataError::Schema { differences }),
        }
    }
}
