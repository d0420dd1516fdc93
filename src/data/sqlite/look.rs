//! Opens an SQLite file for reading only, also where nothing can be written.
//!
//! SQLite reads a database with a write-ahead log by means of an index beside it, a file that
//! SQLite makes if it is missing. In a folder that cannot be written, or on a read-only medium,
//! this fails. If the log has no content, the file itself holds everything, and SQLite reads it
//! without an index when the file is declared immutable.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{BUSY_SPAN, Sqlite, cannot_open, check_version};
use crate::data::DataError;
use crate::disk::Disk;

/// What stands beside a database and has changes that belong into it: the write-ahead log, and the
/// journal of a transaction that was cut off.
const LOGS: [&str; 2] = ["-wal", "-journal"];

/// Opens the file at `path`, which exists.
pub(super) fn open(disk: &Disk, path: &Path) -> Result<Sqlite, DataError> {
    let refused = match attempt(path, Connection::open_with_flags(path, flags())) {
        Ok(opened) => return Ok(opened),
        Err(refused) => refused,
    };
    if !is_for_want_of_writing(&refused) {
        return Err(refused);
    }
    for log in LOGS {
        let log = beside(path, log);
        if disk.find(&log)?.is_some_and(|meta| meta.stamp.size > 0) {
            return Err(DataError::Unmerged { path: path.to_owned(), log });
        }
    }
    let flags = flags() | OpenFlags::SQLITE_OPEN_URI;
    attempt(path, Connection::open_with_flags(immutable(path), flags))
}

fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Makes an opened connection ready. What cannot be read fails here: to open reads nothing.
fn attempt(path: &Path, opened: rusqlite::Result<Connection>) -> Result<Sqlite, DataError> {
    let connection = opened.map_err(|source| cannot_open(path, source))?;
    connection.busy_timeout(BUSY_SPAN).map_err(|source| cannot_open(path, source))?;
    check_version(&connection, path)?;
    Ok(Sqlite { connection, is_reading: false })
}

/// Returns whether the file could not be read because something beside it cannot be written.
fn is_for_want_of_writing(error: &DataError) -> bool {
    let DataError::Open { source, .. } = error else { return false };
    let code = source.downcast_ref().and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Returns the URI of a file that does not change. Every byte that may mean something in a URI is
/// written as its number.
fn immutable(path: &Path) -> String {
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
    fn a_file_that_is_only_looked_at_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mig.db");
        drop(Sqlite::open(&path).unwrap());
        let mut looked = open(&disk(), &path).unwrap();
        assert!(looked.rows(&query!("investigators"), &[]).unwrap().is_empty());
        let error = looked.batch("write", "delete from agents").unwrap_err();
        assert!(matches!(error, DataError::Query { .. }), "{error}");
        let none = folder.path().join("none.db");
        assert!(matches!(open(&disk(), &none), Err(DataError::Open { .. })));
        assert!(!none.exists());
    }

    #[test]
    fn a_file_of_any_name_is_read_as_one_that_nobody_changes() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["mig.db", "a?b#c%20 d&.db", "//x.db"] {
            let path = folder.path().join(name.trim_start_matches('/'));
            drop(Sqlite::open(&path).unwrap());
            let flags = flags() | OpenFlags::SQLITE_OPEN_URI;
            let opened = Connection::open_with_flags(immutable(&path), flags);
            let mut opened = attempt(&path, opened).unwrap();
            assert!(opened.rows(&query!("investigators"), &[]).unwrap().is_empty(), "{name}");
        }
    }
}
