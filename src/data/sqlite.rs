//! The tables in an SQLite file.
//!
//! **Invariant.** A commit that has returned is on the disk: write-ahead log with
//! `synchronous = FULL`. The file is private to its owner; SQLite gives its log
//! and index the permissions of the file itself.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, ffi, types::ToSqlOutput};

use super::DataError;
use super::database::{Access, Database, Dialect, Query, Row, Value, query};
use super::schema::{self, Schema};

/// How long another connection may hold the file before a statement gives up.
const BUSY_SPAN: Duration = Duration::from_secs(10);
/// The version of the tables that this program makes, kept in the file's header.
const VERSION: i64 = 1;
/// How a time is written: sorts as text, and is what PostgreSQL reads too.
const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%S.%6fZ";

/// A connection to an SQLite file.
#[derive(Debug)]
pub(super) struct Sqlite(Connection);

impl Sqlite {
    /// Opens the file at `path`, which exists, and makes the tables that it lacks.
    pub(super) fn open(path: &Path) -> Result<Sqlite, DataError> {
        let fail = |source| DataError::Open { path: path.to_owned(), source: Box::new(source) };
        let connection = Connection::open(path).map_err(fail)?;
        connection.busy_timeout(BUSY_SPAN).map_err(fail)?;
        for (name, value) in
            [("journal_mode", "wal"), ("synchronous", "full"), ("foreign_keys", "on")]
        {
            connection.pragma_update(None, name, value).map_err(fail)?;
        }
        check_version(&connection, path)?;
        connection.execute_batch(&schema::for_sqlite()).map_err(fail)?;
        connection.pragma_update(None, "user_version", VERSION).map_err(fail)?;
        Ok(Sqlite(connection))
    }

    /// Opens the file at `path`, which exists, for reading only: it stays as it is.
    pub(super) fn look(path: &Path) -> Result<Sqlite, DataError> {
        let fail = |source| DataError::Open { path: path.to_owned(), source: Box::new(source) };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(fail)?;
        connection.busy_timeout(BUSY_SPAN).map_err(fail)?;
        check_version(&connection, path)?;
        Ok(Sqlite(connection))
    }

    fn simple(&self, statement: &'static str) -> Result<(), DataError> {
        self.0.execute_batch(statement).map_err(|error| failed(statement, error))
    }
}

/// Refuses a file that a later version of this program made.
fn check_version(connection: &Connection, path: &Path) -> Result<(), DataError> {
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|source| DataError::Open { path: path.to_owned(), source: Box::new(source) })?;
    match version > VERSION {
        true => Err(DataError::Version { path: path.to_owned(), version }),
        false => Ok(()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Number(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Time(time) => ToSqlOutput::Owned(written(*time).into()),
        })
    }
}

/// Returns a time as it stands in the file.
fn written(time: Timestamp) -> String {
    time.strftime(TIME_FORMAT).to_string()
}

/// Returns a value as it was found in the file.
fn read(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Number(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_owned()),
        // No column holds one; as text it is refused where a number is wanted.
        ValueRef::Real(real) => Value::Text(real.to_string()),
    }
}

/// Returns the text of a query as SQLite takes it: `?1` where it says `$1`.
fn native(query: &Query) -> String {
    let mut text = String::with_capacity(query.text.len());
    let mut rest = query.text.chars().peekable();
    while let Some(c) = rest.next() {
        // A `$` before anything else belongs to a path in JSON.
        let number = c == '$' && rest.peek().is_some_and(char::is_ascii_digit);
        text.push(if number { '?' } else { c });
    }
    text
}

fn failed(query: &'static str, error: rusqlite::Error) -> DataError {
    match &error {
        rusqlite::Error::SqliteFailure(
            ffi::Error { code: ErrorCode::ConstraintViolation, extended_code },
            _,
        ) if matches!(
            *extended_code,
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        ) =>
        {
            DataError::Duplicate { query }
        }
        _ => DataError::Query { query, source: Box::new(error) },
    }
}

impl Database for Sqlite {
    fn run(&mut self, query: &Query, values: &[Value]) -> Result<u64, DataError> {
        let fail = |error| failed(query.name, error);
        let mut statement = self.0.prepare_cached(&native(query)).map_err(fail)?;
        let changed = statement.execute(rusqlite::params_from_iter(values)).map_err(fail)?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    fn visit(
        &mut self,
        query: &Query,
        values: &[Value],
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), DataError> {
        let fail = |error| failed(query.name, error);
        let mut statement = self.0.prepare_cached(&native(query)).map_err(fail)?;
        let columns = statement.column_count();
        let mut found = statement.query(rusqlite::params_from_iter(values)).map_err(fail)?;
        while let Some(row) = found.next().map_err(fail)? {
            let values: Result<Vec<Value>, _> =
                (0..columns).map(|column| row.get_ref(column).map(read)).collect();
            if visit(Row::new(query.name, values.map_err(fail)?)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn batch(&mut self, name: &'static str, text: &str) -> Result<(), DataError> {
        self.0.execute_batch(text).map_err(|error| failed(name, error))
    }

    fn begin(&mut self, access: Access) -> Result<(), DataError> {
        match access {
            // Taken at once, so that a transaction never fails for a lock in the middle.
            Access::Write => self.simple("begin immediate"),
            Access::Read | Access::ReadAsTarget => {
                self.simple("pragma query_only = on")?;
                self.simple("begin")
            }
        }
    }

    fn commit(&mut self) -> Result<(), DataError> {
        self.simple("commit")?;
        self.simple("pragma query_only = off")
    }

    fn rollback(&mut self) -> Result<(), DataError> {
        self.simple("rollback")?;
        self.simple("pragma query_only = off")
    }

    fn dialect(&self) -> Dialect {
        Dialect { like: "like", found, tables: schema::for_sqlite, has_roles: false }
    }

    fn schema(&mut self) -> Result<Schema, DataError> {
        let rows = self.rows(&query!("catalogue_texts"), &[])?;
        let texts: Result<Vec<String>, _> = rows.into_iter().map(|mut row| row.text()).collect();
        Ok(Schema::parse(&texts?.join("\n")))
    }
}

fn found(flag: bool) -> &'static str {
    match flag {
        true => {
            "exists (select 1 from json_each(commands.results) as result
                     where json_extract(result.value, '$.foundanything') = 1)"
        }
        false => {
            "exists (select 1 from json_each(commands.results) as result
                     where json_extract(result.value, '$.foundanything') = 0)"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_so_that_they_sort() {
        let texts = ["0001-01-01T00:00:00Z", "0009-01-11T11:11:11Z", "2026-11-22T00:59:27.656479Z"];
        let written: Vec<_> = texts.iter().map(|text| written(text.parse().unwrap())).collect();
        assert_eq!(written[0], "0001-01-01T00:00:00.000000Z");
        assert_eq!(written[2], "2026-11-22T00:59:27.656479Z");
        assert!(written.is_sorted());
    }

    #[test]
    fn a_file_of_a_later_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mig.db");
        Sqlite::open(&path).unwrap().0.pragma_update(None, "user_version", 2).unwrap();
        let error = Sqlite::open(&path).unwrap_err();
        assert!(matches!(error, DataError::Version { version: 2, .. }), "{error}");
    }
}
