//! MIG's data: who may ask, what was asked, who was asked, what was answered.
//!
//! The tables are the platform's own, `schema.sql`; the queries are files of
//! `queries/`, one text each for every database. A [`Store`] gives them names. What
//! a database does its own way stands behind [`database::Database`]: [`sqlite`] needs no
//! server, [`postgres`] is the platform's own.
//!
//! **Invariants.** A method that writes has written durably when it returns, or
//! has changed nothing: what belongs together is one transaction. A command is
//! answered once, and its answer never changes.
//!
//! **Failure.** Every error names the query or the file. A value that cannot be read is no
//! error: the row has a substitute for it, and says so in its field `odd`. JSON columns are
//! text here; who reads them parses them.

mod action;
mod agent;
mod apikey;
mod command;
mod database;
mod filter;
mod fleet;
mod id;
mod investigator;
mod odd;
mod pages;
mod password;
mod permissions;
mod postgres;
mod progress;
mod row;
pub(crate) mod schema;
mod server;
#[cfg(any(test, feature = "platform"))]
mod shortage;
mod sqlite;
#[cfg(test)]
pub(crate) mod testing;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::postgres::Postgres;
pub(crate) use action::{ActionRow, ActionStatus, Counters, NEVER_FINISHED, NEVER_STARTED, Signed};
pub(crate) use agent::{AgentRow, AgentStatus};
pub(crate) use apikey::ApiKey;
pub(crate) use command::{CommandRow, CommandStatus};
use database::{Access, Database, Query, Value, query};
pub(crate) use filter::{Filter, Page};
pub(crate) use fleet::{Double, Silent};
pub(crate) use id::{Id, Ids};
pub(crate) use investigator::{InvestigatorRow, InvestigatorStatus, SCHEDULER};
pub(crate) use odd::Odd;
use pages::Fetched;
pub(crate) use password::Credentials;
pub(crate) use permissions::{Permission, Permissions};
pub(crate) use progress::Answer;
use row::Row;
use schema::Difference;
pub(crate) use server::{Server, UrlError};
pub(crate) use shortage::{Shortage, shortage};
use sqlite::Sqlite;

use crate::disk::trust::{self, Distrust};
use crate::disk::{Disk, DiskError, FileKind, input_file};
use crate::invocation::Program;

/// The longest file of certificates that is read.
const CERTIFICATES_BYTES_MAX: u64 = 1024 * 1024;
/// How many differences of a schema an error tells.
const DIFFERENCES_SHOWN_MAX: usize = 3;

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
    /// There is a folder, a pipe or something else of that name.
    #[error("{} is no regular file: name the file itself", path.display())]
    NotFile { path: PathBuf },
    /// Others could read it.
    #[error("{} may be read or written by others: run chmod 600 {}", path.display(), path.display())]
    Permissions { path: PathBuf },
    /// Others can change where a link leads, or its target.
    #[error(transparent)]
    Distrusted {
        /// What they can change, and what to do.
        fault: Distrust,
    },
    /// It is no database, or cannot be opened as one.
    #[error("cannot open database {}", path.display())]
    Open {
        path: PathBuf,
        /// What the database says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Another process keeps everybody out.
    #[error("the database {} is locked by another process: try again when that has ended", path.display())]
    Locked { path: PathBuf },
    /// Changes are in a log that can only be read where something can be written.
    #[error(
        "cannot read {} where nothing can be written: {} holds changes that are not in it yet; copy both \
         into a folder that you can write to, and name the copy", path.display(), log.display()
    )]
    Unmerged {
        path: PathBuf,
        /// What holds the changes.
        log: PathBuf,
    },
    /// The server cannot be reached, or does not let us in.
    #[error("cannot use database {server}")]
    Connect {
        /// The database and its server.
        server: String,
        /// What the server or the way to it says.
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("lost database {server} in query {query}")]
    Lost {
        /// The database and its server.
        server: String,
        query: &'static str,
        /// What the server or the way to it says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// We may not act as the role that evaluates targets, or there is none.
    #[error(
        "cannot act as role {role}: `{}` makes it, and grant {role} to … lets others act as it",
        Program::Data.command_here(&["schema", "init", "--roles"])
    )]
    Role {
        role: &'static str,
        /// What the server says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The tables are not those that the queries are made for.
    #[error(
        "the tables are not as they should be (`{}` tells all): {}",
        Program::Data.command_here(&["schema", "check"]),
        told(differences)
    )]
    Schema { differences: Vec<Difference> },
    /// A file with passwords holds something else.
    #[error("{}:{line}: a line is HOST:PORT:NAME:USER:PASSWORD", path.display())]
    Passwords {
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The system has no random source.
    #[error("cannot draw what nobody can guess")]
    Chance {
        /// What the system says.
        source: io::Error,
    },
    /// A later version of this program made it.
    #[error("{} has tables of version {version}, which this program does not know: use the later one", path.display())]
    Version {
        path: PathBuf,
        /// The version that it has.
        version: i64,
    },
    #[error("cannot run query {query}")]
    Query {
        query: &'static str,
        /// What the database says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// There is a row with this key already.
    #[error("query {query} would repeat a key")]
    Duplicate { query: &'static str },
    /// A column holds what it cannot.
    #[error("column {column} of query {query} is not {wanted}")]
    Column {
        query: &'static str,
        /// The column's number, from 1.
        column: usize,
        /// What it should be.
        wanted: &'static str,
    },
}

/// Returns the first differences, and how many there are besides.
fn told(differences: &[Difference]) -> String {
    let mut shown: Vec<String> =
        differences.iter().take(DIFFERENCES_SHOWN_MAX).map(Difference::to_string).collect();
    if differences.len() > shown.len() {
        shown.push(format!("{} more", differences.len() - shown.len()));
    }
    shown.join("; ")
}

/// Returns the file of a database, links followed, if it is there.
///
/// # Errors
/// It is not a file, others can read or write it, or others can change where a link leads.
fn private_file(disk: &Disk, path: &Path) -> Result<Option<PathBuf>, DataError> {
    if input_file::is_stream(path) {
        return Err(DataError::NotFile { path: path.to_owned() });
    }
    let Some(found) = disk.resolve(path, None)? else { return Ok(None) };
    let file = if found.is_linked() { &found.path } else { path };
    if found.meta.kind != FileKind::File {
        return Err(DataError::NotFile { path: file.to_owned() });
    }
    if found.meta.mode & 0o077 != 0 {
        return Err(DataError::Permissions { path: file.to_owned() });
    }
    if found.is_linked()
        && let Some(fault) = found.check_trust(disk, user(found.meta.owner))?.into_iter().next()
    {
        return Err(DataError::Distrusted { fault });
    }
    Ok(Some(file.to_owned()))
}

/// Returns the user who may own what we read: root may read what belongs to `owner`.
fn user(owner: u32) -> u32 {
    if trust::own_user() == 0 { owner } else { trust::own_user() }
}

#[derive(Debug)]
pub(crate) struct Store(Mutex<Box<dyn Database>>);

impl Store {
    /// Opens the SQLite file at `path`; makes it, private to its owner, if it is not there.
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

    /// Opens the SQLite file at `path`, which exists, for reading only: it stays as it is.
    pub(crate) fn look(disk: &Disk, path: &Path) -> Result<Store, DataError> {
        let file = private_file(disk, path)?.unwrap_or_else(|| path.to_owned());
        Ok(Store(Mutex::new(Box::new(Sqlite::look(disk, &file)?))))
    }

    /// Connects to the tables on a server. It makes none: that is [`Store::init_schema`].
    pub(crate) fn connect(disk: &Disk, server: &Server) -> Result<Store, DataError> {
        let certificates = match &server.sslrootcert {
            Some(path) => Some(disk.read_input(path, CERTIFICATES_BYTES_MAX)?.bytes),
            None => None,
        };
        Ok(Store(Mutex::new(Box::new(Postgres::open(server, certificates)?))))
    }

    /// Keeps a connection to a server from writing; a file that is only looked at cannot be written anyway.
    pub(crate) fn forbid_writes(&self) -> Result<(), DataError> {
        let mut database = self.database();
        match database.dialect().has_roles {
            true => database.batch("read only", "set default_transaction_read_only = on"),
            false => Ok(()),
        }
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
        read: fn(Row) -> T,
    ) -> Result<Vec<T>, DataError> {
        Ok(self.rows(query, values)?.into_iter().map(read).collect())
    }

    /// Returns a page of an answer, each row made into a `T`. The next one begins after the values
    /// in the columns `key` of the last row.
    fn page<T>(
        &self,
        query: &Query,
        values: &[Value],
        limit: i64,
        key: &[usize],
        read: fn(Row) -> T,
    ) -> Result<Fetched<T>, DataError> {
        Ok(Fetched::new(self.rows(query, values)?, limit, key, read))
    }

    /// Returns the first row of an answer, if there is one.
    fn one<T>(
        &self,
        query: &Query,
        values: &[Value],
        read: fn(Row) -> T,
    ) -> Result<Option<T>, DataError> {
        Ok(self.rows(query, values)?.into_iter().next().map(read))
    }

    /// Does all of `work` or, if it fails, nothing.
    fn transaction<T>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        self.within(Access::Write, work)
    }

    /// Does `work` on tables that nobody changes meanwhile and that it cannot change itself.
    fn reading<T>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        self.within(Access::Read, work)
    }

    /// Does `work`, which evaluates a condition that somebody else wrote, so that it can neither
    /// change anything nor read what is secret: where there are roles, as `migreadonly`.
    fn reading_as_target<T>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        self.within(Access::ReadAsTarget, work)
    }

    fn within<T>(
        &self,
        access: Access,
        work: impl FnOnce(&mut dyn Database) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        let mut database = self.database();
        let done = database
            .begin(access)
            .and_then(|()| work(database.as_mut()))
            .and_then(|value| database.commit().map(|()| value));
        if done.is_err() {
            // The first error is the one worth knowing. The next transaction ends what is still
            // open, and reports it if that fails.
            database.rollback().ok();
        }
        done
    }
}

#[cfg(test)]
pub(crate) mod tests;
