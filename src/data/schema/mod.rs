//! The expected tables and roles, those that exist, and their differences.
//!
//! `schema.sql` is the only definition of the expected tables: it is run to create them and parsed
//! to compare them. Only what the queries depend on is compared: the six tables that they use. The
//! tables of the original's loaders and manifests are not compared. A missing default does not
//! count as a difference, because the original's own database has fewer defaults than `schema.sql`.
//! Neither does an additional column or index, except a column that every new row would have to
//! fill.

pub(super) mod catalogue;
mod check;
pub(super) mod difference;
mod grants;
mod parse;
pub(super) mod role_access;
pub(super) mod tables;
pub(super) mod text;

pub(crate) use check::SchemaScope;
pub(crate) use text::TEXT;
