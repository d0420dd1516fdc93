//! The tables on a PostgreSQL server.
//!
//! The store holds one connection. A lost connection is replaced when it is next needed: before a
//! statement or a transaction, never in the middle of a transaction. The server discards the
//! changes of a transaction whose connection is lost, and all later statements of it fail.
//!
//! **Invariants.** A commit that reports success has committed: the server reports success for a
//! `commit` after a failed statement although it rolls back, and this is reported as an error. A
//! read-only transaction cannot write, whatever SQL it runs. No message contains the password.
//!
//! **Failure.** Every error names the server or the query and contains the server's message. If
//! `commit` fails because the connection is lost, the transaction may or may not have been
//! committed.

mod connect;
mod error;
mod numeric;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::ToSql;
use postgres::{Client, Statement};

use super::database::{Database, Dialect, Query, TransactionMode};
use super::error::DataError;
use super::limited_rows::LimitedRows;
use super::row::Row;
use super::schema::role_access::TARGET_ROLE;
use super::schema::tables::Schema;
use super::schema::{catalogue, text};
use super::server::DatabaseServer;
use super::value::SqlValue;
use crate::clock::{Clock as _, SystemClock};
use error::PostgresError;

/// Idle time after which a connection is checked before use.
const IDLE_SPAN: Duration = Duration::from_secs(1);
/// Time limit of that check.
const CHECK_SPAN: Duration = Duration::from_secs(10);

/// Returns whether the error is the server's and may pass.
pub(super) fn is_temporary(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<PostgresError>().is_some_and(PostgresError::is_temporary)
}

/// The state of the current transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    /// No statement of it has failed.
    Open,
    /// A statement of it failed, so that it can only be rolled back.
    Failed,
}

/// A connection to a server.
pub(super) struct Postgres {
    server: DatabaseServer,
    certificates: Option<Vec<u8>>,
    client: Option<Client>,
    /// The statements of `queries/` prepared on this connection, by their texts.
    prepared: HashMap<&'static str, Statement>,
    transaction: Transaction,
    /// The machine's uptime at the last successful statement.
    last_success: Duration,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postgres").field(&self.server).finish()
    }
}

impl Postgres {
    /// Connects to a server. `certificates`, in PEM, replace the system's authorities.
    pub(super) fn open(
        server: &DatabaseServer,
        certificates: Option<Vec<u8>>,
    ) -> Result<Postgres, DataError> {
        let mut opened = Postgres {
            server: server.clone(),
            certificates,
            client: None,
            prepared: HashMap::new(),
            transaction: Transaction::None,
            last_success: SystemClock.running(),
        };
        opened.client("connect")?;
        Ok(opened)
    }

    /// Returns the connection. A lost one is replaced unless a transaction depends on it.
    fn client(&mut self, query: &'static str) -> Result<&mut Client, DataError> {
        let may_reconnect = self.transaction == Transaction::None;
        if may_reconnect && !self.is_connected() {
            self.client = None;
            self.prepared.clear();
        }
        let client = match self.client.take() {
            Some(client) => client,
            None if may_reconnect => {
                let client = connect::connect(&self.server, self.certificates.as_deref())?;
                self.last_success = SystemClock.running();
                client
            }
            None => return Err(self.lost(query, PostgresError::Gone)),
        };
        Ok(self.client.insert(client))
    }

    /// Returns whether the connection works; an idle one is checked with the server.
    fn is_connected(&mut self) -> bool {
        // The uptime includes suspension, which connections often do not survive.
        let is_idle = SystemClock.running().saturating_sub(self.last_success) > IDLE_SPAN;
        match &mut self.client {
            Some(client) if client.is_closed() => false,
            Some(client) if is_idle => client.is_valid(CHECK_SPAN).is_ok(),
            Some(_) => true,
            None => false,
        }
    }

    fn lost(&self, query: &'static str, source: PostgresError) -> DataError {
        DataError::Lost { server: self.server.to_string(), query, source: Box::new(source) }
    }

    /// Updates the state after a statement, and converts its error.
    fn checked<T>(
        &mut self,
        query: &'static str,
        done: Result<T, postgres::Error>,
    ) -> Result<T, DataError> {
        let error = match done {
            Ok(value) => {
                self.last_success = SystemClock.running();
                return Ok(value);
            }
            Err(error) => PostgresError::from(error),
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

    /// Prepares a query. The queries of `queries/` are prepared once per connection.
    fn statement(&mut self, query: &Query) -> Result<Statement, DataError> {
        // Reconnects first if necessary, because prepared statements belong to a connection.
        self.client(query.name)?;
        let fixed = match query.text {
            Cow::Borrowed(text) => Some(text),
            Cow::Owned(_) => None,
        };
        if let Some(known) = fixed.and_then(|text| self.prepared.get(text)) {
            return Ok(known.clone());
        }
        let prepared = self.client(query.name)?.prepare(&query.text);
        let statement = self.checked(query.name, prepared)?;
        if let Some(text) = fixed {
            self.prepared.insert(text, statement.clone());
        }
        Ok(statement)
    }

    fn simple(&mut self, statement: &'static str, text: &str) -> Result<(), DataError> {
        let done = self.client(statement)?.batch_execute(text);
        self.checked(statement, done)
    }

    /// Rolls the transaction back. If the connection is lost, the server has done so already.
    fn roll_back(&mut self) -> Result<(), DataError> {
        let done = match self.client.is_some() {
            true => self.simple("rollback", "rollback"),
            false => Ok(()),
        };
        self.transaction = Transaction::None;
        done
    }
}

fn parameters(values: &[SqlValue]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl Database for Postgres {
    fn run(&mut self, query: &Query, values: &[SqlValue]) -> Result<u64, DataError> {
        let statement = self.statement(query)?;
        let values = parameters(values);
        let done = self.client(query.name)?.execute(&statement, &values);
        self.checked(query.name, done)
    }

    fn rows_within(
        &mut self,
        query: &Query,
        values: &[SqlValue],
        bytes_max: usize,
    ) -> Result<Vec<Row>, DataError> {
        let statement = self.statement(query)?;
        let values = parameters(values);
        let found = self.client(query.name)?.query_raw(&statement, values);
        let rows = found.and_then(|mut found| {
            let mut rows = LimitedRows::new(bytes_max);
            while !rows.is_full()
                && let Some(row) = found.next()?
            {
                let values: Result<Vec<SqlValue>, _> =
                    (0..row.len()).map(|column| row.try_get(column)).collect();
                rows.push(Row::new(query.name, values?));
            }
            Ok(rows.into_rows())
        });
        self.checked(query.name, rows)
    }

    fn batch(&mut self, name: &'static str, text: &str) -> Result<(), DataError> {
        self.simple(name, text)
    }

    fn begin(&mut self, mode: TransactionMode) -> Result<(), DataError> {
        if self.transaction != Transaction::None {
            self.roll_back()?;
        }
        match mode {
            TransactionMode::Write => self.simple("begin", "begin")?,
            TransactionMode::Read | TransactionMode::ReadAsTarget => {
                self.simple("begin", "begin read only")?;
            }
        }
        self.transaction = Transaction::Open;
        if mode == TransactionMode::ReadAsTarget
            && let Err(error) = self.simple("set role", &format!("set local role {TARGET_ROLE}"))
        {
            self.roll_back().ok();
            return Err(match error {
                DataError::Query { source, .. } => DataError::Role { role: TARGET_ROLE, source },
                other => other,
            });
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), DataError> {
        if self.transaction == Transaction::Failed {
            self.roll_back()?;
            let source = Box::new(PostgresError::Aborted);
            return Err(DataError::Query { query: "commit", source });
        }
        let done = self.simple("commit", "commit");
        self.transaction = Transaction::None;
        done
    }

    fn rollback(&mut self) -> Result<(), DataError> {
        self.roll_back()
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            like: "ilike",
            found_anything,
            readable_heartbeat: READABLE_HEARTBEAT,
            unreadable_heartbeat: UNREADABLE_HEARTBEAT,
            threat_family: THREAT_FAMILY,
            create_tables: text::for_postgres,
            has_roles: true,
        }
    }

    fn schema(&mut self) -> Result<Schema, DataError> {
        catalogue::read(self)
    }
}

/// The years from 1 to 9999.
const READABLE_HEARTBEAT: &str =
    "(heartbeattime >= '0001-01-01 00:00:00+00' and heartbeattime < '10000-01-01 00:00:00+00')";
const UNREADABLE_HEARTBEAT: &str = "(heartbeattime < '0001-01-01 00:00:00+00' \
    or heartbeattime >= '10000-01-01 00:00:00+00' or heartbeattime is null)";
/// The server stores JSON with escapes that it cannot convert to text, such as `\u0000`, and fails
/// when it extracts a value from it. Such escapes are replaced first.
const THREAT_FAMILY: &str = "case when cast(actions.threat as text) ~ '\\\\u(0000|[dD][89a-fA-F])'
          then cast(replace(cast(actions.threat as text), '\\u', '\\n') as json) else actions.threat end ->> 'family'";

fn found_anything(flag: bool) -> &'static str {
    // A value that is not a list contains no results. Results may contain escapes that the server
    // cannot convert to text, such as a NUL read from a file. Such escapes are replaced first.
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
