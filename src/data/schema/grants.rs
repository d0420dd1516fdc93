//! The privileges of the platform's roles.
//!
//! The `grant …` lines of `schema.sql` are parsed, and the server is queried about each privilege,
//! so that it decides as it would for a statement: by membership, ownership or grant. A missing
//! table or role is reported as such and not as a missing privilege.

use super::difference::Difference;
use super::role_access::{self, ROLES, TARGET_ROLE, answer};
use super::text::TABLES;
use crate::data::database::{Database, query};
use crate::data::error::DataError;

/// The roles that act as the role that evaluates targets.
const TARGET_ROLE_USERS: [&str; 2] = ["migscheduler", "migapi"];
/// The text in `schema.sql` that stands for all tables.
const EVERY_TABLE: &str = "all tables in schema public";

/// A privilege that `schema.sql` grants.
#[derive(Debug, PartialEq, Eq)]
struct Grant<'a> {
    role: &'a str,
    right: &'a str,
    table: &'a str,
    /// `None` for the whole table.
    column: Option<&'a str>,
}

/// Returns the rights that the platform's roles lack, and those that they must not have. `roles` is
/// the part of `schema.sql` about roles.
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
    for grant in roles.lines().flat_map(parse_grant) {
        let Grant { role, right, table, column } = grant;
        let (answer, object) = match column {
            None => (
                answer(database, &query!("role_table_privilege"), &[role, table, right])?,
                table.to_owned(),
            ),
            Some(column) => {
                let values = [role, table, column, right];
                let object = format!("{table}.{column}");
                (answer(database, &query!("role_column_privilege"), &values)?, object)
            }
        };
        if answer == Some(false) {
            let (role, right) = (role.to_owned(), right.to_owned());
            differences.push(Difference::Grant { role, right, object });
        }
    }
    differences.extend(role_access::secrets(database)?);
    for role in TARGET_ROLE_USERS {
        if answer(database, &query!("role_can_act_as"), &[role, TARGET_ROLE])? == Some(false) {
            let (role, other) = (role.to_owned(), TARGET_ROLE.to_owned());
            differences.push(Difference::Member { role, other });
        }
    }
    differences.extend(role_access::differences(database)?);
    Ok(differences)
}

/// Parses a line `grant RIGHTS [(COLUMNS)] on TABLES to ROLES;`. Only the compared tables are
/// considered.
fn parse_grant(line: &str) -> Vec<Grant<'_>> {
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
    fn grant_lines_are_parsed() {
        let parsed = |line| {
            let grants = parse_grant(line).into_iter();
            let grants = grants.map(|Grant { role, right, table, column }| {
                format!("{role} {right} {table}.{}", column.unwrap_or("*"))
            });
            grants.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            parsed("grant insert, update on agents, loaders to a, b;"),
            "a insert agents.* a update agents.* b insert agents.* b update agents.*"
        );
        assert_eq!(
            parsed("grant select (id, name) on investigators to a;"),
            "a select investigators.id a select investigators.name"
        );
        assert_eq!(
            parsed("grant select on all tables in schema public to a;").matches("a select").count(),
            6
        );
        assert_eq!(parsed("grant usage on loaders_id_seq to a;"), "");
        assert_eq!(parsed("grant a to b;"), "");
    }

    #[test]
    fn every_role_has_a_grant() {
        let granted: Vec<_> = super::super::text::roles().lines().flat_map(parse_grant).collect();
        for role in ROLES.into_iter().skip(1) {
            assert!(granted.iter().any(|grant| grant.role == role), "{role}");
        }
    }
}
