//! Tables to test with, on each database.

#[expect(dead_code, reason = "the integration tests use the rest")]
pub(crate) mod cluster;

use std::path::Path;
use std::sync::Arc;

use super::schema::Extent;
use super::{DataError, Server, Store};
use crate::config::reader::Reader;
use crate::disk::{COMMAND_PREFIX, Disk, RealFs};
// The server lives as long as the tests: were it to inherit a pipe, so would its end be waited for.
use crate::spawn::start as start_process;
use cluster::Database;

/// Makes two tests of each function that takes a [`Kind`]: one for each database.
macro_rules! on_each_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test($crate::data::testing::Kind::Sqlite);
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                super::$test($crate::data::testing::Kind::Postgres);
            })+
        }
    };
}
pub(crate) use on_each_database;

/// A sort of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// Tables that end with their test.
#[derive(Debug)]
pub(crate) struct Tables {
    folder: tempfile::TempDir,
    database: Option<Database>,
}

impl Tables {
    /// Returns a database without tables.
    pub(crate) fn new(kind: Kind) -> Tables {
        let database = (kind == Kind::Postgres).then(Database::new);
        Tables { folder: tempfile::tempdir().unwrap(), database }
    }

    /// Returns the folder that has the file, if it is one.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns what a configuration says of the database.
    pub(crate) fn section(&self) -> String {
        self.database.as_ref().map(Database::section).unwrap_or_default()
    }

    /// Returns where the database is, if it is on a server.
    pub(crate) fn server(&self) -> Option<Server> {
        let mut reader = Reader::new(self.section().as_bytes());
        let has_section = reader.has_section("postgres");
        let server = reader
            .section("postgres", |section| has_section.then(|| Server::read(section).unwrap()));
        reader.finish(Path::new("test.cfg"), Some(server)).unwrap()
    }

    /// Opens the tables; makes them, if they are missing.
    pub(crate) fn open(&self) -> Result<Store, DataError> {
        let disk = Disk::new(Arc::new(RealFs), self.folder.path().to_owned(), COMMAND_PREFIX);
        let store = match self.server() {
            Some(server) => Store::connect(&disk, &server)?,
            None => Store::open(&disk, &self.folder.path().join("mig.db"))?,
        };
        store.init_schema(Extent::Tables)?;
        Ok(store)
    }

    /// Runs statements beside the store, as an administrator would.
    pub(crate) fn run(&self, statements: &str) {
        match &self.database {
            Some(database) => database.connect().batch_execute(statements).unwrap(),
            None => rusqlite::Connection::open(self.folder.path().join("mig.db"))
                .unwrap()
                .execute_batch(statements)
                .unwrap(),
        }
    }

    /// Connects to the server's database beside the store.
    pub(crate) fn connect(&self) -> postgres::Client {
        self.database.as_ref().unwrap().connect()
    }
}
