//! The steps of actions: accepted, sent to the agents that their targets select, completed.

use jiff::Timestamp;

use super::commands::empty_results;
use super::failure_log::Subject;
use super::selection::InvalidAction;
use super::{ScheduleError, Scheduler, without_id};
use crate::action::CommandStatus;
use crate::chain::Chain;
use crate::clock::{after, elapsed};
use crate::data::{ActionRow, ActionStatus};
use crate::platform::spool::{EntryName, SpoolFolder};
use crate::platform::view;

/// Returns the time until which a target that selects no agent is evaluated again: half of the
/// action's period. By then the agent of a suspended host has sent a heartbeat, and enough time
/// remains to wait for its results.
fn wait_end(action: &ActionRow) -> Timestamp {
    after(action.validfrom, elapsed(action.validfrom, action.expireafter) / 2)
}

impl Scheduler {
    /// Creates entries for the actions that were posted and whose period has begun.
    pub(super) fn accept_pending(&mut self, now: Timestamp) {
        let pending = self.store.pending_actions(now);
        let Some(pending) = self.failures.note(Subject::NewActions, pending) else { return };
        self.failures.keep_new_actions(&pending);
        for action in pending {
            let name = EntryName::action(action.id);
            let subject = Subject::NewAction(action.id);
            if let Some(damage) = without_id(&action) {
                self.failures.report(subject, damage);
                continue;
            }
            let accepted = self.action_text(&action).and_then(|text| {
                self.spool.create(SpoolFolder::ActionNew, name, &text)?;
                Ok(self.store.set_action_status(action.id, ActionStatus::Scheduled, now)?)
            });
            self.failures.note(subject, accepted);
        }
    }

    /// Creates the commands of an action in `new`, one for each agent that its target selects. Those
    /// to agents that the relay does not reach are rows without a file.
    pub(super) fn send(&mut self, name: EntryName, now: Timestamp) -> Result<(), ScheduleError> {
        let action = self.store.action(name.action)?.ok_or(ScheduleError::Unknown)?;
        // An action that has ended is not sent again, even if an operator moves its file here.
        for (ended, folder) in [
            (ActionStatus::Invalid, SpoolFolder::ActionInvalid),
            (ActionStatus::Completed, SpoolFolder::ActionDone),
        ] {
            if action.status == ended.as_str() {
                return Ok(self.spool.shift(name, SpoolFolder::ActionNew, folder)?);
            }
        }
        // An action that is inflight was sent before a crash, and only its files are missing.
        if action.status != ActionStatus::Inflight.as_str() {
            let is_new = action.status != ActionStatus::Preparing.as_str();
            let agents = match self.selected(&action, is_new, now)? {
                Ok(agents) => agents,
                Err(InvalidAction::NoAgent) if now < wait_end(&action) => {
                    if is_new {
                        self.store.set_action_status(action.id, ActionStatus::Preparing, now)?;
                        slog::info!(self.log, "no agent matches yet";
                            "action" => action.id.number(), "until" => %wait_end(&action));
                    }
                    return Ok(());
                }
                Err(invalid) => {
                    slog::warn!(self.log, "action is invalid";
                        "action" => action.id.number(), "error" => %Chain(&invalid));
                    self.store.invalidate_action(action.id, now)?;
                    self.spool.shift(name, SpoolFolder::ActionNew, SpoolFolder::ActionInvalid)?;
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
        self.spool.shift(name, SpoolFolder::ActionNew, SpoolFolder::ActionInflight)?;
        Ok(())
    }

    /// Completes an action if all its commands have ended.
    pub(super) fn complete(
        &mut self,
        name: EntryName,
        now: Timestamp,
    ) -> Result<(), ScheduleError> {
        let mut counters = self.store.command_counts(name.action)?;
        if counters.of(CommandStatus::Sent) > 0 && self.expire_unreached(name.action, now)? > 0 {
            counters = self.store.command_counts(name.action)?;
        }
        if counters.of(CommandStatus::Sent) > 0 {
            return Ok(());
        }
        self.store.complete_action(name.action, now)?;
        let action = self.store.action(name.action)?.ok_or(ScheduleError::Unknown)?;
        let text = view::summary(&action, &counters).to_json();
        self.spool.create(SpoolFolder::ActionDone, name, &text)?;
        self.spool.remove(SpoolFolder::ActionInflight, name)?;
        slog::info!(self.log, "action completed"; "action" => name.action.number());
        Ok(())
    }
}
