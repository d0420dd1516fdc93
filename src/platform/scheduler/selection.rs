//! Which agents get an action: those that are online or idle and that its target selects.
//!
//! The agents that the relay reaches are evaluated first, and again while the action waits for one.
//! The others are evaluated once. Anyone can register such agents with a heartbeat to the API, so
//! they must neither delay an action nor make it invalid: if they use up the time for the target,
//! the rest of them is skipped. At most [`UNREACHED_MAX`] of them get a command, so that they do not
//! fill the database and the results of an action.

use std::sync::Arc;

use jiff::Timestamp;

use super::failure_log::Subject;
use super::{ScheduleError, Scheduler};
use crate::chain::Chain;
use crate::data::{ActionRow, AgentRow, DataError, Id, InvalidColumns, Store};
use crate::platform::target::{Column, Evaluation, Target, TargetError};
use crate::platform::view;

/// Maximum number of agents that the relay does not reach and that get a command of an action.
const UNREACHED_MAX: usize = 20;

/// Why an action is not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidAction {
    #[error("columns in the database cannot be read: {0}")]
    Unreadable(InvalidColumns),
    #[error("expired before it could be sent")]
    Expired,
    #[error("invalid target")]
    Target(#[from] TargetError),
    #[error("target matches no agent that is online or idle")]
    NoAgent,
}

type LiveAgents<'a> = Box<dyn Iterator<Item = Result<AgentRow, DataError>> + 'a>;

impl Scheduler {
    /// Returns the agents that an action's target selects. Those that the relay does not reach are
    /// considered only if the action `is_new`.
    pub(super) fn selected(
        &mut self,
        action: &ActionRow,
        is_new: bool,
        now: Timestamp,
    ) -> Result<Result<Vec<Id>, InvalidAction>, DataError> {
        if action.invalid.is_any_unreadable(&view::SIGNED) {
            return Ok(Err(InvalidAction::Unreadable(action.invalid.clone())));
        }
        if action.expireafter <= now {
            return Ok(Err(InvalidAction::Expired));
        }
        let target = match Target::parse(&action.target) {
            Ok(target) => target,
            Err(error) => return Ok(Err(error.into())),
        };
        let mut evaluation = target.evaluation();
        let mut ids = Vec::new();
        let store = Arc::clone(&self.store);
        for agent in self.reached_agents(&store)? {
            match self.id_if_selected(&mut evaluation, &agent?) {
                Ok(id) => ids.extend(id),
                Err(error) => return Ok(Err(error.into())),
            }
        }
        if is_new && self.commands.only_queue().is_some() {
            self.add_unreached(action.id, &mut evaluation, &mut ids)?;
        }
        Ok(if ids.is_empty() { Err(InvalidAction::NoAgent) } else { Ok(ids) })
    }

    /// Returns the agents that the relay reaches.
    fn reached_agents<'a>(&self, store: &'a Store) -> Result<LiveAgents<'a>, DataError> {
        Ok(match self.commands.only_queue() {
            Some(queue) => Box::new(store.live_agent_at(queue)?.map(Ok).into_iter()),
            None => Box::new(store.live_agents()),
        })
    }

    /// Adds the first of the selected agents that the relay does not reach, as far as the time of the
    /// evaluation allows.
    fn add_unreached(
        &mut self,
        action: Id,
        evaluation: &mut Evaluation<'_>,
        ids: &mut Vec<Id>,
    ) -> Result<(), DataError> {
        let store = Arc::clone(&self.store);
        let (ids_max, mut left_out) = (ids.len() + UNREACHED_MAX, 0);
        for agent in store.live_agents() {
            let agent = agent?;
            if self.commands.reaches(&agent.queueloc) {
                continue;
            }
            match self.id_if_selected(evaluation, &agent) {
                Ok(Some(id)) if ids.len() < ids_max => ids.push(id),
                Ok(Some(_)) => left_out += 1,
                Ok(None) => {}
                Err(error) => {
                    slog::warn!(self.log, "target takes too long; the remaining agents of other hosts are skipped";
                        "action" => action.number(), "agents" => ids.len(), "error" => %Chain(&error));
                    break;
                }
            }
        }
        if left_out > 0 {
            slog::warn!(self.log, "target selects too many agents of other hosts; some of them get no command";
                "action" => action.number(), "maximum" => UNREACHED_MAX, "left out" => left_out);
        }
        Ok(())
    }

    /// Returns the id of an agent if the target selects the agent.
    fn id_if_selected(
        &mut self,
        evaluation: &mut Evaluation<'_>,
        agent: &AgentRow,
    ) -> Result<Option<Id>, TargetError> {
        let is_readable = !agent.invalid.is_any_unreadable(&Column::ALL.map(Column::name));
        let read = is_readable.then_some(());
        let read = read.ok_or_else(|| ScheduleError::Columns(agent.invalid.clone()));
        self.failures.note(Subject::Agent(agent.id), read);
        // A command cannot refer to an agent whose id cannot be read.
        let is_selected = evaluation.matches(agent)? && !agent.invalid.is_unreadable("id");
        Ok(is_selected.then_some(agent.id))
    }
}
