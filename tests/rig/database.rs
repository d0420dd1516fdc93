//! The platform's tables, as somebody sees them who opens the database beside it.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::Value;

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

    /// Returns the ids of all actions.
    pub(crate) fn ids(&self) -> Vec<i64> {
        let mut query = self.0.prepare("select id from actions order by id").unwrap();
        let ids = query.query_map([], |row| row.get(0)).unwrap();
        ids.map(Result::unwrap).collect()
    }

    /// Returns how far an action is.
    pub(crate) fn status(&self, action: i64) -> Option<String> {
        let query = "select status from actions where id = ?1";
        self.0.query_row(query, [action], |row| row.get(0)).ok()
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

    /// Tells whether all agents have answered an action of which there is one.
    pub(crate) fn is_completed(&self, name: &str) -> bool {
        let query = "select count(*) from actions where name = ?1 and status = 'completed'";
        let count: i64 = self.0.query_row(query, [name], |row| row.get(0)).unwrap();
        count == 1
    }

    /// Returns the operations of an action.
    pub(crate) fn operations(&self, action: i64) -> String {
        let query = "select operations from actions where id = ?1";
        self.0.query_row(query, [action], |row| row.get(0)).unwrap()
    }

    /// Returns the names of those who signed an action, in their order.
    pub(crate) fn signers(&self, action: i64) -> Vec<String> {
        let query = "select name from signatures join investigators on investigators.id = investigatorid \
                     where actionid = ?1 order by name";
        let mut query = self.0.prepare(query).unwrap();
        let names = query.query_map([action], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    }

    /// Lets somebody else ask and run actions.
    pub(crate) fn insert_investigator(&self, name: &str, fingerprint: &str, key: &[u8]) {
        let statement = "insert into investigators (id, name, pgpfingerprint, publickey, status, \
                         createdat, lastmodified, permissions) \
                         select max(id) + 1, ?1, ?2, ?3, 'active', createdat, createdat, permissions \
                         from investigators";
        assert_eq!(self.run(statement, (name, fingerprint, key)), 1);
    }

    /// Adds an action that is over, with the answer of the one agent.
    pub(crate) fn insert_finished(&self, action: &Value) {
        let id = action["id"].as_i64().unwrap();
        let text = |key: &str| action[key].as_str().unwrap();
        // Times are kept with six decimals.
        let time = |key: &str| format!("{:.6}", text(key).parse::<Timestamp>().unwrap());
        let statement = "insert into actions (id, name, target, description, threat, operations, \
                         validfrom, expireafter, starttime, finishtime, lastupdatetime, status, \
                         syntaxversion, pgpsignatures) \
                         values (?1, ?2, ?3, '{}', '{}', ?4, ?5, ?6, ?5, ?6, ?6, 'completed', 2, ?7)";
        let values = (
            id,
            text("name"),
            text("target"),
            action["operations"].to_string(),
            time("validfrom"),
            time("expireafter"),
            action["pgpsignatures"].to_string(),
        );
        assert_eq!(self.run(statement, values), 1);
        let statement = "insert into commands (id, actionid, agentid, status, results, starttime, finishtime) \
                         select ?1 + 1, ?1, id, 'success', '[]', ?2, ?2 from agents";
        assert_eq!(self.run(statement, (id, time("validfrom"))), 1);
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
