//! The platform's tables, as somebody sees them who opens the database beside it.
//!
//! It is a file or on a server. Both are given the same statements, with values written as
//! literals: these take on the types of the columns that they meet.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::Value;

/// How long the platform may keep the database to itself.
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

    /// Takes a connection to a server.
    pub(crate) fn on(client: postgres::Client) -> Database {
        Database::Server(RefCell::new(client))
    }

    /// Returns a statement with each `$1` replaced by its value.
    fn written(&self, statement: &str, values: &[Literal<'_>]) -> String {
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

    /// Returns the rows of a query, as texts.
    fn rows(&self, query: &str, values: &[Literal<'_>]) -> Vec<Vec<String>> {
        let query = self.written(query, values);
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

    /// Returns the ids of the actions with this name, in the order in which they came.
    pub(crate) fn actions(&self, name: &str) -> Vec<i64> {
        let ids = self.column("select id from actions where name = $1 order by id", &[name.into()]);
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    /// Returns the ids of all actions.
    pub(crate) fn ids(&self) -> Vec<i64> {
        let ids = self.column("select id from actions order by id", &[]);
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    /// Returns how far an action is.
    pub(crate) fn status(&self, action: i64) -> Option<String> {
        let id = action.to_string();
        self.column("select status from actions where id = $1", &[(&id).into()]).pop()
    }

    /// Returns the names of all actions, in the order in which they came.
    pub(crate) fn names(&self) -> Vec<String> {
        self.column("select name from actions order by id", &[])
    }

    /// Tells whether the agent is registered.
    pub(crate) fn has_agent(&self) -> bool {
        self.count("select count(*) from agents", &[]) > 0
    }

    /// Tells whether all agents have answered an action of which there is one.
    pub(crate) fn is_completed(&self, name: &str) -> bool {
        let query = "select count(*) from actions where name = $1 and status = 'completed'";
        self.count(query, &[name.into()]) == 1
    }

    /// Returns how many actions are not over.
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

    /// Returns the names of those who signed an action, in their order.
    pub(crate) fn signers(&self, action: i64) -> Vec<String> {
        let query = "select name from signatures join investigators on investigators.id = investigatorid \
                     where actionid = $1 order by name";
        self.column(query, &[(&action.to_string()).into()])
    }

    /// Lets somebody else ask and run actions.
    pub(crate) fn insert_investigator(&self, name: &str, fingerprint: &str, key: &[u8]) {
        let statement = "insert into investigators (name, pgpfingerprint, publickey, permissions) \
                         select $1, $2, $3, max(permissions) from investigators";
        assert_eq!(self.run(statement, &[name.into(), fingerprint.into(), key.into()]), 1);
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

    /// Adds so many answers to the one that an action has.
    pub(crate) fn insert_answers(&self, action: i64, count: u64) {
        let statement = "with recursive number (n) as \
                         (select 1 union all select n + 1 from number where n < cast($2 as bigint)) \
                         insert into commands (id, actionid, agentid, status, results, starttime, finishtime) \
                         select id + n, actionid, agentid, status, results, starttime, finishtime \
                         from commands, number where actionid = $1";
        let (action, number) = (action.to_string(), count.to_string());
        assert_eq!(self.run(statement, &[(&action).into(), (&number).into()]), count);
    }

    /// Forgets who signed an action of which there is one.
    pub(crate) fn forget_signers(&self, name: &str) {
        let statement =
            "delete from signatures where actionid = (select id from actions where name = $1)";
        assert_eq!(self.run(statement, &[name.into()]), 1);
    }

    /// Lets nobody else use the tables as long as this connection lives.
    pub(crate) fn hold(&self) {
        match self {
            Database::File(connection) => connection.execute_batch("begin exclusive").unwrap(),
            Database::Server(client) => {
                let statement = "begin; lock table actions, agents, commands";
                client.borrow_mut().batch_execute(statement).unwrap();
            }
        }
    }

    /// Runs a statement; returns how many rows it changed.
    pub(crate) fn run(&self, statement: &str, values: &[Literal<'_>]) -> u64 {
        let statement = self.written(statement, values);
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
