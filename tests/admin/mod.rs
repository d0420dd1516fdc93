//! Tests of `mig-data`, each on a PostgreSQL database and on an SQLite file.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the tests prepare files and databases directly")]

mod commands;
mod faults;
mod fleet;
mod invalid;
mod investigators;
mod keys;
mod media;
#[cfg(feature = "platform")]
mod platform;
mod tables;
mod trust;

use std::process::Command;

use jiff::{SignedDuration, Timestamp};

use super::cluster::TestDatabase;
use super::home::{CommandOutput, Home};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mig-data");

/// Turns each function that takes a [`DatabaseKind`] into two tests, one for each database.
macro_rules! on_each_database {
    ($($test:ident),+ $(,)?) => {
        mod file {
            $(#[test]
            fn $test() {
                super::$test($crate::admin::DatabaseKind::File);
            })+
        }
        mod server {
            $(#[test]
            fn $test() {
                super::$test($crate::admin::DatabaseKind::Server);
            })+
        }
    };
}
use on_each_database;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DatabaseKind {
    File,
    Server,
}

/// A home folder with the configuration `a.cfg`, and the database that it names.
struct Admin {
    home: Home,
    database: Option<TestDatabase>,
}

impl Admin {
    /// Creates a database without tables.
    fn without_tables(kind: DatabaseKind) -> Admin {
        let home = Home::new();
        let database = (kind == DatabaseKind::Server).then(TestDatabase::new);
        let section = database.as_ref().map(TestDatabase::section).unwrap_or_default();
        home.write("a.cfg", &format!("{section}[directories]\ndata = .\n"));
        Admin { home, database }
    }

    /// Creates a database with tables and, on a server, roles.
    fn new(kind: DatabaseKind) -> Admin {
        let admin = Admin::without_tables(kind);
        admin.output(&["schema", "init", "--roles"]);
        admin
    }

    /// Runs a command on the database.
    fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.run_with(&[&["-c", "a.cfg"], arguments].concat())
    }

    /// Runs a command whose arguments name the database.
    fn run_with(&self, arguments: &[&str]) -> CommandOutput {
        CommandOutput::of(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command_of(PROGRAM, arguments);
        command.env("GNUPGHOME", self.home.path("g"));
        command
    }

    /// Runs a command that must succeed; returns its output.
    #[track_caller]
    fn output(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.exit, 0, "{arguments:?}: {said:?}");
        said.out
    }

    /// Runs a command that must succeed; returns its output parsed as JSON.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let text = self.output(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Runs statements on a separate connection, as an administrator would without `mig-data`.
    fn sql(&self, text: &str) {
        match &self.database {
            Some(database) => database.connect().batch_execute(text).unwrap(),
            None => {
                let file = rusqlite::Connection::open(self.home.path("mig.db")).unwrap();
                file.execute_batch(text).unwrap();
            }
        }
    }

    /// Inserts an agent with the last heartbeat some minutes ago.
    fn agent(&self, id: i64, name: &str, queueloc: &str, status: &str, minutes: i64) {
        let heartbeat = ago(minutes);
        self.sql(&format!(
            "insert into agents (id, name, queueloc, mode, version, pid, starttime, heartbeattime, \
             refreshtime, status, environment, tags) values ({id}, '{name}', '{queueloc}', 'daemon', \
             '20251122-0.9e7e4f52.lab', 7, '{heartbeat}', '{heartbeat}', '{heartbeat}', '{status}', \
             '{{\"os\":\"linux\"}}', '{{}}')"
        ));
    }
}

/// Returns the time some minutes ago, in a format that both databases accept.
fn ago(minutes: i64) -> String {
    let time = Timestamp::now() - SignedDuration::from_mins(minutes);
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Checks that a command failed with one line that contains each of `texts`.
#[track_caller]
fn fails(said: &CommandOutput, exit: i32, texts: &[&str]) {
    assert_eq!(said.exit, exit, "{said:?}");
    assert_eq!(said.out, "", "{said:?}");
    let first = said.err.lines().next().unwrap_or_default();
    assert!(first.starts_with("mig-data: "), "{said:?}");
    for text in texts {
        assert!(first.contains(text), "no {text:?} in {said:?}");
    }
    let messages = said.err.lines().filter(|line| line.starts_with("mig-data: ")).count();
    assert_eq!(messages, 1, "{said:?}");
}
