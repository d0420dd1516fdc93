//! MIG's data: who may ask, what was asked, who was asked, what was answered.
//!
//! The tables are the platform's own, `schema.sql`; the queries are files of
//! `queries/`, one text each for every database. A [`Store`] gives them names. What
//! a database does its own way stands behind [`database::Database`]; [`sqlite`] is
//! the one that needs no server.
//!
//! **Invariants.** A method that writes has written durably when it returns, or
//! has changed nothing: what belongs together is one transaction. A command is
//! answered once, and its answer never changes.
//!
//! **Failure.** Every error names the query or the file. JSON columns are text here;
//! who reads them parses them.

mod action;
mod agent;
mod command;
mod database;
mod filter;
mod fleet;
mod id;
mod investigator;
mod pages;
mod permissions;
mod progress;
mod sqlite;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use action::{ActionRow, ActionStatus, Counters, NEVER_FINISHED, NEVER_STARTED, Signed};
pub(crate) use agent::{AgentRow, AgentStatus};
pub(crate) use command::{CommandRow, CommandStatus};
use database::{Database, Query, Row, Value, query};
pub(crate) use filter::{Filter, Page};
pub(crate) use fleet::{Double, Silent};
pub(crate) use id::{Id, Ids};
pub(crate) use investigator::{InvestigatorRow, InvestigatorStatus, SCHEDULER};
pub(crate) use pages::Pages;
pub(crate) use permissions::{Permission, PermissionError, Permissions};
pub(crate) use progress::Answer;
use sqlite::Sqlite;

use crate::disk::{Disk, DiskError};

/// The tables, as they are made where they are missing.
pub(crate) const SCHEMA: &str = include_str!("schema.sql");

/// Why data cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    /// The file cannot be made or looked at.
    #[error("cannot prepare the database file")]
    File {
        /// What the disk says.
        #[from]
        source: DiskError,
    },
    /// Others could read it.
    #[error("{} may be read or written by others: run chmod 600 {}", path.display(), path.display())]
    Permissions {
        /// The database's file.
        path: PathBuf,
    },
    /// It is no database, or cannot be opened as one.
    #[error("cannot open database {}", path.display())]
    Open {
        /// The database's file.
        path: PathBuf,
        /// What the database says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A later version of this program made it.
    #[error("{} has tables of version {version}, which this program does not know: use the later one", path.display())]
    Version {
        /// The database's file.
        path: PathBuf,
        /// The version that it has.
        version: i64,
    },
    /// A statement failed.
    #[error("cannot run query {query}")]
    Query {
        /// The query's name.
        query: &'static str,
        /// What the database says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// There is a row with this key already.
    #[error("query {query} would repeat a key")]
    Duplicate {
        /// The query's name.
        query: &'static str,
    },
    /// A column holds what it cannot.
    #[error("column {column} of query {query} is not {wanted}")]
    Column {
        /// The query's name.
        query: &'static str,
        /// The column's number, from 1.
        column: usize,
        /// What it should be.
        wanted: &'static str,
    },
}

/// The platform's tables.
#[derive(Debug)]
pub(crate) struct Store(Mutex<Box<dyn Database>>);

impl Store {
    /// Opens the SQLite file at `path`; makes it, private to its owner, if it is not there.
    pub(crate) fn open(disk: &Disk, path: &Path) -> Result<Store, DataError> {
        match disk.find(path)? {
            None => disk.create(path, b"")?,
            Some(meta) if meta.mode & 0o077 != 0 => {
                return Err(DataError::Permissions { path: path.to_owned() });
            }
            Some(_) => {}
        }
        Ok(Store(Mutex::new(Box::new(Sqlite::open(path)?))))
    }

    /// Returns the highest id that any action, command or agent has.
    pub(crate) fn highest_id(&self) -> Result<Id, DataError> {
        let rows = self.rows(&query!("highest_id"), &[])?;
        rows.into_iter().next().map_or(Ok(Id::new(0)), |mut row| row.id())
    }

    fn database(&self) -> MutexGuard<'_, Box<dyn Database>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, query: &Query, values: &[Value]) -> Result<u64, DataError> {
        self.database().run(query, values)
    }

    fn rows(&self, query: &Query, values: &[Value]) -> Result<Vec<Row>, DataError> {
        self.database().rows(query, values)
    }

    /// Returns all rows of an answer, each made into a `T`.
    fn all<T>(
        &self,
        query: &Query,
        values: &[Value],
        read: fn(Row) -> Result<T, DataError>,
    ) -> Result<Vec<T>, DataError> {
        self.rows(query, values)?.into_iter().map(read).collect()
    }

    /// Returns the first row of an answer, if there is one.
    fn one<T>(
        &self,
        query: &Query,
        values: &[Value],
        read: fn(Row) -> Result<T, DataError>,
    ) -> Result<Option<T>, DataError> {
        self.rows(query, values)?.into_iter().next().map(read).transpose()
    }

    /// Does all of `work` or, if it fails, nothing.
    fn transaction<T>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        let mut database = self.database();
        database.begin()?;
        match work(database.as_mut()) {
            Ok(value) => {
                database.commit()?;
                Ok(value)
            }
            Err(error) => {
                // The first error is the one worth knowing; a connection that cannot
                // even roll back says so at its next statement.
                database.rollback().ok();
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
