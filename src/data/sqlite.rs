//! The tables in an SQLite file.
//!
//! **Invariant.** A commit that has returned is on the disk: the file uses a write-ahead log with
//! `synchronous = FULL`. The file is private to its owner; SQLite gives its log and its index the
//! permissions of the file.

pub(super) mod read_only;

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, ToSql, TransactionBehavior, ffi, types::ToSqlOutput};

use super::database::{Database, Dialect, Query, TransactionMode, query};
use super::error::DataError;
use super::limited_rows::LimitedRows;
use super::row::Row;
use super::schema::tables::Schema;
use super::schema::text;
use super::value::SqlValue;

/// Maximum time to wait for a lock of another connection.
const BUSY_SPAN: Duration = Duration::from_secs(10);
/// The version of the tables that this program creates, stored in the file's header.
const VERSION: i64 = 2;
/// The format of times, which sort as text and which PostgreSQL can parse too.
const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%S.%6fZ";

/// A connection to an SQLite file.
#[derive(Debug)]
pub(super) struct Sqlite {
    connection: Connection,
    /// Whether the current transaction forbids writing.
    is_read_only: bool,
}

impl Sqlite {
    /// Opens the existing file at `path`, and creates missing tables.
    pub(super) fn open(path: &Path) -> Result<Sqlite, DataError> {
        let fail = |source| cannot_open(path, source);
        let mut connection = Connection::open(path).map_err(fail)?;
        connection.busy_timeout(BUSY_SPAN).map_err(fail)?;
        for (name, value) in [
            ("journal_mode", "wal"),
            ("synchronous", "full"),
            // References must stay bound to the table's name while a table is recreated.
            ("foreign_keys", "off"),
            ("legacy_alter_table", "on"),
        ] {
            connection.pragma_update(None, name, value).map_err(fail)?;
        }
        check_version(&connection, path)?;
        create_tables(&mut connection).map_err(fail)?;
        connection.pragma_update(None, "foreign_keys", "on").map_err(fail)?;
        Ok(Sqlite { connection, is_read_only: false })
    }

    /// Allows writing again after a read-only transaction.
    fn allow_writes(&mut self) -> Result<(), DataError> {
        if self.is_read_only {
            self.simple("pragma query_only = off")?;
            self.is_read_only = false;
        }
        Ok(())
    }

    fn simple(&self, statement: &'static str) -> Result<(), DataError> {
        self.connection.execute_batch(statement).map_err(|error| failed(statement, error))
    }
}

/// Creates missing tables, and migrates those of an earlier version.
fn create_tables(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables = text::for_sqlite();
    match version {
        1 => {
            let migrate = query!("migrate_investigators").text.replace("{tables}", &tables);
            transaction.execute_batch(&migrate)?;
        }
        _ => transaction.execute_batch(&tables)?,
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

fn cannot_open(path: &Path, source: rusqlite::Error) -> DataError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => DataError::Locked { path },
        _ => DataError::Open { path, source: Box::new(source) },
    }
}

/// Rejects a file that a later version of this program created.
fn check_version(connection: &Connection, path: &Path) -> Result<(), DataError> {
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|source| cannot_open(path, source))?;
    match version > VERSION {
        true => Err(DataError::Version { path: path.to_owned(), version }),
        false => Ok(()),
    }
}

impl ToSql for SqlValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            SqlValue::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            SqlValue::Number(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            SqlValue::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            SqlValue::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            SqlValue::Time(time) => ToSqlOutput::Owned(time_text(*time).into()),
            SqlValue::NotUtf8(bytes) => ToSqlOutput::Borrowed(ValueRef::Text(bytes)),
            // The affinity of the compared column converts the text to a number again.
            SqlValue::Other(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// Returns a time in the format of the file.
fn time_text(time: Timestamp) -> String {
    time.strftime(TIME_FORMAT).to_string()
}

fn read(value: ValueRef<'_>) -> SqlValue {
    match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(number) => SqlValue::Number(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => SqlValue::Text(text.to_owned()),
            Err(_) => SqlValue::NotUtf8(text.to_owned()),
        },
        ValueRef::Blob(bytes) => SqlValue::Bytes(bytes.to_owned()),
        // No column should hold a real number. Infinity is written so that SQLite can parse it.
        ValueRef::Real(f64::INFINITY) => SqlValue::Other("9e999".to_owned()),
        ValueRef::Real(f64::NEG_INFINITY) => SqlValue::Other("-9e999".to_owned()),
        ValueRef::Real(real) => SqlValue::Other(real.to_string()),
    }
}

/// Returns the text of a query with SQLite's placeholders: `?1` instead of `$1`.
fn native(query: &Query) -> String {
    let mut text = String::with_capacity(query.text.len());
    let mut rest = query.text.chars().peekable();
    while let Some(c) = rest.next() {
        // A `$` before anything but a digit belongs to a JSON path.
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
    fn run(&mut self, query: &Query, values: &[SqlValue]) -> Result<u64, DataError> {
        let fail = |error| failed(query.name, error);
        let mut statement = self.connection.prepare_cached(&native(query)).map_err(fail)?;
        let changed = statement.execute(rusqlite::params_from_iter(values)).map_err(fail)?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    fn rows_within(
        &mut self,
        query: &Query,
        values: &[SqlValue],
        bytes_max: usize,
    ) -> Result<Vec<Row>, DataError> {
        let fail = |error| failed(query.name, error);
        let mut statement = self.connection.prepare_cached(&native(query)).map_err(fail)?;
        let columns = statement.column_count();
        let mut found = statement.query(rusqlite::params_from_iter(values)).map_err(fail)?;
        let mut rows = LimitedRows::new(bytes_max);
        while !rows.is_full()
            && let Some(row) = found.next().map_err(fail)?
        {
            let values: Result<Vec<SqlValue>, _> =
                (0..columns).map(|column| row.get_ref(column).map(read)).collect();
            rows.push(Row::new(query.name, values.map_err(fail)?));
        }
        Ok(rows.into_rows())
    }

    fn batch(&mut self, name: &'static str, text: &str) -> Result<(), DataError> {
        self.connection.execute_batch(text).map_err(|error| failed(name, error))
    }

    fn begin(&mut self, mode: TransactionMode) -> Result<(), DataError> {
        if !self.connection.is_autocommit() {
            self.rollback()?;
        }
        match mode {
            // Locks at once, so that a transaction never fails at a lock halfway through.
            TransactionMode::Write => self.simple("begin immediate"),
            TransactionMode::Read | TransactionMode::ReadAsTarget => {
                self.simple("begin")?;
                self.is_read_only = true;
                self.simple("pragma query_only = on")
            }
        }
    }

    fn commit(&mut self) -> Result<(), DataError> {
        self.simple("commit")?;
        self.allow_writes()
    }

    fn rollback(&mut self) -> Result<(), DataError> {
        // SQLite itself rolls back a transaction when the disk is full or fails.
        let ended = match self.connection.is_autocommit() {
            true => Ok(()),
            false => self.simple("rollback"),
        };
        // Even if the rollback failed, the next transaction may write.
        let allowed = self.allow_writes();
        ended.and(allowed)
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            like: "like",
            found_anything,
            readable_heartbeat: READABLE_HEARTBEAT,
            unreadable_heartbeat: "({readable} is not true)",
            threat_family: "case when json_valid(actions.threat) then actions.threat end ->> 'family'",
            create_tables: text::for_sqlite,
            has_roles: false,
        }
    }

    fn schema(&mut self) -> Result<Schema, DataError> {
        let rows = self.rows(&query!("catalogue_texts"), &[])?;
        let texts: Result<Vec<String>, _> = rows.into_iter().map(|mut row| row.text()).collect();
        Ok(Schema::parse(&texts?.join("\n")))
    }
}

/// True if the heartbeat has the format of a time and its date exists.
const READABLE_HEARTBEAT: &str = "(typeof(heartbeattime) = 'text' and heartbeattime >= '0001' and heartbeattime glob '*Z' \
    and substr(heartbeattime, 11, 1) = 'T' and date(heartbeattime) = substr(heartbeattime, 1, 10))";

fn found_anything(flag: bool) -> &'static str {
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
    fn times_sort_as_text() {
        let texts = ["0001-01-01T00:00:00Z", "0009-01-11T11:11:11Z", "2026-11-22T00:59:27.656479Z"];
        let written: Vec<_> = texts.iter().map(|text| time_text(text.parse().unwrap())).collect();
        assert_eq!(written[0], "0001-01-01T00:00:00.000000Z");
        assert_eq!(written[2], "2026-11-22T00:59:27.656479Z");
        assert!(written.is_sorted());
    }

    #[test]
    fn file_of_version_1_is_migrated_without_loss() {
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
        let migrated = Sqlite::open(&path).unwrap().connection;
        migrated
            .execute("insert into investigators (name, pgpfingerprint) values ('eve', 'E6')", [])
            .unwrap();
        let text = "select group_concat(id || name || status) from investigators order by id";
        let all: String = migrated.query_row(text, [], |row| row.get(0)).unwrap();
        assert_eq!(all, "7bobactive,8eveactive");
        migrated.execute("insert into signatures values (1, 8, 's')", []).unwrap();
        assert!(migrated.execute("insert into signatures values (1, 9, 's')", []).is_err());
        assert!(migrated.execute("delete from investigators where id = 7", []).is_err());
    }

    #[test]
    fn file_of_a_later_version_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mig.db");
        Sqlite::open(&path).unwrap().connection.pragma_update(None, "user_version", 3).unwrap();
        let error = Sqlite::open(&path).unwrap_err();
        assert!(matches!(error, DataError::Version { version: 3, .. }), "{error}");
    }
}
