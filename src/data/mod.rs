//! MIG's database: investigators, agents, actions, and the commands sent to agents.
//!
//! The tables are those of the original platform, `schema.sql`. Each query is a file in
//! `queries/`, with one text for every database. [`Store`] has a method for each query. The
//! differences between databases are behind [`database::Database`]: [`sqlite`] needs no server,
//! [`postgres`] is the database of the original platform.
//!
//! **Invariants.** A method that writes has either written durably when it returns, or has
//! changed nothing: changes that belong together are one transaction. A command is answered once,
//! and its answer never changes.
//!
//! **Failure.** Every error names the query or the file. A value that cannot be read is not an
//! error: the row has a substitute for it and names the column in its field `invalid`. JSON columns
//! are text here; callers parse them.

mod action;
mod agent;
mod apikey;
mod command;
mod database;
mod error;
mod filter;
mod fleet;
mod history;
mod id;
mod invalid;
mod investigator;
mod limited_rows;
mod pages;
mod password;
mod permissions;
mod postgres;
mod row;
pub(crate) mod schema;
mod server;
mod shortage;
mod sqlite;
mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(crate) mod tests;
mod value;

pub(crate) use action::{ActionRow, ActionStatus, CommandCounts, NEVER_FINISHED, NEVER_STARTED};
pub(crate) use agent::AgentRow;
pub(crate) use apikey::ApiKey;
pub(crate) use error::DataError;
pub(crate) use fleet::{DuplicateAgents, SilentHost};
pub(crate) use history::AgentAnswer;
pub(crate) use id::Id;
pub(crate) use invalid::InvalidColumns;
pub(crate) use investigator::{InvestigatorRow, InvestigatorStatus, SCHEDULER};
pub(crate) use password::Credentials;
pub(crate) use permissions::Permissions;
pub(crate) use server::{DatabaseServer, UrlError};
pub(crate) use shortage::shortage;
pub(crate) use store::Store;
#[cfg(any(test, feature = "platform"))]
pub(crate) use {
    action::ActionSignature, agent::AgentCount, agent::AgentStatus, command::CommandRow,
    filter::SearchFilter, filter::SearchPage, id::Ids, permissions::Permission,
};
