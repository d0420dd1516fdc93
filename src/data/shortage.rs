//! Distinguishes a temporary shortage of the database from a statement that can never succeed.

use std::error::Error;

use rusqlite::ErrorCode;

use super::DataError;
use crate::disk::transient::Shortage;

impl DataError {
    /// Returns whether the same statement may succeed later, for example because the disk is full,
    /// the file is locked, or the server cannot be reached. Such an error does not mean that the
    /// request was invalid.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            DataError::File { .. }
            | DataError::Connect { .. }
            | DataError::Lost { .. }
            | DataError::Locked { .. }
            | DataError::Random { .. } => true,
            DataError::Open { source, .. }
            | DataError::Role { source, .. }
            | DataError::Query { source, .. } => is_shortage(source.as_ref()),
            DataError::NotFile { .. }
            | DataError::Permissions { .. }
            | DataError::Foreign { .. }
            | DataError::PasswordFile { .. }
            | DataError::Distrusted { .. }
            | DataError::Unmerged { .. }
            | DataError::Schema { .. }
            | DataError::Passwords { .. }
            | DataError::Version { .. }
            | DataError::Duplicate { .. }
            | DataError::Column { .. } => false,
        }
    }
}

/// Returns the resource that SQLite lacked, if `error` is SQLite's and reports a shortage.
pub(crate) fn shortage(error: &(dyn Error + 'static)) -> Option<Shortage> {
    if let Some(DataError::Locked { .. }) = error.downcast_ref() {
        return Some(Shortage::Busy);
    }
    let failure = error.downcast_ref::<rusqlite::Error>()?.sqlite_error()?;
    match failure.code {
        _ if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_NOMEM => Some(Shortage::System),
        ErrorCode::DiskFull | ErrorCode::SystemIoFailure => Some(Shortage::Disk),
        ErrorCode::OutOfMemory => Some(Shortage::System),
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => Some(Shortage::Busy),
        _ => None,
    }
}

fn is_shortage(error: &(dyn Error + 'static)) -> bool {
    match error.downcast_ref::<rusqlite::Error>() {
        Some(error) => error.sqlite_error_code().is_some_and(depends_on_host),
        None => super::postgres::is_temporary(error),
    }
}

/// Returns whether this code of SQLite is about the state of the host and not about the statement.
fn depends_on_host(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::DiskFull
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::OperationInterrupted
            | ErrorCode::OperationAborted
            | ErrorCode::FileLockingProtocolFailed
    )
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn query(code: i32) -> DataError {
        let source = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        DataError::Query { query: "insert_action", source: Box::new(source) }
    }

    #[test]
    fn temporary_errors_are_distinguished_by_code() {
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_NOMEM,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_PERM,
        ] {
            assert!(query(code).is_temporary(), "{code}");
        }
        for code in [ffi::SQLITE_ERROR, ffi::SQLITE_CONSTRAINT, ffi::SQLITE_TOOBIG] {
            assert!(!query(code).is_temporary(), "{code}");
        }
        assert!(!DataError::Duplicate { query: "insert_action" }.is_temporary());
    }

    #[test]
    fn file_locked_by_another_connection_is_a_shortage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mig.db");
        let holder = rusqlite::Connection::open(&path).unwrap();
        holder.execute_batch("create table t (n); begin exclusive").unwrap();
        let other = rusqlite::Connection::open(&path).unwrap();
        other.busy_timeout(std::time::Duration::ZERO).unwrap();
        let source = Box::new(other.execute("insert into t values (1)", []).unwrap_err());
        assert!(DataError::Query { query: "insert", source }.is_temporary());
    }

    #[test]
    fn kind_of_shortage_follows_from_the_code() {
        use Shortage::{Busy, Disk, System};
        for (code, lacks) in [
            (ffi::SQLITE_FULL, Some(Disk)),
            (ffi::SQLITE_IOERR_FSYNC, Some(Disk)),
            (ffi::SQLITE_IOERR_NOMEM, Some(System)),
            (ffi::SQLITE_NOMEM, Some(System)),
            (ffi::SQLITE_BUSY_SNAPSHOT, Some(Busy)),
            (ffi::SQLITE_LOCKED, Some(Busy)),
            (ffi::SQLITE_CONSTRAINT, None),
            (ffi::SQLITE_NOTADB, None),
        ] {
            assert_eq!(query(code).source().and_then(shortage), lacks, "{code}");
        }
    }
}
