//! What the platform's roles need besides rights on tables, and what they must not have.
//!
//! A right on a table is worth nothing to a role that cannot log in, connect to the
//! database or use the table's schema, and a right to insert nothing to one that cannot draw
//! the number of a new row.

use super::grants::{ROLES, TARGETS, answer};
use super::{DataError, Database, Difference, TABLES};
use crate::data::database::query;

/// The role that owns all tables.
const OWNER: &str = "migadmin";
/// The roles that add rows to a table whose rows a sequence numbers.
const WRITERS: [&str; 2] = ["migscheduler", "migapi"];
/// The table by which the schema of all is found.
const TABLE: &str = "agents";
/// What a role that only evaluates targets must not do.
const WRITES: [&str; 4] = ["insert", "update", "delete", "truncate"];
/// What must be hidden from whom, if it is there.
const SECRETS: [(&str, &str, &str); 6] = [
    ("migapi", "investigators", "privatekey"),
    (TARGETS, "investigators", "privatekey"),
    (TARGETS, "investigators", "apikey"),
    (TARGETS, "investigators", "apisalt"),
    (TARGETS, "loaders", "loaderkey"),
    (TARGETS, "loaders", "salt"),
];

/// Returns which roles may read what must be hidden from them.
pub(super) fn secrets(database: &mut dyn Database) -> Result<Vec<Difference>, DataError> {
    let mut differences = Vec::new();
    for (role, table, column) in SECRETS {
        let values = [role, table, column, "select"];
        if answer(database, &query!("role_may_on_column"), &values)? == Some(true) {
            let object = format!("{table}.{column}");
            differences.push(Difference::Secret { role: role.to_owned(), object });
        }
    }
    Ok(differences)
}

/// Returns what keeps roles from the tables on which they have rights, and who owns tables instead
/// of the platform's role.
pub(super) fn differences(database: &mut dyn Database) -> Result<Vec<Difference>, DataError> {
    let mut differences = Vec::new();
    let lacks = |role: &str, what: String| Difference::Lacks { role: role.to_owned(), what };
    for role in ROLES {
        let values = [role.into(), TABLE.into()];
        for mut row in database.rows(&query!("role_reaches"), &values)? {
            let (schema, may_use) = (row.text()?, row.number()? != 0);
            let (name, may_connect) = (row.text()?, row.number()? != 0);
            let logs_in = row.number()? != 0;
            if !may_use {
                differences.push(lacks(role, format!("use schema {schema}")));
            }
            if role == TARGETS {
                if logs_in {
                    differences.push(excess(role, "log in"));
                }
                continue;
            }
            if !may_connect {
                differences.push(lacks(role, format!("connect to database {name}")));
            }
            if !logs_in {
                differences.push(lacks(role, "log in".to_owned()));
            }
        }
    }
    for role in WRITERS {
        let values = [role.into(), "investigators".into()];
        for mut row in database.rows(&query!("role_uses_sequences"), &values)? {
            let (sequence, may_use) = (row.text()?, row.number()? != 0);
            if !may_use {
                differences.push(lacks(role, format!("use sequence {sequence}")));
            }
        }
    }
    for table in TABLES {
        for right in WRITES {
            if answer(database, &query!("role_may"), &[TARGETS, table, right])? == Some(true) {
                differences.push(excess(TARGETS, &format!("{right} on {table}")));
            }
        }
        let values = [OWNER.into(), table.into()];
        for mut row in database.rows(&query!("strange_owner"), &values)? {
            let (table, owner) = (table.to_owned(), row.text()?);
            differences.push(Difference::Owner { table, owner, expected: OWNER });
        }
    }
    Ok(differences)
}

fn excess(role: &str, what: &str) -> Difference {
    Difference::Excess { role: role.to_owned(), what: what.to_owned() }
}
