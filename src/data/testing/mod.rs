//! Databases for tests, one of each kind.

#[expect(dead_code, reason = "the integration tests use the rest")]
pub(crate) mod cluster;

use std::path::Path;
use std::sync::Arc;

use super::schema::SchemaScope;
use super::{DataError, DatabaseServer, Store};
use crate::config::reader::Reader;
use crate::disk::{COMMAND_PREFIX, Disk, RealFs};
// The server runs as long as the tests. If it inherited a pipe, the pipe's reader would wait for
// it.
use crate::spawn::start as start_process;
use cluster::TestDatabase;

/// Turns each function that takes a [`DatabaseKind`] into two tests, one for each database.
macro_rules! on_each_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test($crate::data::testing::DatabaseKind::Sqlite);
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                super::$test($crate::data::testing::DatabaseKind::Postgres);
            })+
        }
    };
}
pub(crate) use on_each_database;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatabaseKind {
    Sqlite,
    Postgres,
}

/// A database that is deleted at the end of its test.
#[derive(Debug)]
pub(crate) struct Tables {
    folder: tempfile::TempDir,
    database: Option<TestDatabase>,
}

impl Tables {
    /// Creates a database without tables.
    pub(crate) fn new(kind: DatabaseKind) -> Tables {
        let database = (kind == DatabaseKind::Postgres).then(TestDatabase::new);
        Tables { folder: tempfile::tempdir().unwrap(), database }
    }

    /// Returns the folder of the SQLite file.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the section `[postgres]` for the database; empty for SQLite.
    pub(crate) fn section(&self) -> String {
        self.database.as_ref().map(TestDatabase::section).unwrap_or_default()
    }

    /// Returns the address of the database if it is on a server.
    pub(crate) fn server(&self) -> Option<DatabaseServer> {
        let mut reader = Reader::new(self.section().as_bytes());
        let has_section = reader.has_section("postgres");
        let server = reader.section("postgres", |section| {
            has_section.then(|| DatabaseServer::from_section(section).unwrap())
        });
        reader.finish(Path::new("test.cfg"), Some(server)).unwrap()
    }

    /// Opens the database and creates missing tables.
    pub(crate) fn open(&self) -> Result<Store, DataError> {
        let disk = Disk::new(Arc::new(RealFs), self.folder.path().to_owned(), COMMAND_PREFIX);
        let store = match self.server() {
            Some(server) => Store::connect(&disk, &server)?,
            None => Store::open(&disk, &self.folder.path().join("mig.db"))?,
        };
        store.init_schema(SchemaScope::Tables)?;
        Ok(store)
    }

    /// Runs statements on a separate connection, as an administrator would.
    pub(crate) fn run(&self, statements: &str) {
        match &self.database {
            Some(database) => database.connect().batch_execute(statements).unwrap(),
            None => rusqlite::Connection::open(self.folder.path().join("mig.db"))
                .unwrap()
                .execute_batch(statements)
                .unwrap(),
        }
    }

    /// Opens a separate connection to the database on the server.
    pub(crate) fn connect(&self) -> postgres::Client {
        self.database.as_ref().unwrap().connect()
    }
}
