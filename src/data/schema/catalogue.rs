//! The tables in the catalogue of a PostgreSQL server.

use super::parse::read_index;
use super::tables::{Column, Schema};
use crate::data::database::{Database, query};
use crate::data::error::DataError;

/// Returns the tables that are visible in the role's search path.
pub(in crate::data) fn read(database: &mut dyn Database) -> Result<Schema, DataError> {
    let mut schema = Schema::default();
    for mut row in database.rows(&query!("catalogue_columns"), &[])? {
        let (table, column) = (row.text()?, row.text()?);
        let kind = short(&row.text()?);
        let (is_required, has_default) = (row.number()? != 0, row.number()? != 0);
        let table = schema.tables.entry(table).or_default();
        table.columns.insert(column, Column { kind, is_required, has_default });
    }
    for mut row in database.rows(&query!("catalogue_indexes"), &[])? {
        let (name, is_key, text) = (row.text()?, row.number()? != 0, row.text()?);
        let Some((_, index)) = read_index(&text.to_lowercase()) else { continue };
        let table = schema.tables.entry(name).or_default();
        if is_key {
            table.key = index.columns;
        } else {
            table.indexes.insert(index);
        }
    }
    for mut row in database.rows(&query!("catalogue_references"), &[])? {
        let (table, column, to) = (row.text()?, row.text()?, row.text()?);
        schema.tables.entry(table).or_default().references.insert((column, to));
    }
    Ok(schema)
}

/// Returns a type's name as `schema.sql` writes it.
fn short(kind: &str) -> String {
    kind.replace("character varying", "varchar").replace("timestamp with time zone", "timestamptz")
}
