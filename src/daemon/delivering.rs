//! Giving results to plugins: which runs wait for a worker, and which plugin is next.

use jiff::Timestamp;

use super::engine::Engine;
use super::index::Key;
use super::workers::Pool;
use crate::spool::Folder;
use crate::stage::{PastAttempts, Work, deliver};

impl Engine {
    /// Lets a run wait for a worker if one of its plugins is due, or does what else is to be done with it.
    pub(super) fn step_deliveries(&mut self, key: &Key, now: Timestamp) {
        match self.plan_deliveries(key, now) {
            None => {}
            Some(deliver::DeliveryPlan::Reject(reason)) => self.reject(key, &reason, now),
            Some(deliver::DeliveryPlan::Move(moved)) => self.make(key, &moved, now),
            Some(deliver::DeliveryPlan::Start(due, next)) => {
                if !due.is_empty() {
                    self.enqueue(key, Pool::Deliver);
                }
                self.index.schedule(key, next);
            }
        }
    }

    /// Starts plugins as far as workers are free, one of each job in turn.
    pub(super) fn serve_deliveries(&mut self, now: Timestamp) {
        while self.workers.is_free(Pool::Deliver) && !self.is_stopping() {
            let Some(key) = self.waiting_for(Pool::Deliver).pop() else { break };
            let Some(deliver::DeliveryPlan::Start(due, _)) = self.plan_deliveries(&key, now) else {
                // What else is to be done is decided anew, or the run has gone.
                self.step_deliveries(&key, now);
                continue;
            };
            let has_more = due.len() > 1;
            let Some(plugin) = due.into_iter().next() else { continue };
            // If it cannot be started, the run has been put off.
            if self.start(&key, Work::Deliver(plugin), now) && has_more {
                let party = self.party(&key);
                self.waiting_for(Pool::Deliver).push_first(&key, party);
            }
        }
    }

    /// Says what is to be done with a run in `command/returned`; nothing if it is not there any more.
    fn plan_deliveries(&self, key: &Key, now: Timestamp) -> Option<deliver::DeliveryPlan> {
        let live = self.index.get(key)?;
        if live.folder != Folder::Returned || live.tries.busy {
            return None;
        }
        let giveup = self.parts.settings.delivery_giveup;
        Some(deliver::decide(&live.facts, now, giveup, |plugin| {
            match live.tries.plugins.get(plugin) {
                Some(tries) if tries.busy => None,
                Some(tries) => Some(tries.past()),
                None => Some(PastAttempts::NONE),
            }
        }))
    }
}
