//! The step that removes expired files and rows, and the keys of investigators who may not sign any
//! more.

use std::time::Duration;

use jiff::Timestamp;

use super::failure_log::Subject;
use super::{ScheduleError, Scheduler};
use crate::clock::{before, elapsed};
use crate::platform::agents::SILENCE_MAX;
use crate::platform::spool::SpoolFolder;

/// Time between two searches for expired files and rows.
const PRUNE_PERIOD: Duration = Duration::from_secs(60);
/// Batch size for deleting actions, to keep table locks short.
const ACTIONS_MAX: i64 = 200;
/// Maximum number of agents removed at a time.
const AGENTS_MAX: u64 = 200;

impl Scheduler {
    /// Removes the files and rows that have exceeded their retention, and withdrawn keys, once per
    /// [`PRUNE_PERIOD`].
    pub(super) fn prune(&mut self, now: Timestamp) {
        if self.last_pruned.is_some_and(|last| elapsed(last, now) < PRUNE_PERIOD && last <= now) {
            return;
        }
        self.last_pruned = Some(now);
        let removed = self.prune_silent_agents(before(now, SILENCE_MAX));
        self.failures.note(Subject::SilentAgents, removed);
        self.forget_removed_agents();
        if let Some(signers) = &self.signers {
            self.failures.note(Subject::WithdrawnKeys, signers.remove_withdrawn());
        }
        if let Some(age) = self.settings.retention.spool {
            self.prune_spool(before(now, age));
        }
        if let Some(age) = self.settings.retention.actions {
            self.prune_tables(before(now, age));
        }
    }

    /// Removes the agents of other hosts that have been silent since `since`, with their expired
    /// commands. These agents are known from heartbeats to the API only, which anyone may send, so
    /// they must not accumulate. A relay to a fleet reaches the agents of all hosts, and none is
    /// removed. An agent that has answered a command stays with its answer. One that cannot be removed
    /// does not keep the others.
    fn prune_silent_agents(&self, since: Timestamp) -> Result<(), ScheduleError> {
        let (mut removed, mut failure) = (0, None);
        for agent in self.store.unanswering_agents(since) {
            let (id, queue) = agent?;
            if removed >= AGENTS_MAX || self.stop.is_requested() {
                break;
            }
            let Some(id) = id.filter(|_| !self.commands.reaches(&queue)) else { continue };
            match self.store.delete_agent(id, since) {
                Ok(count) => removed += count,
                Err(error) if error.is_temporary() => return Err(error.into()),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if removed > 0 {
            slog::info!(self.log, "removed silent agents of other hosts"; "agents" => removed);
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Forgets the logged failures of agents that are not in the database any more.
    fn forget_removed_agents(&mut self) {
        for id in self.failures.agents() {
            // If the agent cannot be looked up now, its failure is kept.
            if let Ok(None) = self.store.agent(id) {
                self.failures.clear(&Subject::Agent(id));
            }
        }
    }

    fn prune_spool(&mut self, end: Timestamp) {
        for folder in [
            SpoolFolder::ActionDone,
            SpoolFolder::ActionInvalid,
            SpoolFolder::CommandDone,
            SpoolFolder::CommandReturned,
        ] {
            let removed = self.spool.prune(folder, end);
            if let Some(files @ 1..) = self.failures.note(Subject::ExpiredFiles(folder), removed) {
                slog::info!(self.log, "removed expired files"; "folder" => %folder, "files" => files);
            }
        }
    }

    fn prune_tables(&mut self, end: Timestamp) {
        let removed = self.store.delete_finished_actions(end, ACTIONS_MAX);
        if let Some(actions @ 1..) = self.failures.note(Subject::ExpiredActions, removed) {
            slog::info!(self.log, "removed expired actions"; "actions" => actions);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::action::Signer;
    use crate::data::testing::DatabaseKind;
    use crate::data::{InvestigatorStatus, Permissions};
    use crate::pgp::testing::Home;
    use crate::pgp::{GpgSigner, RsaNumbers, Verifier, export};
    use crate::platform::scheduler::testing::{Rig, noon};
    use crate::platform::signers::Signers;

    /// Returns the number of GnuPG homes with a key.
    fn homes(folder: &Home) -> usize {
        let entries = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.join("gpg.conf").exists()).count()
    }

    #[test]
    fn key_that_was_disabled_in_the_database_is_removed_without_a_signature() {
        let (home, folder) = (Home::new(), Home::new());
        let key = home.key("rsa1024", None);
        let signer = GpgSigner::open(home.path(), key.as_str(), None).unwrap();
        let signature = signer.sign(b"text").unwrap().to_string();
        let armored = export(home.path(), &key).unwrap();
        let mut rig = Rig::new(DatabaseKind::Sqlite);
        let store = Arc::clone(&rig.store);
        let eve = key.as_str();
        store.insert_investigator("eve", eve, &armored, Permissions::RUNNER, noon()).unwrap();
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let signers = Arc::new(Signers::new(store, Verifier::new(folder.path()), log));
        rig.scheduler.remove_keys_of(Arc::clone(&signers));
        signers.who_signed(b"text", &signature, RsaNumbers::FullLength).unwrap();
        rig.collect_after(0);
        assert_eq!(homes(&folder), 1);
        let id = rig.store.investigator(eve).unwrap().unwrap().id;
        let disabled = InvestigatorStatus::Disabled;
        assert!(rig.store.set_investigator_status(id, disabled, noon()).unwrap());
        rig.collect_after(61);
        assert_eq!(homes(&folder), 0);
    }
}
