//! The step that saves heartbeats: agents are registered and stay online.

use std::sync::mpsc::Receiver;

use super::failure_log::Subject;
use super::{Event, Scheduler};
use crate::data::{DataError, Id};
use crate::platform::agents;
use crate::relay::Heartbeat;

impl Scheduler {
    /// Registers the agents whose heartbeats are in the inbox already.
    ///
    /// # Errors
    /// The database cannot be used.
    pub(crate) fn register_agents(&mut self, events: &Receiver<Event>) -> Result<(), DataError> {
        for event in events.try_iter() {
            if let Event::FromAgent(message) = event {
                self.receive(message);
            }
        }
        for heartbeat in std::mem::take(&mut self.unsaved_heartbeats).into_values() {
            self.save_heartbeat(heartbeat)?;
        }
        Ok(())
    }

    /// Saves the heartbeats that have arrived; keeps those that cannot be saved now.
    pub(super) fn save_heartbeats(&mut self) {
        for (queue, heartbeat) in std::mem::take(&mut self.unsaved_heartbeats) {
            let saved = self.save_heartbeat(heartbeat.clone());
            if self.failures.note(Subject::Heartbeat(queue.clone()), saved).is_none() {
                self.unsaved_heartbeats.insert(queue, heartbeat);
            }
        }
    }

    /// Saves a heartbeat under the id that the agent's queue has had before, if it has had one.
    fn save_heartbeat(&mut self, heartbeat: Heartbeat) -> Result<(), DataError> {
        let queue = heartbeat.queue.clone();
        let known = self.agents.get(&queue).copied();
        let id = match known {
            Some(id) => id,
            None => self.id_of(&queue)?,
        };
        let row = agents::row(id, heartbeat);
        self.store.upsert_agent(&row)?;
        if known.is_none() {
            slog::info!(self.log, "agent registered"; "agent" => id.number(), "name" => &row.name);
            self.agents.insert(queue, id);
        }
        Ok(())
    }

    fn id_of(&self, queue: &str) -> Result<Id, DataError> {
        Ok(self.store.agent_id_at(queue)?.unwrap_or_else(|| self.ids.next()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::data::testing::{DatabaseKind as Kind, on_each_database};
    use crate::platform::scheduler::testing::{Rig, agent, noon};
    use crate::relay::{AgentMessage, Inbox};

    on_each_database!(heartbeats_keep_the_id_of_a_known_queue);

    fn heartbeat(started: Timestamp) -> Heartbeat {
        Heartbeat {
            name: "host".to_owned(),
            queue: agent().queueloc,
            mode: "daemon".to_owned(),
            version: "2".to_owned(),
            pid: 2,
            started,
            sent: started,
            refreshed: started,
            environment: "{}".to_owned(),
            tags: "{}".to_owned(),
        }
    }

    fn heartbeats_keep_the_id_of_a_known_queue(kind: Kind) {
        let mut rig = Rig::new(kind);
        let (inbox, events) = channel();
        let now = noon() + SignedDuration::from_secs(5);
        let other = Heartbeat { queue: "linux.other".to_owned(), ..heartbeat(now) };
        for heartbeat in [heartbeat(now), other] {
            inbox.deliver(AgentMessage::Heartbeat(heartbeat)).unwrap();
        }
        rig.scheduler.register_agents(&events).unwrap();
        let known = rig.store.agent(agent().id).unwrap().unwrap();
        assert_eq!((known.version.as_str(), known.pid, known.starttime), ("2", 2, now));
        assert_eq!(rig.store.live_agents().count(), 2);
        // A later heartbeat brings an agent back online.
        rig.collect_after(36_001);
        assert_eq!(rig.store.agent(agent().id).unwrap().unwrap().status, "idle");
        rig.scheduler
            .receive(AgentMessage::Heartbeat(heartbeat(noon() + SignedDuration::from_hours(11))));
        rig.collect_after(36_002);
        assert_eq!(rig.store.agent(agent().id).unwrap().unwrap().status, "online");
    }
}
