//! The tables on a PostgreSQL server.
//!
//! One connection, which is made again when it is needed and gone: before a statement or
//! a transaction, never in the middle of one. What a transaction had done when its
//! connection went is forgotten by the server, and every later statement of it fails.
//!
//! **Invariants.** A commit that reports success was one: what came after a failed
//! statement is not taken for kept, though the server calls its rollback a success. A
//! read-only transaction can neither write nor be talked into it. No message has the
//! password.
//!
//! **Failure.** Every error names the server or the query and has the server's own words.
//! After an error at `commit` with the connection gone nobody knows whether it was kept.

mod connect;
mod failure;
mod numeric;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use postgres::types::ToSql;
use postgres::{Client, Statement};

use super::database::{Access, Database, Dialect, Query, Value};
use super::schema::{self, Schema};
use super::{DataError, Row, Server};
use crate::clock::{Clock as _, SystemClock};
use failure::Failure;

/// A connection that was idle for this long is asked whether it is still there.
const IDLE_SPAN: Duration = Duration::from_secs(1);
/// How long it may take to answer that.
const CHECK_SPAN: Duration = Duration::from_secs(10);

/// Returns whether the server refused for a reason that may pass.
pub(super) fn is_temporary(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<Failure>().is_some_and(Failure::is_temporary)
}

/// How far a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    /// All went well so far.
    Open,
    /// A statement of it failed: nothing of it will be kept.
    Failed,
}

/// A connection to a server.
pub(super) struct Postgres {
    server: Server,
    certificates: Option<Vec<u8>>,
    client: Option<Client>,
    /// The statements of `queries/` that this connection knows, by their texts.
    prepared: HashMap<&'static str, Statement>,
    transaction: Transaction,
    /// How long the machine had been running when the server answered last.
    heard: Duration,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postgres").field(&self.server).finish()
    }
}

impl Postgres {
    /// Connects to a server; `certificates`, in PEM, count instead of the system's.
    pub(super) fn open(
        server: &Server,
        certificates: Option<Vec<u8>>,
    ) -> Result<Postgres, DataError> {
        let mut opened = Postgres {
            server: server.clone(),
            certificates,
            client: None,
            prepared: HashMap::new(),
            transaction: Transaction::None,
            heard: SystemClock.running(),
        };
        opened.client("connect")?;
        Ok(opened)
    }

    /// Returns the connection; makes it again if it is gone and nothing hangs on it.
    fn client(&mut self, query: &'static str) -> Result<&mut Client, DataError> {
        let may_reconnect = self.transaction == Transaction::None;
        if may_reconnect && !self.is_there() {
            self.client = None;
            self.prepared.clear();
        }
        let client = match self.client.take() {
            Some(client) => client,
            None if may_reconnect => {
                let client = connect::connect(&self.server, self.certificates.as_deref())?;
                self.heard = SystemClock.running();
                client
            }
            None => return Err(self.lost(query, Failure::Gone)),
        };
        Ok(self.client.insert(client))
    }

    /// Tells whether there is a connection; one that was idle is asked.
    fn is_there(&mut self) -> bool {
        // A connection does not outlive a long suspension of the machine either.
        let is_idle = SystemClock.running().saturating_sub(self.heard) > IDLE_SPAN;
        match &mut self.client {
            Some(client) if client.is_closed() => false,
            Some(client) if is_idle => client.is_valid(CHECK_SPAN).is_ok(),
            Some(_) => true,
            None => false,
        }
    }

    fn lost(&self, query: &'static str, source: Failure) -> DataError {
        DataError::Lost { server: self.server.to_string(), query, source: Box::new(source) }
    }

    /// Notes how a statement went.
    fn noted<T>(
        &mut self,
        query: &'static str,
        done: Result<T, postgres::Error>,
    ) -> Result<T, DataError> {
        let error = match done {
            Ok(value) => {
                self.heard = SystemClock.running();
                return Ok(value);
            }
            Err(error) => Failure::from(error),
        };
        if self.transaction == Transaction::Open {
            self.transaction = Transaction::Failed;
        }
        if error.is_fatal() || self.client.as_ref().is_none_or(Client::is_closed) {
            self.client = None;
            self.prepared.clear();
            return Err(self.lost(query, error));
        }
        Err(match error.code() {
            Some("23505") => DataError::Duplicate { query },
            _ => DataError::Query { query, source: Box::new(error) },
        })
    }

    /// Returns the statement of a query; one of `queries/` is prepared once.
    fn statement(&mut self, query: &Query) -> Result<Statement, DataError> {
        // First of all, as a new connection knows no statement of the old one.
        self.client(query.name)?;
        let fixed = match query.text {
            Cow::Borrowed(text) => Some(text),
            Cow::Owned(_) => None,
        };
        if let Some(known) = fixed.and_then(|text| self.prepared.get(text)) {
            return Ok(known.clone());
        }
        let prepared = self.client(query.name)?.prepare(&query.text);
        let statement = self.noted(query.name, prepared)?;
        if let Some(text) = fixed {
            self.prepared.insert(text, statement.clone());
        }
        Ok(statement)
    }

    fn simple(&mut self, statement: &'static str, text: &str) -> Result<(), DataError> {
        let done = self.client(statement)?.batch_execute(text);
        self.noted(statement, done)
    }

    /// Ends a transaction, however it went; a connection that is gone has ended it already.
    fn forget(&mut self) -> Result<(), DataError> {
        let done = match self.client.is_some() {
            true => self.simple("rollback", "rollback"),
            false => Ok(()),
        };
        self.transaction = Transaction::None;
        done
    }
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl Database for Postgres {
    fn run(&mut self, query: &Query, values: &[Value]) -> Result<u64, DataError> {
        let statement = self.statement(query)?;
        let values = parameters(values);
        let done = self.client(query.name)?.execute(&statement, &values);
        self.noted(query.name, done)
    }

    fn rows(&mut self, query: &Query, values: &[Value]) -> Result<Vec<Row>, DataError> {
        let statement = self.statement(query)?;
        let values = parameters(values);
        let found = self.client(query.name)?.query(&statement, &values);
        let read = |row: postgres::Row| {
            let values: Result<Vec<Value>, _> =
                (0..row.len()).map(|column| row.try_get(column)).collect();
            Ok(Row::new(query.name, values?))
        };
        let rows = found.and_then(|rows| rows.into_iter().map(read).collect());
        self.noted(query.name, rows)
    }

    fn batch(&mut self, name: &'static str, text: &str) -> Result<(), DataError> {
        self.simple(name, text)
    }

    fn begin(&mut self, access: Access) -> Result<(), DataError> {
        if self.transaction != Transaction::None {
            self.forget()?;
        }
        match access {
            Access::Write => self.simple("begin", "begin")?,
            Access::Read | Access::ReadAsTarget => self.simple("begin", "begin read only")?,
        }
        self.transaction = Transaction::Open;
        if access == Access::ReadAsTarget
            && let Err(error) = self.simple("set role", "set local role migreadonly")
        {
            self.forget().ok();
            return Err(match error {
                DataError::Query { source, .. } => DataError::Role { role: TARGET_ROLE, source },
                other => other,
            });
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), DataError> {
        if self.transaction == Transaction::Failed {
            self.forget()?;
            let source = Box::new(Failure::Aborted);
            return Err(DataError::Query { query: "commit", source });
        }
        let done = self.simple("commit", "commit");
        self.transaction = Transaction::None;
        done
    }

    fn rollback(&mut self) -> Result<(), DataError> {
        self.forget()
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            like: "ilike",
            found,
            heard: HEARD,
            unheard: UNHEARD,
            family: FAMILY,
            tables: schema::for_postgres,
            has_roles: true,
        }
    }

    fn schema(&mut self) -> Result<Schema, DataError> {
        schema::of_postgres(self)
    }
}

/// The role that targets are evaluated as.
const TARGET_ROLE: &str = "migreadonly";

/// The times that can be shown: the years from 1 to 9999.
const HEARD: &str =
    "(heartbeattime >= '0001-01-01 00:00:00+00' and heartbeattime < '10000-01-01 00:00:00+00')";
const UNHEARD: &str = "(heartbeattime < '0001-01-01 00:00:00+00' \
    or heartbeattime >= '10000-01-01 00:00:00+00' or heartbeattime is null)";
/// The family of a threat. The server keeps JSON with characters that it can make no text of, and fails
/// when it meets one: those are made other characters first.
const FAMILY: &str = "case when cast(actions.threat as text) ~ '\\\\u(0000|[dD][89a-fA-F])'
          then cast(replace(cast(actions.threat as text), '\\u', '\\n') as json) else actions.threat end ->> 'family'";

fn found(flag: bool) -> &'static str {
    // A value that is not a list has no results. An answer may hold characters that the server can make no text
    // of, such as a file's NUL: they are made other characters first.
    match flag {
        true => {
            "exists (select 1 from json_array_elements(case json_typeof(commands.results) when 'array'
                       then cast(replace(cast(commands.results as text), '\\u', '\\n') as json)
                       else '[]' end) as result
                     where result ->> 'foundanything' = 'true')"
        }
        false => {
            "exists (select 1 from json_array_elements(case json_typeof(commands.results) when 'array'
                       then cast(replace(cast(commands.results as text), '\\u', '\\n') as json)
                       else '[]' end) as result
                     where result ->> 'foundanything' = 'false')"
        }
    }
}
