//! Direct access to the platform's tables, while the platform is running.
//!
//! The database is a file or on a server. Both receive the same statements, with values written as
//! literals, which are converted to the types of the columns.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::Value;

/// Maximum time for which the platform may lock the database.
const BUSY_SPAN: Duration = Duration::from_secs(20);

pub(crate) enum Database {
    File(Connection),
    Server(RefCell<postgres::Client>),
}

/// A value of a statement.
pub(crate) enum Literal<'a> {
    /// A number, a time or a text.
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> From<&'a str> for Literal<'a> {
    fn from(text: &'a str) -> Literal<'a> {
        Literal::Text(text)
    }
}

impl<'a> From<&'a String> for Literal<'a> {
    fn from(text: &'a String) -> Literal<'a> {
        Literal::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Literal<'a> {
    fn from(bytes: &'a [u8]) -> Literal<'a> {
        Literal::Bytes(bytes)
    }
}

impl Database {
    pub(crate) fn open(path: &Path) -> Database {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(BUSY_SPAN).unwrap();
        Database::File(connection)
    }

    pub(crate) fn on(client: postgres::Client) -> Database {
        Database::Server(RefCell::new(client))
    }

    /// Returns a statement in which `$1` and so on are replaced by the values.
    fn with_values(&self, statement: &str, values: &[Literal<'_>]) -> String {
        let mut text = statement.to_owned();
        for (at, value) in values.iter().enumerate() {
            let literal = match (value, self) {
                (Literal::Text(text), _) => format!("'{}'", text.replace('\'', "''")),
                (Literal::Bytes(bytes), Database::File(_)) => format!("x'{}'", hex(bytes)),
                (Literal::Bytes(bytes), Database::Server(_)) => format!("'\\x{}'", hex(bytes)),
            };
            text = text.replace(&format!("${}", at + 1), &literal);
        }
        text
    }

    /// Returns the rows of a query as text.
    fn rows(&self, query: &str, values: &[Literal<'_>]) -> Vec<Vec<String>> {
        let query = self.with_values(query, values);
        match self {
            Database::File(connection) => {
                let mut statement = connection.prepare(&query).unwrap();
                let columns = statement.column_count();
                let text = |value: ValueRef<'_>| match value {
                    ValueRef::Integer(number) => number.to_string(),
                    value => value.as_str().unwrap().to_owned(),
                };
                let row = |row: &rusqlite::Row<'_>| {
                    (0..columns).map(|column| row.get_ref(column).map(text)).collect()
                };
                statement.query_map([], row).unwrap().map(Result::unwrap).collect()
            }
            Database::Server(client) => {
                let answer = client.borrow_mut().simple_query(&query).unwrap();
                let rows = answer.iter().filter_map(|message| match message {
                    postgres::SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                rows.map(|row| (0..row.len()).map(|at| row.get(at).unwrap().to_owned()).collect())
                    .collect()
            }
        }
    }

    /// Returns the first column of the rows of a query.
    fn column(&self, query: &str, values: &[Literal<'_>]) -> Vec<String> {
        self.rows(query, values).into_iter().map(|mut row| row.swap_remove(0)).collect()
    }

    /// Returns the number that a query counts.
    fn count(&self, query: &str, values: &[Literal<'_>]) -> i64 {
        self.column(query, values)[0].parse().unwrap()
    }

    /// Returns the ids of the actions with this name, in ascending order.
    pub(crate) fn actions(&self, name: &str) -> Vec<i64> {
        let ids = self.column("select id from actions where name = $1 order by id", &[name.into()]);
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    /// Returns the ids of all actions.
    pub(crate) fn ids(&self) -> Vec<i64> {
        let ids = self.column("select id from actions order by id", &[]);
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    pub(crate) fn status(&self, action: i64) -> Option<String> {
        let id = action.to_string();
        self.column("select status from actions where id = $1", &[(&id).into()]).pop()
    }

    /// Returns the names of all actions, ordered by id.
    pub(crate) fn names(&self) -> Vec<String> {
        self.column("select name from actions order by id", &[])
    }

    /// Returns whether the agent is registered.
    pub(crate) fn has_agent(&self) -> bool {
        self.agents() > 0
    }

    pub(crate) fn agents(&self) -> i64 {
        self.count("select count(*) from agents", &[])
    }

    /// Returns whether all agents have answered the only action with this name.
    pub(crate) fn is_completed(&self, name: &str) -> bool {
        let query = "select count(*) from actions where name = $1 and status = 'completed'";
        self.count(query, &[name.into()]) == 1
    }

    /// Returns the number of unfinished actions.
    pub(crate) fn unfinished(&self) -> i64 {
        self.count("select count(*) from actions where status not in ('completed', 'invalid')", &[])
    }

    /// Returns the status of an action, and of each of its commands.
    pub(crate) fn outcome(&self, action: i64) -> (String, Vec<String>) {
        let id = action.to_string();
        let status = self.column("select status from actions where id = $1", &[(&id).into()]);
        let query = "select status from commands where actionid = $1 order by id";
        (status[0].clone(), self.column(query, &[(&id).into()]))
    }

    /// Returns the operations of an action.
    pub(crate) fn operations(&self, action: i64) -> String {
        let id = action.to_string();
        self.column("select operations from actions where id = $1", &[(&id).into()]).remove(0)
    }

    /// Returns the names of the signers of an action, sorted.
    pub(crate) fn signers(&self, action: i64) -> Vec<String> {
        let query = "select name from signatures join investigators on investigators.id = investigatorid \
                     where actionid = $1 order by name";
        self.column(query, &[(&action.to_string()).into()])
    }

    /// Adds an investigator with all permissions.
    pub(crate) fn insert_investigator(&self, name: &str, fingerprint: &str, key: &[u8]) {
        let statement = "insert into investigators (name, pgpfingerprint, publickey, permissions) \
                         select $1, $2, $3, max(permissions) from investigators";
        assert_eq!(self.run(statement, &[name.into(), fingerprint.into(), key.into()]), 1);
    }

    /// Adds a completed action with the answer of the only agent.
    pub(crate) fn insert_finished(&self, action: &Value) {
        let id = action["id"].as_i64().unwrap();
        let text = |key: &str| action[key].as_str().unwrap();
        // Times are stored with six decimals.
        let time = |key: &str| format!("{:.6}", text(key).parse::<Timestamp>().unwrap());
        let statement = "insert into actions (id, name, target, description, threat, operations, \
                         validfrom, expireafter, starttime, finishtime, lastupdatetime, status, \
                         syntaxversion, pgpsignatures) \
                         values ($1, $2, $3, '{}', '{}', $4, $5, $6, $5, $6, $6, 'completed', 2, $7)";
        let (operations, signatures) =
            (action["operations"].to_string(), action["pgpsignatures"].to_string());
        let (number, begun, end) = (id.to_string(), time("validfrom"), time("expireafter"));
        let values = [
            (&number).into(),
            text("name").into(),
            text("target").into(),
            (&operations).into(),
            (&begun).into(),
            (&end).into(),
            (&signatures).into(),
        ];
        assert_eq!(self.run(statement, &values), 1);
        let statement = "insert into commands (id, actionid, agentid, status, results, starttime, finishtime) \
                         select $1, $2, id, 'success', '[]', $3, $3 from agents";
        let command = (id + 1).to_string();
        assert_eq!(self.run(statement, &[(&command).into(), (&number).into(), (&begun).into()]), 1);
    }

    /// Adds `count` copies of the only answer of an action.
    pub(crate) fn insert_answers(&self, action: i64, count: u64) {
        let statement = "with recursive number (n) as \
                         (select 1 union all select n + 1 from number where n < cast($2 as bigint)) \
                         insert into commands (id, actionid, agentid, status, results, starttime, finishtime) \
                         select id + n, actionid, agentid, status, results, starttime, finishtime \
                         from commands, number where actionid = $1";
        let (action, number) = (action.to_string(), count.to_string());
        assert_eq!(self.run(statement, &[(&action).into(), (&number).into()]), count);
    }

    /// Removes the signers of the only action with this name.
    pub(crate) fn forget_signers(&self, name: &str) {
        let statement =
            "delete from signatures where actionid = (select id from actions where name = $1)";
        assert_eq!(self.run(statement, &[name.into()]), 1);
    }

    /// Locks the tables until the connection is closed.
    pub(crate) fn lock(&self) {
        match self {
            Database::File(connection) => connection.execute_batch("begin exclusive").unwrap(),
            Database::Server(client) => {
                let statement = "begin; lock table actions, agents, commands";
                client.borrow_mut().batch_execute(statement).unwrap();
            }
        }
    }

    /// Runs a statement; returns the number of changed rows.
    pub(crate) fn run(&self, statement: &str, values: &[Literal<'_>]) -> u64 {
        let statement = self.with_values(statement, values);
        match self {
            Database::File(connection) => {
                u64::try_from(connection.execute(&statement, []).unwrap()).unwrap()
            }
            Database::Server(client) => client.borrow_mut().execute(&statement, &[]).unwrap(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
