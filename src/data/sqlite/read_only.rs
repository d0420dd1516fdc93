//! Opens an SQLite file for reading only, even in a folder or on a medium that cannot be written.
//!
//! To read a database with a write-ahead log, SQLite needs an index file beside it, and creates a
//! missing one. This fails in a folder that cannot be written or on a read-only medium. If the log
//! is empty, the database file contains everything, and SQLite reads it without an index if the
//! file is declared immutable.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{BUSY_SPAN, Sqlite, cannot_open, check_version};
use crate::data::error::DataError;
use crate::disk::Disk;

/// The suffixes of files with changes that are not in the database yet: the write-ahead log, and
/// the journal of an interrupted transaction.
const LOGS: [&str; 2] = ["-wal", "-journal"];

/// The first bytes of an SQLite file.
const MAGIC: [u8; 16] = *b"SQLite format 3\0";
/// Counts the tables that every database of MIG has.
const TABLES: &str = "select count(*) from sqlite_master where type = 'table' \
                      and name in ('actions', 'agents', 'commands', 'investigators')";
const TABLE_COUNT: i64 = 4;

/// Opens the existing file at `path` without changing it.
pub(in crate::data) fn open(disk: &Disk, path: &Path) -> Result<Sqlite, DataError> {
    let error = match ready(path, Connection::open_with_flags(path, flags())) {
        Ok(opened) => return Ok(opened),
        Err(error) => error,
    };
    if !is_write_failure(&error) {
        return Err(error);
    }
    for log in LOGS {
        let log = beside(path, log);
        if disk.find(&log)?.is_some_and(|meta| meta.stamp.size > 0) {
            return Err(DataError::Unmerged { path: path.to_owned(), log });
        }
    }
    let flags = flags() | OpenFlags::SQLITE_OPEN_URI;
    ready(path, Connection::open_with_flags(immutable_uri(path), flags))
}

/// Returns whether an existing file is certainly a database of MIG: a message must not advise to
/// change any other file. The file is read without its log, and nothing is created beside it.
pub(in crate::data) fn is_mig_database(disk: &Disk, path: &Path) -> bool {
    let mut header = [0; MAGIC.len()];
    let is_sqlite = disk.reader(path).is_ok_and(|mut file| file.read_exact(&mut header).is_ok());
    if !is_sqlite || header != MAGIC {
        return false;
    }
    let flags = flags() | OpenFlags::SQLITE_OPEN_URI;
    let count = Connection::open_with_flags(immutable_uri(path), flags)
        .and_then(|connection| connection.query_row(TABLES, [], |row| row.get::<_, i64>(0)));
    count.is_ok_and(|count| count == TABLE_COUNT)
}

fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Prepares an opened connection. An unreadable file fails here, because opening reads nothing.
fn ready(path: &Path, opened: rusqlite::Result<Connection>) -> Result<Sqlite, DataError> {
    let connection = opened.map_err(|source| cannot_open(path, source))?;
    connection.busy_timeout(BUSY_SPAN).map_err(|source| cannot_open(path, source))?;
    check_version(&connection, path)?;
    Ok(Sqlite { connection, is_read_only: false })
}

/// Returns whether the file could not be read because a file beside it cannot be written.
fn is_write_failure(error: &DataError) -> bool {
    let DataError::Open { source, .. } = error else { return false };
    let code = source.downcast_ref().and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Returns the URI that opens a file as immutable. All bytes but letters and digits are
/// percent-encoded, since they may have a meaning in a URI.
fn immutable_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::database::{Database, query};
    use crate::disk::{COMMAND_PREFIX, RealFs};

    fn disk() -> Disk {
        Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX)
    }

    #[test]
    fn file_opened_read_only_stays_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mig.db");
        drop(Sqlite::open(&path).unwrap());
        let mut opened = open(&disk(), &path).unwrap();
        assert!(opened.rows(&query!("investigators"), &[]).unwrap().is_empty());
        let error = opened.batch("write", "delete from agents").unwrap_err();
        assert!(matches!(error, DataError::Query { .. }), "{error}");
        let none = folder.path().join("none.db");
        assert!(matches!(open(&disk(), &none), Err(DataError::Open { .. })));
        assert!(!none.exists());
    }

    #[test]
    fn file_of_any_name_can_be_opened_as_immutable() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["mig.db", "a?b#c%20 d&.db", "//x.db"] {
            let path = folder.path().join(name.trim_start_matches('/'));
            drop(Sqlite::open(&path).unwrap());
            let flags = flags() | OpenFlags::SQLITE_OPEN_URI;
            let opened = Connection::open_with_flags(immutable_uri(&path), flags);
            let mut opened = ready(&path, opened).unwrap();
            assert!(opened.rows(&query!("investigators"), &[]).unwrap().is_empty(), "{name}");
        }
    }
}
