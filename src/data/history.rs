//! Lists of actions and of their answers, for administrators.

use jiff::Timestamp;

use super::action::{self, ActionRow, ActionStatus};
use super::command::read_status;
use super::database::{Query, query};
use super::id::Id;
use super::invalid::InvalidColumns;
use super::pages::{Pages, after};
use super::row::Row;
use super::store::Store;
use super::value::SqlValue;

/// Number of rows fetched at a time.
const ROWS_MAX: i64 = 500;

/// The answer of one agent to an action, or the lack of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentAnswer {
    pub(crate) command: Id,
    /// The status of the command.
    pub(crate) status: String,
    /// When the command was sent.
    pub(crate) starttime: Timestamp,
    /// When the answer was stored.
    pub(crate) finishtime: Option<Timestamp>,
    pub(crate) agent: Id,
    /// The name of the agent's host.
    pub(crate) name: String,
    /// The agent's queue.
    pub(crate) queueloc: String,
    /// Whether any result found anything.
    pub(crate) found: bool,
    pub(crate) invalid: InvalidColumns,
}

fn read(mut row: Row) -> AgentAnswer {
    AgentAnswer {
        command: row.read_id("id"),
        status: read_status(&mut row),
        starttime: row.read_time("starttime"),
        finishtime: row.read_optional_time("finishtime"),
        agent: row.read_id("agentid"),
        name: row.read_name("agent"),
        queueloc: row.read_name("queueloc"),
        found: row.read_number("found") != 0,
        invalid: row.into_invalid(),
    }
}

impl Store {
    /// Returns all actions, or those with a status, newest first.
    pub(crate) fn actions(&self, status: Option<ActionStatus>) -> Pages<'_, ActionRow> {
        let status: SqlValue = status.map(ActionStatus::as_str).into();
        Pages::new(move |last| {
            let Query { name, text } = query!("actions_before");
            let text = text.replace("{after}", after(last, "actions.id < $3"));
            let mut values = vec![status.clone(), ROWS_MAX.into()];
            values.extend_from_slice(last);
            let query = Query { name, text: text.into() };
            self.page(&query, &values, ROWS_MAX, &[0], action::read)
        })
    }

    /// Returns the answers of all agents to an action, in the order of the commands' ids.
    pub(crate) fn answers(&self, action: Id) -> Pages<'_, AgentAnswer> {
        Pages::new(move |last| {
            let Query { name, text } = query!("agent_answers_after");
            let text = text
                .replace("{after}", after(last, "commands.id > $3"))
                .replace("{found}", (self.database().dialect().found_anything)(true));
            let mut values = vec![action.into(), ROWS_MAX.into()];
            values.extend_from_slice(last);
            let query = Query { name, text: text.into() };
            self.page(&query, &values, ROWS_MAX, &[0], read)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::CommandStatus;
    use crate::data::testing::{DatabaseKind, on_each_database};
    use crate::data::tests::{NOON, action, agent, filled, time};

    on_each_database!(
        actions_are_listed_newest_first_and_by_status,
        answers_name_the_agent_and_whether_anything_was_found
    );

    fn actions_are_listed_newest_first_and_by_status(kind: DatabaseKind) {
        let (_tables, store) = filled(kind);
        store.insert_action(&action(11), &[]).unwrap();
        store.invalidate_action(Id::new(11), time(NOON)).unwrap();
        let ids = |status| {
            let ids: Result<Vec<i64>, _> = store
                .actions(status)
                .map(|action| action.map(|action| action.id.number()))
                .collect();
            ids.unwrap()
        };
        assert_eq!(ids(None), [11, 10]);
        assert_eq!(ids(Some(ActionStatus::Pending)), [10]);
        assert_eq!(ids(Some(ActionStatus::Completed)), [0; 0]);
    }

    fn answers_name_the_agent_and_whether_anything_was_found(kind: DatabaseKind) {
        let (_tables, store) = filled(kind);
        store.upsert_agent(&agent(6)).unwrap();
        store.upsert_agent(&agent(7)).unwrap();
        let commands: Vec<_> = (5..8).map(|agent| (Id::new(15 + agent), Id::new(agent))).collect();
        let now = time(NOON);
        store.begin_action(Id::new(10), &commands, "[]", now).unwrap();
        let found = r#"[{"foundanything":false},{"foundanything":true}]"#;
        store.finish_command(Id::new(20), CommandStatus::Success, found, now).unwrap();
        let none = r#"[{"foundanything":false}]"#;
        store.finish_command(Id::new(21), CommandStatus::Success, none, now).unwrap();
        let answers: Result<Vec<AgentAnswer>, _> = store.answers(Id::new(10)).collect();
        let listed: Vec<_> = answers
            .unwrap()
            .into_iter()
            .map(|one| (one.command.number(), one.agent.number(), one.status, one.found))
            .collect();
        let status = |status: CommandStatus| status.as_str().to_owned();
        assert_eq!(
            listed,
            [
                (20, 5, status(CommandStatus::Success), true),
                (21, 6, status(CommandStatus::Success), false),
                (22, 7, status(CommandStatus::Sent), false),
            ]
        );
    }
}
