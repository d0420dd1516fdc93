//! The text of `schema.sql`, and its parts for each database.

/// The whole of `schema.sql`, in PostgreSQL's SQL. `psql` can run it.
pub(crate) const TEXT: &str = include_str!("../schema.sql");
/// The tables that are compared.
pub(super) const TABLES: [&str; 6] =
    ["actions", "agents", "agents_stats", "commands", "investigators", "signatures"];
/// The beginning of the part about roles.
const ROLES: &str = "-- Roles.";
/// SQLite's expression for `now()`.
const SQLITE_NOW: &str = "(strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))";
/// SQLite's declaration of an id that counts up.
const SQLITE_COUNTED_ID: &str = "    id integer not null primary key,";

/// Returns the statements that create the tables in PostgreSQL.
pub(in crate::data) fn for_postgres() -> String {
    TEXT.split_once(ROLES).map_or(TEXT, |(tables, _)| tables).to_owned()
}

/// Returns the statements that create the roles and grant their privileges.
pub(super) fn roles() -> &'static str {
    TEXT.split_once(ROLES).map_or("", |(_, roles)| roles)
}

/// Returns the statements that create the tables in SQLite.
pub(in crate::data) fn for_sqlite() -> String {
    let tables = for_postgres();
    let lines = tables.lines().filter(|line| !line.starts_with("create sequence")).map(|line| {
        match line.contains("nextval(") {
            true => SQLITE_COUNTED_ID.to_owned(),
            false => line.replace("now()", SQLITE_NOW),
        }
    });
    lines.flat_map(|line| [line, "\n".to_owned()]).collect()
}
