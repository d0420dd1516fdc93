//! The tables in an SQLite file.
//!
//! **Invariant.** A commit that has returned is on the disk: write-ahead log with
//! `synchronous = FULL`. The file is private to its owner; SQLite gives its log
//! and index the permissions of the file itself.

mod look;

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, ToSql, TransactionBehavior, ffi, types::ToSqlOutput};

use super::database::{Access, Database, Dialect, Query, Value, query};
use super::schema::{self, Schema};
use super::{DataError, Row};
use crate::disk::Disk;

/// How long another connection may hold the file before a statement gives up.
const BUSY_SPAN: Duration = Duration::from_secs(10);
/// The version of the tables that this program makes, kept in the file's header.
const VERSION: i64 = 2;
/// How a time is written: sorts as text, and is what PostgreSQL reads too.
const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%S.%6fZ";

/// A connection to an SQLite file.
#[derive(Debug)]
pub(super) struct Sqlite {
    connection: Connection,
    /// Whether writing is forbidden until the transaction ends.
    is_reading: bool,
}

impl Sqlite {
    /// Opens the file at `path`, which exists, and makes the tables that it lacks.
    pub(super) fn open(path: &Path) -> Result<Sqlite, DataError> {
        let fail = |source| cannot_open(path, source);
        let mut connection = Connection::open(path).map_err(fail)?;
        connection.busy_timeout(BUSY_SPAN).map_err(fail)?;
        for (name, value) in [
            ("journal_mode", "wal"),
            ("synchronous", "full"),
            // What refers to a table goes by its name while tables are made again.
            ("foreign_keys", "off"),
            ("legacy_alter_table", "on"),
        ] {
            connection.pragma_update(None, name, value).map_err(fail)?;
        }
        check_version(&connection, path)?;
        make_tables(&mut connection).map_err(fail)?;
        connection.pragma_update(None, "foreign_keys", "on").map_err(fail)?;
        Ok(Sqlite { connection, is_reading: false })
    }

    /// Opens the file at `path`, which exists, for reading only: it stays as it is.
    pub(super) fn look(disk: &Disk, path: &Path) -> Result<Sqlite, DataError> {
        look::open(disk, path)
    }

    /// Permits writing again after a transaction that could only read.
    fn permit(&mut self) -> Result<(), DataError> {
        if self.is_reading {
            self.simple("pragma query_only = off")?;
            self.is_reading = false;
        }
        Ok(())
    }

    fn simple(&self, statement: &'static str) -> Result<(), DataError> {
        self.connection.execute_batch(statement).map_err(|error| failed(statement, error))
    }
}

/// Makes the tables that are missing, or that an earlier version made differently.
fn make_tables(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables = schema::for_sqlite();
    match version {
        1 => {
            let mend = query!("mend_investigators").text.replace("{tables}", &tables);
            transaction.execute_batch(&mend)?;
        }
        _ => transaction.execute_batch(&tables)?,
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Returns the failure to open a file.
fn cannot_open(path: &Path, source: rusqlite::Error) -> DataError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => DataError::Locked { path },
        _ => DataError::Open { path, source: Box::new(source) },
    }
}

/// Refuses a file that a later version of this program made.
fn check_version(connection: &Connection, path: &Path) -> Result<(), DataError> {
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|source| cannot_open(path, source))?;
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
            Value::Garbled(bytes) => ToSqlOutput::Borrowed(ValueRef::Text(bytes)),
            // The column that it is compared with makes a number of it again.
            Value::Other(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
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
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Garbled(text.to_owned()),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_owned()),
        // None of our columns should hold one. The largest are written so that they can be read back.
        ValueRef::Real(f64::INFINITY) => Value::Other("9e999".to_owned()),
        ValueRef::Real(f64::NEG_INFINITY) => Value::Other("-9e999".to_owned()),
        ValueRef::Real(real) => Value::Other(real.to_string()),
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
        let mut statement = self.connection.prepare_cached(&native(query)).map_err(fail)?;
        let changed = statement.execute(rusqlite::params_from_iter(values)).map_err(fail)?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    fn rows(&mut self, query: &Query, values: &[Value]) -> Result<Vec<Row>, DataError> {
        let fail = |error| failed(query.name, error);
        let mut statement = self.connection.prepare_cached(&native(query)).map_err(fail)?;
        let columns = statement.column_count();
        let mut found = statement.query(rusqlite::params_from_iter(values)).map_err(fail)?;
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(fail)? {
            let values: Result<Vec<Value>, _> =
                (0..columns).map(|column| row.get_ref(column).map(read)).collect();
            rows.push(Row::new(query.name, values.map_err(fail)?));
        }
        Ok(rows)
    }

    fn batch(&mut self, name: &'static str, text: &str) -> Result<(), DataError> {
        self.connection.execute_batch(text).map_err(|error| failed(name, error))
    }

    fn begin(&mut self, access: Access) -> Result<(), DataError> {
        if !self.connection.is_autocommit() {
            self.rollback()?;
        }
        match access {
            // Taken at once, so that a transaction never fails for a lock in the middle.
            Access::Write => self.simple("begin immediate"),
            Access::Read | Access::ReadAsTarget => {
                self.simple("begin")?;
                self.is_reading = true;
                self.simple("pragma query_only = on")
            }
        }
    }

    fn commit(&mut self) -> Result<(), DataError> {
        self.simple("commit")?;
        self.permit()
    }

    fn rollback(&mut self) -> Result<(), DataError> {
        // SQLite has ended the transaction itself if the disk is full or fails.
        let ended = match self.connection.is_autocommit() {
            true => Ok(()),
            false => self.simple("rollback"),
        };
        // Whatever became of it, the next one may write.
        let permitted = self.permit();
        ended.and(permitted)
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            like: "like",
            found,
            heard: HEARD,
            unheard: "({heard} is not true)",
            family: "case when json_valid(actions.threat) then actions.threat end ->> 'family'",
            tables: schema::for_sqlite,
            has_roles: false,
        }
    }

    fn schema(&mut self) -> Result<Schema, DataError> {
        let rows = self.rows(&query!("catalogue_texts"), &[])?;
        let texts: Result<Vec<String>, _> = rows.into_iter().map(|mut row| row.text()).collect();
        Ok(Schema::parse(&texts?.join("\n")))
    }
}

/// The form of a time in the file, and that there is such a day.
const HEARD: &str = "(typeof(heartbeattime) = 'text' and heartbeattime >= '0001' and heartbeattime glob '*Z' \
    and substr(heartbeattime, 11, 1) = 'T' and date(heartbeattime) = substr(heartbeattime, 1, 10))";

fn found(flag: bool) -> &'static str {
    match flag {
        true => {
            "exists (select 1 from json_each(case when json_valid(commands.results) then commands.results end) as result
                     where json_extract(result.value, '$.foundanything') = 1)"
        }
        false => {
            "exists (select 1 from json_each(case when json_valid(commands.results) then commands.results end) as result
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
    fn a_file_of_the_first_version_is_mended_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mig.db");
        let old = Sqlite::open(&path).unwrap().connection;
        old.execute_batch(
            "pragma foreign_keys = off;
             pragma legacy_alter_table = on;
             drop table investigators;
             create table investigators (
                 id numeric not null primary key, name varchar(1024) not null, pgpfingerprint varchar(128) unique,
                 publickey bytea, privatekey bytea, status varchar(255) not null, createdat timestamptz not null,
                 lastmodified timestamptz not null, permissions bigint not null default 0, apikey bytea, apisalt bytea);
             insert into investigators (id, name, status, createdat, lastmodified) values (7, 'bob', 'active', '', '');
             insert into actions (id, name, target, validfrom, expireafter, pgpsignatures) values (1, '', '', '', '', '');
             insert into signatures values (1, 7, 's');
             pragma user_version = 1;",
        )
        .unwrap();
        drop(old);
        let mended = Sqlite::open(&path).unwrap().connection;
        mended
            .execute("insert into investigators (name, pgpfingerprint) values ('eve', 'E6')", [])
            .unwrap();
        let text = "select group_concat(id || name || status) from investigators order by id";
        let all: String = mended.query_row(text, [], |row| row.get(0)).unwrap();
        assert_eq!(all, "7bobactive,8eveactive");
        mended.execute("insert into signatures values (1, 8, 's')", []).unwrap();
        assert!(mended.execute("insert into signatures values (1, 9, 's')", []).is_err());
        assert!(mended.execute("delete from investigators where id = 7", []).is_err());
    }

    #[test]
    fn a_file_of_a_later_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mig.db");
        Sqlite::open(&path).unwrap().connection.pragma_update(None, "user_version", 3).unwrap();
        let error = Sqlite::open(&path).unwrap_err();
        assert!(matches!(error, DataError::Version { version: 3, .. }), "{error}");
    }
}
