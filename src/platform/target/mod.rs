//! Targets: which agents an action is for, as an SQL condition on the table `agents`.
//!
//! The original inserts the text of a target into one of its own queries, so a target there can be
//! any expression that PostgreSQL accepts, with all functions and other tables. Here no target
//! reaches a database: it is parsed into an expression whose parts must all be on a short list, and
//! the expression is evaluated for one agent at a time.
//!
//! | file | contents |
//! | --- | --- |
//! | `read` | text → tokens → syntax tree → [`expression`]; checks types as PostgreSQL does |
//! | `refusal` | names the parts that are not on the list |
//! | `literal` | text of a literal → number, time, truth value, path |
//! | `column` | columns of the table and their values |
//! | `expression` | columns, constants, operators, and their value for a row |
//! | `like` | `LIKE` and `ILIKE` |
//!
//! **Invariants.** Logic has three values, and a target selects an agent only if its condition is
//! *true*. Type errors are found when the target is parsed, not when it is evaluated. A target's
//! length and nesting are limited, and evaluation takes time in proportion to its length and the
//! row's size.

mod column;
mod error;
mod expression;
mod like;
mod literal;
mod read;
mod refusal;

pub(crate) use column::{AgentProperties, Column, ColumnValue};
use error::TARGET_CHARS_MAX;
pub(crate) use error::TargetError;
use expression::Expression;

/// A condition on a row of the table `agents`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target(Expression);

impl Target {
    /// Parses a target.
    pub(crate) fn parse(text: &str) -> Result<Target, TargetError> {
        if text.chars().count() > TARGET_CHARS_MAX {
            return Err(TargetError::Long);
        }
        read::condition(text).map(Target)
    }

    /// Returns whether the condition is true for `row`, neither false nor unknown.
    pub(crate) fn matches(&self, row: &dyn AgentProperties) -> bool {
        self.0.value(row) == ColumnValue::Bool(true)
    }
}

#[cfg(test)]
mod tests;
