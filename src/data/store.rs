//! The handle to a database, and its transactions.
//!
//! The methods for each table are in that table's file. All of them go through the few
//! functions here, so that no caller holds a connection or leaves a transaction open.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::database::{Database, Query, TransactionMode, query};
use super::error::DataError;
use super::id::Id;
use super::pages::FetchedPage;
use super::password;
use super::postgres::Postgres;
use super::row::Row;
use super::server::DatabaseServer;
use super::sqlite::{Sqlite, read_only};
use super::value::SqlValue;
use crate::disk::{Disk, FileKind, input_file, trust};

/// Size limit of a file of certificates, in bytes.
const CERTIFICATES_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Store(Mutex<Box<dyn Database>>);

impl Store {
    /// Opens the SQLite file at `path`. A missing file is created, private to its owner.
    pub(crate) fn open(disk: &Disk, path: &Path) -> Result<Store, DataError> {
        let file = match private_file(disk, path)? {
            None => {
                disk.create(path, b"")?;
                path.to_owned()
            }
            Some(file) => file,
        };
        Ok(Store(Mutex::new(Box::new(Sqlite::open(&file)?))))
    }

    /// Opens the existing SQLite file at `path` for reading only, without changing it.
    pub(crate) fn open_read_only(disk: &Disk, path: &Path) -> Result<Store, DataError> {
        let file = private_file(disk, path)?.unwrap_or_else(|| path.to_owned());
        Ok(Store(Mutex::new(Box::new(read_only::open(disk, &file)?))))
    }

    /// Fails if the existing file at `path` can be read and is not a database of MIG.
    pub(crate) fn check_file(disk: &Disk, path: &Path) -> Result<(), DataError> {
        match disk.reader(path).is_ok() && !read_only::is_mig_database(disk, path) {
            true => Err(DataError::Foreign { path: path.to_owned() }),
            false => Ok(()),
        }
    }

    /// Connects to the tables on a server. Missing tables are not created: see
    /// [`Store::init_schema`].
    pub(crate) fn connect(disk: &Disk, server: &DatabaseServer) -> Result<Store, DataError> {
        let certificates = match &server.sslrootcert {
            Some(path) => Some(disk.read_input(path, CERTIFICATES_BYTES_MAX)?.bytes),
            None => None,
        };
        Ok(Store(Mutex::new(Box::new(Postgres::open(server, certificates)?))))
    }

    /// Makes a connection to a server read-only. A file opened by [`Store::open_read_only`] is
    /// read-only already.
    pub(crate) fn forbid_writes(&self) -> Result<(), DataError> {
        let mut database = self.database();
        match database.dialect().has_roles {
            true => database.batch("read only", "set default_transaction_read_only = on"),
            false => Ok(()),
        }
    }

    /// Returns the highest id of all actions, commands and agents.
    pub(crate) fn highest_id(&self) -> Result<Id, DataError> {
        let rows = self.rows(&query!("highest_id"), &[])?;
        rows.into_iter().next().map_or(Ok(Id::new(0)), |mut row| row.id())
    }

    pub(super) fn database(&self) -> MutexGuard<'_, Box<dyn Database>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a statement; returns the number of rows that it changed.
    pub(super) fn run(&self, query: &Query, values: &[SqlValue]) -> Result<u64, DataError> {
        self.database().run(query, values)
    }

    pub(super) fn rows(&self, query: &Query, values: &[SqlValue]) -> Result<Vec<Row>, DataError> {
        self.database().rows(query, values)
    }

    /// Returns all rows of a query, each converted by `read`.
    pub(super) fn all<T>(
        &self,
        query: &Query,
        values: &[SqlValue],
        read: fn(Row) -> T,
    ) -> Result<Vec<T>, DataError> {
        Ok(self.rows(query, values)?.into_iter().map(read).collect())
    }

    /// Returns one page of a query, each row converted by `read`. The next page begins after the
    /// values in the columns `key` of the last row.
    pub(super) fn page<T>(
        &self,
        query: &Query,
        values: &[SqlValue],
        limit: i64,
        key: &[usize],
        read: fn(Row) -> T,
    ) -> Result<FetchedPage<T>, DataError> {
        Ok(FetchedPage::new(self.rows(query, values)?, limit, key, read))
    }

    /// Returns the first row of a query, converted by `read`.
    pub(super) fn one<T>(
        &self,
        query: &Query,
        values: &[SqlValue],
        read: fn(Row) -> T,
    ) -> Result<Option<T>, DataError> {
        Ok(self.rows(query, values)?.into_iter().next().map(read))
    }

    /// Runs `work` in a transaction: if it fails, nothing is changed.
    pub(super) fn transaction<T>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        self.transact(TransactionMode::Write, work)
    }

    /// Runs `work` in a transaction that cannot write and that sees no concurrent change.
    pub(super) fn read_transaction<T>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        self.transact(TransactionMode::Read, work)
    }

    /// Runs `work`, which evaluates a condition written by an investigator, in a transaction that
    /// can neither write nor read secrets: on a database with roles, as `migreadonly`.
    pub(super) fn target_transaction<T>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        self.transact(TransactionMode::ReadAsTarget, work)
    }

    fn transact<T>(
        &self,
        mode: TransactionMode,
        work: impl FnOnce(&mut dyn Database) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        let mut database = self.database();
        let done = database
            .begin(mode)
            .and_then(|()| work(database.as_mut()))
            .and_then(|value| database.commit().map(|()| value));
        if done.is_err() {
            // Only the first error is reported. If the rollback fails too, the next transaction
            // rolls back again and reports the failure.
            database.rollback().ok();
        }
        done
    }
}

/// Returns the path of an existing database file, with symbolic links resolved.
///
/// # Errors
/// The path is not a regular file, other users may read or write it, or other users can replace a
/// symbolic link on the path.
fn private_file(disk: &Disk, path: &Path) -> Result<Option<PathBuf>, DataError> {
    if input_file::is_stream(path) {
        return Err(DataError::NotFile { path: path.to_owned() });
    }
    let Some(found) = disk.resolve(path, None)? else {
        return check_folder(disk, path).map(|()| None);
    };
    let file = if found.is_linked() { &found.path } else { path };
    if found.meta.kind != FileKind::File {
        return Err(DataError::NotFile { path: file.to_owned() });
    }
    if found.meta.mode & 0o077 != 0 {
        let path = file.to_owned();
        return Err(match read_only::is_mig_database(disk, file) {
            true => DataError::Permissions { path },
            false => DataError::Foreign { path },
        });
    }
    check_folder(disk, file)?;
    let own = trust::check(file, &found.meta, trust::own_user());
    own.map_err(|fault| DataError::Distrusted { fault: fault.without_chown() })?;
    if found.is_linked()
        && let Some(fault) =
            found.check_trust(disk, password::trusted_owner(found.meta.owner))?.into_iter().next()
    {
        return Err(DataError::Distrusted { fault });
    }
    Ok(Some(file.to_owned()))
}

/// Checks that no other user can create files in the folder of a database file: SQLite reads its
/// journals there. So the folder may not be sticky either.
fn check_folder(disk: &Disk, file: &Path) -> Result<(), DataError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Some(found) = disk.resolve(folder.unwrap_or(Path::new(".")), None)? else { return Ok(()) };
    let checked = trust::check(&found.path, &found.meta, trust::own_user());
    checked.map_err(|fault| DataError::Distrusted { fault: fault.without_chown() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;
    use std::sync::Arc;

    use super::*;
    use crate::disk::{COMMAND_PREFIX, RealFs};
    use crate::testing::{is_root, private_folder};

    #[test]
    fn file_of_another_user_is_not_opened_as_root() {
        if !is_root("it changes owners") {
            return;
        }
        let folder = private_folder();
        let path = folder.path().join("mig.db");
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), COMMAND_PREFIX);
        drop(Store::open(&disk, &path).unwrap());
        chown(&path, Some(65534), Some(65534)).unwrap();
        for opened in [Store::open(&disk, &path), Store::open_read_only(&disk, &path)] {
            assert!(matches!(opened, Err(DataError::Distrusted { .. })), "{opened:?}");
        }
    }
}
