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
//! | `row` | the values of a row while it is evaluated |
//! | `like` | `LIKE` and `ILIKE` |
//!
//! **Invariants.** Logic has three values, and a target selects an agent only if its condition is
//! *true*. Type errors are found when the target is parsed, not when it is evaluated. A target's
//! length, nesting and number of conditions are limited. Evaluation takes time in proportion to the
//! number of conditions and the row's size, and an [`Evaluation`] for all agents has a time limit.

mod column;
mod error;
mod expression;
mod like;
mod literal;
mod read;
mod refusal;
mod row;

use std::time::Duration;

pub(crate) use column::{AgentProperties, Column, ColumnValue};
pub(crate) use error::TargetError;
use error::{AGENT_TIME, CONDITIONS_MAX, EVALUATION_TIME_MAX, TARGET_CHARS_MAX};
use expression::Expression;
use row::{Row, Value};

use crate::clock::processor_time;

/// A condition on a row of the table `agents`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target(Expression);

impl Target {
    /// Parses a target.
    pub(crate) fn parse(text: &str) -> Result<Target, TargetError> {
        if text.chars().count() > TARGET_CHARS_MAX {
            return Err(TargetError::Long);
        }
        let condition = read::condition(text)?;
        match condition.conditions() > CONDITIONS_MAX {
            true => Err(TargetError::Conditions),
            false => Ok(Target(condition)),
        }
    }

    /// Returns whether the condition is true for `row`, neither false nor unknown.
    pub(crate) fn matches(&self, row: &dyn AgentProperties) -> bool {
        self.0.value(&Row::new(row)) == Value::Bool(true)
    }

    /// Returns an evaluation of the target for all agents.
    pub(crate) fn evaluation(&self) -> Evaluation<'_> {
        Evaluation { target: self, left: EVALUATION_TIME_MAX }
    }
}

/// An evaluation of a target for one agent after the other, with a limit on its processor time.
#[derive(Debug)]
pub(crate) struct Evaluation<'a> {
    target: &'a Target,
    left: Duration,
}

impl Evaluation<'_> {
    /// Returns whether the condition is true for `row`.
    ///
    /// # Errors
    /// The time is used up.
    pub(crate) fn matches(&mut self, row: &dyn AgentProperties) -> Result<bool, TargetError> {
        let begun = processor_time();
        let is_matching = self.target.matches(row);
        let used = processor_time().saturating_sub(begun);
        let left = self.left.saturating_add(AGENT_TIME).checked_sub(used);
        self.left = left.ok_or(TargetError::Slow)?;
        Ok(is_matching)
    }
}

#[cfg(test)]
mod tests;
