//! The error of every database operation.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use super::schema::difference::Difference;
use crate::disk::DiskError;
use crate::disk::trust::Distrust;
use crate::invocation::Program;

/// Maximum number of schema differences that an error lists.
const DIFFERENCES_SHOWN_MAX: usize = 3;

#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    /// The database file cannot be created or inspected.
    #[error("cannot prepare the database file")]
    File {
        #[from]
        source: DiskError,
    },
    /// The path is a folder, a pipe or another special file.
    #[error("{} is not a regular file: name the file itself", path.display())]
    NotFile { path: PathBuf },
    /// Group or others may read or write the file.
    #[error("{} may be read or written by other users: run chmod 600 {}", path.display(), path.display())]
    Permissions { path: PathBuf },
    /// The file is not MIG's, so it must not be changed.
    #[error("{} is not a database of MIG: name another file", path.display())]
    Foreign { path: PathBuf },
    /// A password file that the user has named, which may be any file.
    #[error("{} may be read by other users, so it is not used as a password file: only its owner may have access to such a file", path.display())]
    PasswordFile { path: PathBuf },
    /// Other users can replace a symbolic link on the path, or its target.
    #[error(transparent)]
    Distrusted { fault: Distrust },
    /// The file is not an SQLite database, or SQLite cannot open it.
    #[error("cannot open database {}", path.display())]
    Open { path: PathBuf, source: Box<dyn Error + Send + Sync> },
    #[error("the database {} is locked by another process: try again when that process has ended", path.display())]
    Locked { path: PathBuf },
    /// Changes are in a log that SQLite can read only where it can write files.
    #[error(
        "cannot read {} in a folder without write access: {} holds changes that are not in it yet; \
         copy both files to a writable folder and use the copy", path.display(), log.display()
    )]
    Unmerged { path: PathBuf, log: PathBuf },
    /// The server cannot be reached, or refuses the connection.
    #[error("cannot use database {server}")]
    Connect { server: String, source: Box<dyn Error + Send + Sync> },
    #[error("lost the connection to database {server} in query {query}")]
    Lost { server: String, query: &'static str, source: Box<dyn Error + Send + Sync> },
    /// The role that evaluates targets does not exist, or the current role may not act as it.
    #[error(
        "cannot act as role {role}: `{}` creates it, and `grant {role} to ROLE` lets another role act as it",
        Program::Data.command_here(&["schema", "init", "--roles"])
    )]
    Role { role: &'static str, source: Box<dyn Error + Send + Sync> },
    /// The tables are not those that the queries need.
    #[error(
        "the tables differ from the expected schema (`{}` lists all differences): {}",
        Program::Data.command_here(&["schema", "check"]),
        first_differences(differences)
    )]
    Schema { differences: Vec<Difference> },
    /// A line of a password file is malformed. Lines count from 1.
    #[error("{}:{line}: a line must be HOST:PORT:NAME:USER:PASSWORD", path.display())]
    Passwords { path: PathBuf, line: usize },
    /// The system's random source failed.
    #[error("cannot generate random bytes")]
    Random { source: io::Error },
    /// A later version of this program created the tables.
    #[error(
        "{} has tables of version {version}, which this program does not know: use a later release of it",
        path.display()
    )]
    Version { path: PathBuf, version: i64 },
    #[error("cannot run query {query}")]
    Query { query: &'static str, source: Box<dyn Error + Send + Sync> },
    /// A row with this key exists already.
    #[error("query {query} would insert a duplicate key")]
    Duplicate { query: &'static str },
    /// A computed column has another type than the query promises. Columns count from 1.
    #[error("column {column} of query {query} is not {wanted}")]
    Column { query: &'static str, column: usize, wanted: &'static str },
}

/// Returns the first differences, and the number of further ones.
fn first_differences(differences: &[Difference]) -> String {
    let mut shown: Vec<String> =
        differences.iter().take(DIFFERENCES_SHOWN_MAX).map(Difference::to_string).collect();
    if differences.len() > shown.len() {
        shown.push(format!("{} more", differences.len() - shown.len()));
    }
    shown.join("; ")
}
