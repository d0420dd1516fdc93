//! The steps of actions: taken up, sent to the agents they are for, completed.

use jiff::Timestamp;

use super::{ScheduleError, Scheduler};
use crate::action::CommandStatus;
use crate::agent::empty_results;
use crate::chain::Chain;
use crate::clock::{after, elapsed};
use crate::data::{ActionRow, ActionStatus, DataError, Id, InvalidColumns};
use crate::platform::spool::{Name, Place};
use crate::platform::target::{Target, TargetError};
use crate::platform::view::{self, ViewError};

/// Why an action will not be sent.
#[derive(Debug, thiserror::Error)]
enum Invalid {
    #[error("the database has columns of it that cannot be read: {0}")]
    Odd(InvalidColumns),
    #[error("it expired before it could be sent")]
    Expired,
    #[error("its target cannot be used")]
    Target(#[from] TargetError),
    #[error("its target selects no agent that is online or idle")]
    Nobody,
}

/// Returns why nothing can be done with an action, if its id cannot be read.
pub(super) fn without_id(action: &ActionRow) -> Option<ScheduleError> {
    let damage = || ViewError::Odd { id: action.id, odd: action.invalid.clone() };
    action.invalid.is_unreadable("id").then(|| damage().into())
}

/// Returns until when the target of an action that selects no agent is evaluated again: until half of its
/// period has passed. The agent of a host that was suspended is heard within that time, and what
/// the agent then finds can still be waited for.
fn last_chance(action: &ActionRow) -> Timestamp {
    after(action.validfrom, elapsed(action.validfrom, action.expireafter) / 2)
}

impl Scheduler {
    /// Takes up the actions that were posted and may begin.
    pub(super) fn take_up(&mut self, now: Timestamp) {
        let pending = match self.store.pending_actions(now) {
            Ok(pending) => pending,
            Err(error) => {
                slog::error!(self.log, "new actions cannot be read"; "error" => %Chain(&error));
                return;
            }
        };
        for action in pending {
            let name = Name::action(action.id);
            if let Some(damage) = without_id(&action) {
                self.tell(Place::ActionNew, name, &damage);
                continue;
            }
            let taken = self.action_text(&action).and_then(|text| {
                self.spool.create(Place::ActionNew, name, &text)?;
                Ok(self.store.set_action_status(action.id, ActionStatus::Scheduled, now)?)
            });
            if let Err(error) = taken {
                self.tell(Place::ActionNew, name, &error);
            }
        }
    }

    /// Sends an action of `new` to the agents that it is for.
    pub(super) fn send(&mut self, name: Name, now: Timestamp) -> Result<(), ScheduleError> {
        let action = self.store.action(name.action)?.ok_or(ScheduleError::Unknown)?;
        // What is over is not begun again, whoever put its file here.
        for (over, place) in [
            (ActionStatus::Invalid, Place::ActionInvalid),
            (ActionStatus::Completed, Place::ActionDone),
        ] {
            if action.status == over.as_str() {
                return Ok(self.spool.shift(name, Place::ActionNew, place)?);
            }
        }
        // Otherwise it was sent before a crash, and only its files are missing.
        if action.status != ActionStatus::Inflight.as_str() {
            let is_new = action.status != ActionStatus::Preparing.as_str();
            if is_new {
                self.store.set_action_status(action.id, ActionStatus::Preparing, now)?;
            }
            let agents = match self.selected(&action, now)? {
                Ok(agents) => agents,
                Err(Invalid::Nobody) if now < last_chance(&action) => {
                    if is_new {
                        slog::info!(self.log, "no agent matches yet";
                            "action" => action.id.number(), "until" => %last_chance(&action));
                    }
                    return Ok(());
                }
                Err(invalid) => {
                    slog::warn!(self.log, "action is invalid";
                        "action" => action.id.number(), "error" => %Chain(&invalid));
                    self.store.invalidate_action(action.id, now)?;
                    self.spool.shift(name, Place::ActionNew, Place::ActionInvalid)?;
                    return Ok(());
                }
            };
            let commands: Vec<_> =
                agents.into_iter().map(|agent| (self.ids.next(), agent)).collect();
            let results = empty_results(&action.operations)?;
            self.store.begin_action(action.id, &commands, &results, now)?;
            slog::info!(self.log, "action sent";
                "action" => action.id.number(), "agents" => commands.len());
        }
        self.ready(&action)?;
        self.spool.shift(name, Place::ActionNew, Place::ActionInflight)?;
        Ok(())
    }

    /// Returns the agents that an action is for.
    fn selected(
        &self,
        action: &ActionRow,
        now: Timestamp,
    ) -> Result<Result<Vec<Id>, Invalid>, DataError> {
        if action.invalid.is_any_unreadable(&view::SIGNED) {
            return Ok(Err(Invalid::Odd(action.invalid.clone())));
        }
        if action.expireafter <= now {
            return Ok(Err(Invalid::Expired));
        }
        let target = match Target::parse(&action.target) {
            Ok(target) => target,
            Err(error) => return Ok(Err(error.into())),
        };
        let agents = self.store.live_agents()?;
        // No command can belong to an agent whose id cannot be read.
        let agents = agents.iter().filter(|agent| !agent.invalid.is_unreadable("id"));
        let ids: Vec<Id> =
            agents.filter(|agent| target.matches(*agent)).map(|agent| agent.id).collect();
        Ok(if ids.is_empty() { Err(Invalid::Nobody) } else { Ok(ids) })
    }

    /// Completes an action of which every command is done.
    pub(super) fn complete(&mut self, name: Name, now: Timestamp) -> Result<(), ScheduleError> {
        let counters = self.store.command_counts(name.action)?;
        if counters.of(CommandStatus::Sent) > 0 {
            return Ok(());
        }
        self.store.complete_action(name.action, now)?;
        let action = self.store.action(name.action)?.ok_or(ScheduleError::Unknown)?;
        let text = view::summary(&action, &counters).to_json();
        self.spool.create(Place::ActionDone, name, &text)?;
        self.spool.remove(Place::ActionInflight, name)?;
        slog::info!(self.log, "action completed"; "action" => name.action.number());
        Ok(())
    }
}
