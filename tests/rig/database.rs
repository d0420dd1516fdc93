//! The platform's tables, as somebody sees them who opens the database beside it.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

/// How long the platform may keep the database to itself.
const BUSY_SPAN: Duration = Duration::from_secs(20);

/// The tables.
pub(crate) struct Database(Connection);

impl Database {
    /// Opens a database.
    pub(crate) fn open(path: &Path) -> Database {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(BUSY_SPAN).unwrap();
        Database(connection)
    }

    /// Returns the ids of the actions with this name, in the order in which they came.
    pub(crate) fn actions(&self, name: &str) -> Vec<i64> {
        let mut query =
            self.0.prepare("select id from actions where name = ?1 order by id").unwrap();
        let ids = query.query_map([name], |row| row.get(0)).unwrap();
        ids.map(Result::unwrap).collect()
    }

    /// Returns the names of all actions, in the order in which they came.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut query = self.0.prepare("select name from actions order by id").unwrap();
        let names = query.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    }

    /// Tells whether the agent is registered.
    pub(crate) fn has_agent(&self) -> bool {
        let count: i64 =
            self.0.query_row("select count(*) from agents", [], |row| row.get(0)).unwrap();
        count > 0
    }

    /// Forgets who signed an action of which there is one.
    pub(crate) fn forget_signers(&self, name: &str) {
        let statement =
            "delete from signatures where actionid = (select id from actions where name = ?1)";
        assert_eq!(self.run(statement, [name]), 1);
    }

    /// Runs a statement; returns how many rows it changed.
    pub(crate) fn run(&self, statement: &str, values: impl rusqlite::Params) -> usize {
        self.0.execute(statement, values).unwrap()
    }
}
