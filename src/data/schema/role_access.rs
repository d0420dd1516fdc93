//! The rights that the platform's roles need besides privileges on tables, and the rights that they
//! must not have.
//!
//! A privilege on a table is useless to a role that cannot log in, connect to the database or use
//! the table's schema. A role that inserts rows must be able to use the sequence that numbers them.

use super::difference::Difference;
use super::text::TABLES;
use crate::data::database::{Database, Query, query};
use crate::data::error::DataError;

pub(super) const ROLES: [&str; 4] = ["migadmin", "migscheduler", "migapi", "migreadonly"];
/// The role that evaluates targets.
pub(in crate::data) const TARGET_ROLE: &str = "migreadonly";

/// The role that owns all tables.
const OWNER: &str = "migadmin";
/// The roles that insert rows into a table numbered by a sequence.
const WRITERS: [&str; 2] = ["migscheduler", "migapi"];
/// The table whose schema is taken for that of all tables.
const TABLE: &str = "agents";
/// The privileges that the role that evaluates targets must not have.
const WRITES: [&str; 4] = ["insert", "update", "delete", "truncate"];
/// Roles, and the columns that they must not be able to read. Missing columns are ignored.
const SECRETS: [(&str, &str, &str); 6] = [
    ("migapi", "investigators", "privatekey"),
    (TARGET_ROLE, "investigators", "privatekey"),
    (TARGET_ROLE, "investigators", "apikey"),
    (TARGET_ROLE, "investigators", "apisalt"),
    (TARGET_ROLE, "loaders", "loaderkey"),
    (TARGET_ROLE, "loaders", "salt"),
];

/// Returns the server's yes or no, or `None` if the role or object in question does not exist.
pub(super) fn answer(
    database: &mut dyn Database,
    query: &Query,
    names: &[&str],
) -> Result<Option<bool>, DataError> {
    let values: Vec<_> = names.iter().map(|name| (*name).into()).collect();
    let row = database.rows(query, &values)?.into_iter().next();
    row.map(|mut row| Ok(row.number()? != 0)).transpose()
}

/// Returns the roles that can read a secret that they must not read.
pub(super) fn secrets(database: &mut dyn Database) -> Result<Vec<Difference>, DataError> {
    let mut differences = Vec::new();
    for (role, table, column) in SECRETS {
        let values = [role, table, column, "select"];
        if answer(database, &query!("role_column_privilege"), &values)? == Some(true) {
            let object = format!("{table}.{column}");
            differences.push(Difference::Secret { role: role.to_owned(), object });
        }
    }
    Ok(differences)
}

/// Returns the rights that the roles lack or must not have, and the tables with another owner than
/// the platform's role.
pub(super) fn differences(database: &mut dyn Database) -> Result<Vec<Difference>, DataError> {
    let mut differences = Vec::new();
    let lacks = |role: &str, what: String| Difference::Lacks { role: role.to_owned(), what };
    for role in ROLES {
        let values = [role.into(), TABLE.into()];
        for mut row in database.rows(&query!("role_schema_and_login"), &values)? {
            let (schema, may_use) = (row.text()?, row.number()? != 0);
            let (name, may_connect) = (row.text()?, row.number()? != 0);
            let may_log_in = row.number()? != 0;
            if !may_use {
                differences.push(lacks(role, format!("use schema {schema}")));
            }
            if role == TARGET_ROLE {
                if may_log_in {
                    differences.push(excess(role, "log in"));
                }
                continue;
            }
            if !may_connect {
                differences.push(lacks(role, format!("connect to database {name}")));
            }
            if !may_log_in {
                differences.push(lacks(role, "log in".to_owned()));
            }
        }
    }
    for role in WRITERS {
        let values = [role.into(), "investigators".into()];
        for mut row in database.rows(&query!("role_sequence_usage"), &values)? {
            let (sequence, may_use) = (row.text()?, row.number()? != 0);
            if !may_use {
                differences.push(lacks(role, format!("use sequence {sequence}")));
            }
        }
    }
    for table in TABLES {
        for right in WRITES {
            let values = [TARGET_ROLE, table, right];
            if answer(database, &query!("role_table_privilege"), &values)? == Some(true) {
                differences.push(excess(TARGET_ROLE, &format!("{right} on {table}")));
            }
        }
        let values = [OWNER.into(), table.into()];
        for mut row in database.rows(&query!("other_owner"), &values)? {
            let (table, owner) = (table.to_owned(), row.text()?);
            differences.push(Difference::Owner { table, owner, expected: OWNER });
        }
    }
    Ok(differences)
}

fn excess(role: &str, what: &str) -> Difference {
    Difference::Excess { role: role.to_owned(), what: what.to_owned() }
}
