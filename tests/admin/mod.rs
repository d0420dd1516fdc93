//! What the tests of `mig-data` stand on: a home, and a database of either sort.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

mod commands;
mod faults;
mod fleet;
mod investigators;
mod media;
mod odd;
#[cfg(feature = "platform")]
mod platform;
mod tables;

use std::process::Command;

use jiff::{SignedDuration, Timestamp};

use super::cluster::Database;
use super::home::{CommandOutput, Home};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mig-data");

/// Makes two tests of each function that takes a [`Kind`]: one for each database.
macro_rules! on_each_database {
    ($($test:ident),+ $(,)?) => {
        mod file {
            $(#[test]
            fn $test() {
                super::$test($crate::admin::Kind::File);
            })+
        }
        mod server {
            $(#[test]
            fn $test() {
                super::$test($crate::admin::Kind::Server);
            })+
        }
    };
}
use on_each_database;

/// A sort of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Server,
}

/// A home with the configuration `a.cfg` of a database.
struct Admin {
    home: Home,
    database: Option<Database>,
}

impl Admin {
    /// Returns a database without tables.
    fn vacant(kind: Kind) -> Admin {
        let home = Home::new();
        let database = (kind == Kind::Server).then(Database::new);
        let section = database.as_ref().map(Database::section).unwrap_or_default();
        home.write("a.cfg", &format!("{section}[directories]\ndata = .\n"));
        Admin { home, database }
    }

    /// Returns a database with tables and, if it is a server's, roles.
    fn new(kind: Kind) -> Admin {
        let admin = Admin::vacant(kind);
        admin.good(&["schema", "init", "--roles"]);
        admin
    }

    /// Runs a command on the database.
    fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.run_with(&[&["-c", "a.cfg"], arguments].concat())
    }

    /// Runs a command that says itself where the database is.
    fn run_with(&self, arguments: &[&str]) -> CommandOutput {
        CommandOutput::of(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command_of(PROGRAM, arguments);
        command.env("GNUPGHOME", self.home.path("g"));
        command
    }

    /// Returns what a command answered that did what it was asked.
    #[track_caller]
    fn good(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.exit, 0, "{arguments:?}: {said:?}");
        said.out
    }

    /// Returns the JSON that a command answered.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let text = self.good(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Runs statements on the database, as an administrator did before there was `mig-data`.
    fn sql(&self, text: &str) {
        match &self.database {
            Some(database) => database.connect().batch_execute(text).unwrap(),
            None => {
                let file = rusqlite::Connection::open(self.home.path("mig.db")).unwrap();
                file.execute_batch(text).unwrap();
            }
        }
    }

    /// Adds an agent: its number, its host, its place, its status, and how many minutes ago it was heard.
    fn agent(&self, id: i64, name: &str, queueloc: &str, status: &str, minutes: i64) {
        let heard = ago(minutes);
        self.sql(&format!(
            "insert into agents (id, name, queueloc, mode, version, pid, starttime, heartbeattime, \
             refreshtime, status, environment, tags) values ({id}, '{name}', '{queueloc}', 'daemon', \
             '20251122-0.9e7e4f52.lab', 7, '{heard}', '{heard}', '{heard}', '{status}', \
             '{{\"os\":\"linux\"}}', '{{}}')"
        ));
    }
}

/// Returns the time so many minutes ago, as both databases read it.
fn ago(minutes: i64) -> String {
    let time = Timestamp::now() - SignedDuration::from_mins(minutes);
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Checks that a command failed with one line that has each of `texts`.
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
