//! The interface that each database implements.
//!
//! Every query is a file in `queries/`, written once, with `$1` for the first parameter. The
//! databases run the same queries and differ only in how they run them; the few differences in
//! SQL are in [`Dialect`].

use std::borrow::Cow;
use std::fmt;

use super::error::DataError;
use super::row::Row;
use super::schema::tables::Schema;
use super::value::SqlValue;

#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// The name of the file, without `.sql`. Messages show it.
    pub(super) name: &'static str,
    pub(super) text: Cow<'static, str>,
}

/// Compiles the query `queries/NAME.sql` into the program.
macro_rules! query {
    ($name:literal) => {
        $crate::data::database::Query {
            name: $name,
            text: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/src/data/queries/",
                $name,
                ".sql"
            ))
            .into(),
        }
    };
}
pub(super) use query;

/// The differences in SQL between the databases.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    /// The operator that matches a pattern and ignores case.
    pub(super) like: &'static str,
    /// Returns the condition that one result of a command has `foundanything` set to `flag`.
    pub(super) found_anything: fn(flag: bool) -> &'static str,
    /// The condition that an agent's `heartbeattime` can be read.
    pub(super) readable_heartbeat: &'static str,
    /// The condition that it cannot be read, in a form that can use an index. It may contain
    /// `{readable}`.
    pub(super) unreadable_heartbeat: &'static str,
    /// The expression for the family in `actions.threat`. It must not fail on damaged JSON.
    pub(super) threat_family: &'static str,
    /// Returns the statements that create the tables.
    pub(super) create_tables: fn() -> String,
    /// Whether the database has roles and privileges.
    pub(super) has_roles: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransactionMode {
    Write,
    Read,
    /// Read-only, and as the role that evaluates targets if the database has roles.
    ReadAsTarget,
}

/// A connection to a database.
pub(crate) trait Database: fmt::Debug + Send {
    /// Runs a statement; returns the number of rows that it changed.
    fn run(&mut self, query: &Query, values: &[SqlValue]) -> Result<u64, DataError>;
    /// Returns the rows of a query until they have more than `bytes_max` bytes together: the row that
    /// exceeds this is the last one. The others are not kept in memory.
    fn rows_within(
        &mut self,
        query: &Query,
        values: &[SqlValue],
        bytes_max: usize,
    ) -> Result<Vec<Row>, DataError>;
    fn rows(&mut self, query: &Query, values: &[SqlValue]) -> Result<Vec<Row>, DataError> {
        self.rows_within(query, values, usize::MAX)
    }
    /// Runs statements without parameters or rows. Messages show `name`.
    fn batch(&mut self, name: &'static str, text: &str) -> Result<(), DataError>;
    fn begin(&mut self, mode: TransactionMode) -> Result<(), DataError>;
    /// Makes the changes since `begin` durable.
    fn commit(&mut self) -> Result<(), DataError>;
    /// Discards the changes since `begin`.
    fn rollback(&mut self) -> Result<(), DataError>;
    fn dialect(&self) -> Dialect;
    /// Returns the tables that exist.
    fn schema(&mut self) -> Result<Schema, DataError>;
}
