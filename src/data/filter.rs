//! Search parameters, and the SQL condition built from them.
//!
//! **Invariant.** Text from a request becomes a query parameter, never part of the query's text:
//! the text consists only of the pieces in this file.

use jiff::Timestamp;

use super::database::{Dialect, Query};
use super::error::DataError;
use super::id::Id;
use super::row::Row;
use super::store::Store;
use super::value::SqlValue;

/// Size of a search's rows, in bytes, after which no further ones are read.
const SEARCH_BYTES_MAX: usize = 64 << 20;

/// The part of a search's rows to return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SearchPage {
    /// Maximum number of rows. There are fewer if these are large.
    pub(crate) limit: i64,
    /// Number of rows to skip.
    pub(crate) offset: i64,
}

/// The conditions of a search. A row must satisfy each field that is set. Texts are patterns with
/// the wildcards `%` and `_`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct SearchFilter {
    pub(crate) action: Option<Id>,
    pub(crate) action_name: Option<String>,
    pub(crate) agent: Option<Id>,
    pub(crate) agent_name: Option<String>,
    pub(crate) agent_version: Option<String>,
    pub(crate) command: Option<Id>,
    /// An investigator who signed the action.
    pub(crate) investigator: Option<Id>,
    /// The name of an investigator who signed the action.
    pub(crate) investigator_name: Option<String>,
    /// The status of the rows searched for: commands, actions, agents or investigators.
    pub(crate) status: Option<String>,
    pub(crate) threat_family: Option<String>,
    /// Whether a result of the command found anything.
    pub(crate) found: Option<bool>,
    /// The beginning of the period.
    pub(crate) after: Option<Timestamp>,
    /// The end of the period.
    pub(crate) before: Option<Timestamp>,
}

/// A condition under construction, with the values of its parameters.
pub(super) struct Condition {
    dialect: Dialect,
    parts: Vec<String>,
    values: Vec<SqlValue>,
}

impl Condition {
    fn new(dialect: Dialect) -> Condition {
        Condition { dialect, parts: Vec::new(), values: Vec::new() }
    }

    /// Adds a parameter; returns its placeholder in the text.
    fn value(&mut self, value: impl Into<SqlValue>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Adds `column operator value` if a value is given.
    fn compare(&mut self, column: &str, operator: &str, value: Option<impl Into<SqlValue>>) {
        if let Some(value) = value {
            let value = self.value(value);
            self.parts.push(format!("{column} {operator} {value}"));
        }
    }

    /// Adds the condition that a column equals an id, if one is given.
    fn id(&mut self, column: &str, id: Option<Id>) {
        if let Some(id) = id {
            let value = self.value(id);
            self.parts.push(format!("{column} = cast({value} as bigint)"));
        }
    }

    /// Adds the condition that a column matches a pattern, if one is given.
    fn like(&mut self, column: &str, pattern: Option<&String>) {
        if let Some(pattern) = pattern {
            let value = self.value(pattern.as_str());
            let like = self.dialect.like;
            self.parts.push(format!("{column} {like} {value} escape '\\'"));
        }
    }

    /// Adds the condition that two columns lie in the period of `filter`, whose ends are optional:
    /// the first column after its beginning, the second before its end.
    fn period(&mut self, columns: [&str; 2], filter: &SearchFilter) {
        self.compare(columns[0], ">=", filter.after);
        self.compare(columns[1], "<=", filter.before);
    }

    /// Adds a condition on other tables: one row of those selected by `from` satisfies everything
    /// that `inner` adds.
    fn exists(&mut self, from: &str, inner: impl FnOnce(&mut Condition)) {
        let outer = std::mem::take(&mut self.parts);
        inner(self);
        let parts = std::mem::replace(&mut self.parts, outer);
        if !parts.is_empty() {
            self.parts.push(format!("exists (select 1 from {from} and {})", parts.join(" and ")));
        }
    }

    /// Returns the query with the condition and the page filled in.
    fn finish(mut self, query: &Query, page: SearchPage) -> (Query, Vec<SqlValue>) {
        let condition =
            if self.parts.is_empty() { "1 = 1".to_owned() } else { self.parts.join(" and ") };
        let limit = self.value(page.limit);
        let offset = self.value(page.offset);
        let text = query
            .text
            .replace("{where}", &condition)
            .replace("{limit}", &format!("cast({limit} as bigint)"))
            .replace("{offset}", &format!("cast({offset} as bigint)"));
        (Query { name: query.name, text: text.into() }, self.values)
    }
}

impl Store {
    /// Returns a page of the rows of `query` that satisfy what `restrict` adds to the condition. It
    /// ends with the row that exceeds [`SEARCH_BYTES_MAX`].
    pub(super) fn search<T>(
        &self,
        query: &Query,
        page: SearchPage,
        restrict: impl FnOnce(&mut Condition),
        read: fn(Row) -> T,
    ) -> Result<Vec<T>, DataError> {
        let mut condition = Condition::new(self.database().dialect());
        restrict(&mut condition);
        let (query, values) = condition.finish(query, page);
        let rows = self.database().rows_within(&query, &values, SEARCH_BYTES_MAX)?;
        Ok(rows.into_iter().map(read).collect())
    }
}

impl SearchFilter {
    pub(super) fn restrict_actions(&self, condition: &mut Condition) {
        self.match_action(condition);
        condition.like("actions.status", self.status.as_ref());
        condition.period(["actions.validfrom", "actions.expireafter"], self);
        condition.exists(
            "commands inner join agents on agents.id = commands.agentid where commands.actionid = actions.id",
            |inner| {
                inner.id("commands.id", self.command);
                self.match_agent(inner);
                self.match_found(inner);
            },
        );
    }

    pub(super) fn restrict_commands(&self, condition: &mut Condition) {
        self.match_action(condition);
        self.match_agent(condition);
        condition.id("commands.id", self.command);
        condition.like("commands.status", self.status.as_ref());
        condition.period(["commands.starttime"; 2], self);
        self.match_found(condition);
    }

    pub(super) fn restrict_agents(&self, condition: &mut Condition) {
        self.match_agent(condition);
        condition.like("agents.status", self.status.as_ref());
        condition.period(["agents.heartbeattime"; 2], self);
        condition.exists(
            "commands inner join actions on actions.id = commands.actionid where commands.agentid = agents.id",
            |inner| {
                inner.id("commands.id", self.command);
                self.match_action(inner);
            },
        );
    }

    pub(super) fn restrict_investigators(&self, condition: &mut Condition) {
        condition.id("investigators.id", self.investigator);
        condition.like("investigators.name", self.investigator_name.as_ref());
        condition.like("investigators.status", self.status.as_ref());
        condition.period(["investigators.lastmodified"; 2], self);
    }

    fn match_action(&self, condition: &mut Condition) {
        condition.id("actions.id", self.action);
        condition.like("actions.name", self.action_name.as_ref());
        condition.like(condition.dialect.threat_family, self.threat_family.as_ref());
        condition.exists(
            "investigators inner join signatures on signatures.investigatorid = investigators.id \
             where signatures.actionid = actions.id",
            |inner| {
                inner.id("investigators.id", self.investigator);
                inner.like("investigators.name", self.investigator_name.as_ref());
            },
        );
    }

    fn match_agent(&self, condition: &mut Condition) {
        condition.id("agents.id", self.agent);
        condition.like("agents.name", self.agent_name.as_ref());
        condition.like("agents.version", self.agent_version.as_ref());
    }

    fn match_found(&self, condition: &mut Condition) {
        if let Some(found) = self.found {
            condition.parts.push("commands.status = 'success'".to_owned());
            condition.parts.push((condition.dialect.found_anything)(found).to_owned());
        }
    }
}
