//! What was run, and what came of it, as administrators ask for it.

use jiff::Timestamp;

use super::action::{self, ActionRow, ActionStatus};
use super::command::read_status;
use super::database::{Query, Value, query};
use super::pages::{Pages, after};
use super::{Id, Odd, Row, Store};

/// How many rows are in memory at a time.
const ROWS_MAX: i64 = 500;

/// What became of an action at one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) command: Id,
    /// How far the command is.
    pub(crate) status: String,
    /// When it was sent.
    pub(crate) starttime: Timestamp,
    /// When it was done.
    pub(crate) finishtime: Option<Timestamp>,
    pub(crate) agent: Id,
    /// The name of the agent's host.
    pub(crate) name: String,
    /// Where its commands are sent.
    pub(crate) queueloc: String,
    /// Whether a result found anything.
    pub(crate) found: bool,
    /// Which columns cannot be read.
    pub(crate) odd: Odd,
}

fn read(mut row: Row) -> Answer {
    Answer {
        command: row.read_id("id"),
        status: read_status(&mut row),
        starttime: row.read_time("starttime"),
        finishtime: row.read_optional_time("finishtime"),
        agent: row.read_id("agentid"),
        name: row.read_name("agent"),
        queueloc: row.read_name("queueloc"),
        found: row.read_number("found") != 0,
        odd: row.into_odd(),
    }
}

impl Store {
    /// Returns the actions, the latest first; with a status those that have it.
    pub(crate) fn actions(&self, status: Option<ActionStatus>) -> Pages<'_, ActionRow> {
        let status: Value = status.map(ActionStatus::as_str).into();
        Pages::new(move |last| {
            let Query { name, text } = query!("actions_before");
            let text = text.replace("{after}", after(last, "actions.id < $3"));
            let mut values = vec![status.clone(), ROWS_MAX.into()];
            values.extend_from_slice(last);
            let query = Query { name, text: text.into() };
            self.page(&query, &values, ROWS_MAX, &[0], action::read)
        })
    }

    /// Returns what became of an action at each agent.
    pub(crate) fn answers(&self, action: Id) -> Pages<'_, Answer> {
        Pages::new(move |last| {
            let Query { name, text } = query!("answers_after");
            let text = text
                .replace("{after}", after(last, "commands.id > $3"))
                .replace("{found}", (self.database().dialect().found)(true));
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
    use crate::data::CommandStatus;
    use crate::data::testing::{Kind, on_each_database};
    use crate::data::tests::{NOON, action, agent, filled, time};

    on_each_database!(
        actions_come_latest_first_and_by_status,
        an_answer_tells_who_and_whether_anything_was_found
    );

    fn actions_come_latest_first_and_by_status(kind: Kind) {
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

    fn an_answer_tells_who_and_whether_anything_was_found(kind: Kind) {
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
        let answers: Result<Vec<Answer>, _> = store.answers(Id::new(10)).collect();
        let told: Vec<_> = answers
            .unwrap()
            .into_iter()
            .map(|one| (one.command.number(), one.agent.number(), one.status, one.found))
            .collect();
        let status = |status: CommandStatus| status.as_str().to_owned();
        assert_eq!(
            told,
            [
                (20, 5, status(CommandStatus::Success), true),
                (21, 6, status(CommandStatus::Success), false),
                (22, 7, status(CommandStatus::Sent), false),
            ]
        );
    }
}
