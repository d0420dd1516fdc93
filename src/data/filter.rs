//! What a search asks for, and the condition that it becomes.
//!
//! **Invariant.** What comes from outside is a value of a query, never a part of its
//! text: the text is put together from the pieces in this file alone.

use jiff::Timestamp;

use super::Id;
use super::database::{Dialect, Query, Value};

/// Which part of an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// How many rows at most.
    pub(crate) limit: i64,
    /// How many rows before them are left out.
    pub(crate) offset: i64,
}

/// What a row must be like; each field that is set must hold. Texts are patterns with `%` and `_`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Filter {
    pub(crate) action: Option<Id>,
    pub(crate) action_name: Option<String>,
    pub(crate) agent: Option<Id>,
    pub(crate) agent_name: Option<String>,
    pub(crate) agent_version: Option<String>,
    pub(crate) command: Option<Id>,
    /// The number of an investigator who signed the action.
    pub(crate) investigator: Option<Id>,
    /// The name of an investigator who signed the action.
    pub(crate) investigator_name: Option<String>,
    /// The status of the command, the action or the agent.
    pub(crate) status: Option<String>,
    pub(crate) threat_family: Option<String>,
    /// Whether a result of the command found anything.
    pub(crate) found: Option<bool>,
    /// The beginning of the period.
    pub(crate) after: Option<Timestamp>,
    /// The end of the period.
    pub(crate) before: Option<Timestamp>,
}

/// A condition that is being put together.
struct Condition {
    dialect: Dialect,
    parts: Vec<String>,
    values: Vec<Value>,
}

impl Condition {
    fn new(dialect: Dialect) -> Condition {
        Condition { dialect, parts: Vec::new(), values: Vec::new() }
    }

    /// Adds a value; returns how the text refers to it.
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Adds `column operator value`, where there is a value.
    fn compare(&mut self, column: &str, operator: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            let value = self.value(value);
            self.parts.push(format!("{column} {operator} {value}"));
        }
    }

    /// Adds that a column holds an id, where there is one.
    fn id(&mut self, column: &str, id: Option<Id>) {
        if let Some(id) = id {
            let value = self.value(id);
            self.parts.push(format!("{column} = cast({value} as bigint)"));
        }
    }

    /// Adds that a column is like a pattern, where there is one.
    fn like(&mut self, column: &str, pattern: Option<&String>) {
        if let Some(pattern) = pattern {
            let value = self.value(pattern.as_str());
            let like = self.dialect.like;
            self.parts.push(format!("{column} {like} {value} escape '\\'"));
        }
    }

    /// Adds a condition on other tables: all of `inner` in one row of what `from` selects.
    fn exists(&mut self, from: &str, inner: impl FnOnce(&mut Condition)) {
        let outer = std::mem::take(&mut self.parts);
        inner(self);
        let parts = std::mem::replace(&mut self.parts, outer);
        if !parts.is_empty() {
            self.parts.push(format!("exists (select 1 from {from} and {})", parts.join(" and ")));
        }
    }

    /// Returns the query with the condition in its place.
    fn finish(mut self, query: &Query, page: Page) -> (Query, Vec<Value>) {
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

impl Filter {
    /// Returns the query for actions.
    pub(super) fn of_actions(
        &self,
        query: &Query,
        page: Page,
        dialect: Dialect,
    ) -> (Query, Vec<Value>) {
        let mut condition = Condition::new(dialect);
        self.action(&mut condition);
        condition.like("actions.status", self.status.as_ref());
        condition.compare("actions.validfrom", ">=", self.after);
        condition.compare("actions.expireafter", "<=", self.before);
        condition.exists(
            "commands inner join agents on agents.id = commands.agentid where commands.actionid = actions.id",
            |inner| {
                inner.id("commands.id", self.command);
                self.agent(inner);
                self.found(inner);
            },
        );
        condition.finish(query, page)
    }

    /// Returns the query for commands.
    pub(super) fn of_commands(
        &self,
        query: &Query,
        page: Page,
        dialect: Dialect,
    ) -> (Query, Vec<Value>) {
        let mut condition = Condition::new(dialect);
        self.action(&mut condition);
        self.agent(&mut condition);
        condition.id("commands.id", self.command);
        condition.like("commands.status", self.status.as_ref());
        condition.compare("commands.starttime", ">=", self.after);
        condition.compare("commands.starttime", "<=", self.before);
        self.found(&mut condition);
        condition.finish(query, page)
    }

    /// Returns the query for agents.
    pub(super) fn of_agents(
        &self,
        query: &Query,
        page: Page,
        dialect: Dialect,
    ) -> (Query, Vec<Value>) {
        let mut condition = Condition::new(dialect);
        self.agent(&mut condition);
        condition.like("agents.status", self.status.as_ref());
        condition.compare("agents.heartbeattime", ">=", self.after);
        condition.compare("agents.heartbeattime", "<=", self.before);
        condition.exists(
            "commands inner join actions on actions.id = commands.actionid where commands.agentid = agents.id",
            |inner| {
                inner.id("commands.id", self.command);
                self.action(inner);
            },
        );
        condition.finish(query, page)
    }

    /// Returns the query for investigators.
    pub(super) fn of_investigators(
        &self,
        query: &Query,
        page: Page,
        dialect: Dialect,
    ) -> (Query, Vec<Value>) {
        let mut condition = Condition::new(dialect);
        condition.id("investigators.id", self.investigator);
        condition.like("investigators.name", self.investigator_name.as_ref());
        condition.like("investigators.status", self.status.as_ref());
        condition.compare("investigators.lastmodified", ">=", self.after);
        condition.compare("investigators.lastmodified", "<=", self.before);
        condition.finish(query, page)
    }

    fn action(&self, condition: &mut Condition) {
        condition.id("actions.id", self.action);
        condition.like("actions.name", self.action_name.as_ref());
        condition.like(condition.dialect.family, self.threat_family.as_ref());
        condition.exists(
            "investigators inner join signatures on signatures.investigatorid = investigators.id \
             where signatures.actionid = actions.id",
            |inner| {
                inner.id("investigators.id", self.investigator);
                inner.like("investigators.name", self.investigator_name.as_ref());
            },
        );
    }

    fn agent(&self, condition: &mut Condition) {
        condition.id("agents.id", self.agent);
        condition.like("agents.name", self.agent_name.as_ref());
        condition.like("agents.version", self.agent_version.as_ref());
    }

    fn found(&self, condition: &mut Condition) {
        if let Some(found) = self.found {
            condition.parts.push("commands.status = 'success'".to_owned());
            condition.parts.push((condition.dialect.found)(found).to_owned());
        }
    }
}
