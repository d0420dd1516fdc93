//! What the platform's roles may do.
//!
//! The lines `grant …` of `schema.sql` are read, and each right is asked of the server as it
//! would decide itself: by membership, ownership or grant. What is missing itself is
//! told as that, not as a right that is missing.

use super::{DataError, Database, Difference, TABLES, reach};
use crate::data::database::{Query, query};

pub(super) const ROLES: [&str; 4] = ["migadmin", "migscheduler", "migapi", "migreadonly"];
/// The role that evaluates targets.
pub(super) const TARGETS: &str = "migreadonly";
/// The roles that act as it.
const ACTORS: [&str; 2] = ["migscheduler", "migapi"];
/// How the schema writes that all tables are meant.
const EVERY_TABLE: &str = "all tables in schema public";

/// A right that the schema grants.
#[derive(Debug, PartialEq, Eq)]
struct Grant<'a> {
    role: &'a str,
    right: &'a str,
    table: &'a str,
    /// None for the whole table.
    column: Option<&'a str>,
}

/// Returns what the platform's roles lack, and what they have too much; `roles` is the
/// part of the schema that makes them.
pub(super) fn differences(
    database: &mut dyn Database,
    roles: &str,
) -> Result<Vec<Difference>, DataError> {
    let mut differences = Vec::new();
    for role in ROLES {
        if answer(database, &query!("role_exists"), &[role])?.is_none() {
            differences.push(Difference::Role { role: role.to_owned() });
        }
    }
    for grant in roles.lines().flat_map(read) {
        let Grant { role, right, table, column } = grant;
        let (answer, object) = match column {
            None => {
                (answer(database, &query!("role_may"), &[role, table, right])?, table.to_owned())
            }
            Some(column) => {
                let values = [role, table, column, right];
                let object = format!("{table}.{column}");
                (answer(database, &query!("role_may_on_column"), &values)?, object)
            }
        };
        if answer == Some(false) {
            let (role, right) = (role.to_owned(), right.to_owned());
            differences.push(Difference::Grant { role, right, object });
        }
    }
    differences.extend(reach::secrets(database)?);
    for role in ACTORS {
        if answer(database, &query!("role_may_act_as"), &[role, TARGETS])? == Some(false) {
            let (role, other) = (role.to_owned(), TARGETS.to_owned());
            differences.push(Difference::Member { role, other });
        }
    }
    differences.extend(reach::differences(database)?);
    Ok(differences)
}

/// Returns the server's yes or no; nothing, if what is asked about is not there.
pub(super) fn answer(
    database: &mut dyn Database,
    query: &Query,
    names: &[&str],
) -> Result<Option<bool>, DataError> {
    let values: Vec<_> = names.iter().map(|name| (*name).into()).collect();
    let row = database.rows(query, &values)?.into_iter().next();
    row.map(|mut row| Ok(row.number()? != 0)).transpose()
}

/// Reads a line `grant RIGHTS [(COLUMNS)] on TABLES to ROLES;`; returns the rights on tables that we use.
fn read(line: &str) -> Vec<Grant<'_>> {
    let parts = || {
        let rest = line.strip_prefix("grant ")?.strip_suffix(';')?;
        let (what, rest) = rest.split_once(" on ")?;
        let (tables, roles) = rest.split_once(" to ")?;
        Some((what, tables, roles))
    };
    let Some((what, tables, roles)) = parts() else { return Vec::new() };
    let (rights, columns) = match what.split_once(" (") {
        Some((rights, columns)) => {
            let columns = columns.trim_end_matches(')').split(", ").map(Some).collect();
            (rights, columns)
        }
        None => (what, vec![None]),
    };
    let tables: Vec<&str> = match tables {
        EVERY_TABLE => TABLES.to_vec(),
        tables => tables.split(", ").filter(|table| TABLES.contains(table)).collect(),
    };
    let mut grants = Vec::new();
    for role in roles.split(", ") {
        for right in rights.split(", ") {
            for table in &tables {
                grants.extend(columns.iter().map(|column| Grant {
                    role,
                    right,
                    table,
                    column: *column,
                }));
            }
        }
    }
    grants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read() {
        let read = |line| {
            let grants = read(line).into_iter();
            let grants = grants.map(|Grant { role, right, table, column }| {
                format!("{role} {right} {table}.{}", column.unwrap_or("*"))
            });
            grants.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            read("grant insert, update on agents, loaders to a, b;"),
            "a insert agents.* a update agents.* b insert agents.* b update agents.*"
        );
        assert_eq!(
            read("grant select (id, name) on investigators to a;"),
            "a select investigators.id a select investigators.name"
        );
        assert_eq!(
            read("grant select on all tables in schema public to a;").matches("a select").count(),
            6
        );
        assert_eq!(read("grant usage on loaders_id_seq to a;"), "");
        assert_eq!(read("grant a to b;"), "");
    }

    #[test]
    fn every_role_is_granted_something() {
        let granted: Vec<_> = super::super::roles().lines().flat_map(read).collect();
        for role in ROLES.into_iter().skip(1) {
            assert!(granted.iter().any(|grant| grant.role == role), "{role}");
        }
    }
}
