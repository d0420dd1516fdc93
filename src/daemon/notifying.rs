//! What the service manager is told: how the engine is, and that its loop goes round.
//!
//! **Invariant.** Only the engine's loop calls this, once a turn: a loop that hangs
//! falls silent, and the manager ends the service.

use std::time::{Duration, Instant};

use super::engine::Engine;
use crate::manager::{Manager, Pulse};
use crate::spool::Folder;

/// How long is between two tellings of how the engine is, at least.
const STATUS_SPAN: Duration = Duration::from_secs(1);

/// What was told, and when there is more.
#[derive(Debug)]
pub(super) struct ServiceNotifier {
    manager: Manager,
    pulse: Pulse,
    status: String,
    /// Before when no other status is told.
    not_before: Instant,
}

impl ServiceNotifier {
    /// Returns what has told `manager` nothing yet.
    pub(super) fn new(manager: Manager) -> ServiceNotifier {
        let pulse = manager.pulse();
        ServiceNotifier { manager, pulse, status: String::new(), not_before: Instant::now() }
    }

    /// Tells that the engine works, now or again.
    pub(super) fn ready(&mut self, engine: &Engine) {
        if self.manager.is_present() {
            self.status = condition(engine);
            self.manager.ready(&self.status);
        }
    }

    /// Tells that everything is being looked at again.
    pub(super) fn reloading(&self) {
        self.manager.reloading();
    }

    /// Tells that the engine ends.
    pub(super) fn stopping(&self) {
        self.manager.stopping();
    }

    /// Tells what there is to be told; returns how soon there may be more though nothing happens.
    pub(super) fn turn(&mut self, engine: &Engine) -> Option<Duration> {
        if !self.manager.is_present() {
            return None;
        }
        let beat = self.pulse.beat();
        let now = Instant::now();
        let wait = self.not_before.saturating_duration_since(now);
        if !wait.is_zero() {
            // What has just happened is told then.
            return Some(beat.map_or(wait, |beat| beat.min(wait)));
        }
        let status = condition(engine);
        if status != self.status {
            self.manager.status(&status);
            self.status = status;
            self.not_before = now.checked_add(STATUS_SPAN).unwrap_or(now);
        }
        beat
    }
}

/// Returns how the engine is, in a few words: `3 jobs; 1 to send, 2 on the fleet`.
fn condition(engine: &Engine) -> String {
    let (good, bad) = engine.parts.calendar.count();
    let mut jobs = format!("{good} job{}", if good == 1 { "" } else { "s" });
    if bad > 0 {
        jobs.push_str(&format!(", {bad} unusable"));
    }
    let waiting = waiting(engine);
    let waiting = if waiting.is_empty() { "nothing waits".to_owned() } else { waiting.join(", ") };
    let degraded = degraded(engine);
    if degraded.is_empty() {
        return format!("{jobs}; {waiting}");
    }
    format!("{jobs}; {waiting}; degraded: {}", degraded.join(", "))
}

/// Returns what the runs that are not over wait for.
fn waiting(engine: &Engine) -> Vec<String> {
    let mut counts = [0_usize; 4];
    for (_, live) in engine.index.iter() {
        let [send, fleet, fetch, deliver] = &mut counts;
        let count = match live.folder {
            Folder::New => send,
            Folder::ActionInflight => fleet,
            Folder::Ready | Folder::CommandInflight => fetch,
            Folder::Returned => deliver,
            Folder::Invalid | Folder::ActionDone | Folder::CommandDone => continue,
        };
        *count = count.saturating_add(1);
    }
    let names = ["to send", "on the fleet", "to fetch", "to deliver"];
    let told = counts.iter().zip(names).filter(|(count, _)| **count > 0);
    told.map(|(count, name)| format!("{count} {name}")).collect()
}

/// Returns what keeps the engine from its work.
fn degraded(engine: &Engine) -> Vec<&'static str> {
    let faults = [
        (engine.breaker.failures() > 0, "the API or the key does not serve"),
        (!engine.room, "the disk is nearly full"),
        (!engine.pending.is_empty(), "the spool cannot be written"),
        (
            engine.parts.spool.disk().has_unsynced_folders(),
            "the disk does not keep what is written",
        ),
    ];
    faults.into_iter().filter_map(|(is_so, fault)| is_so.then_some(fault)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::testing::{Mood, Rig};
    use crate::manager::testing::Listener;

    fn rig() -> Rig {
        let mut rig = Rig::new("2026-11-22T12:00:30Z");
        rig.job("job", "schedule = \"* * * * *\"\nexpiry = 20s");
        rig.start();
        rig
    }

    #[test]
    fn a_manager_hears_how_the_engine_is() {
        let mut rig = rig();
        let listener = Listener::new();
        let mut notifying = ServiceNotifier::new(listener.manager(None));
        notifying.ready(rig.engine());
        assert_eq!(listener.received(), ["READY=1\nSTATUS=1 job; nothing waits"]);
        assert_eq!(notifying.turn(rig.engine()), None);
        assert!(listener.received().is_empty());
        rig.platform.expect(&[Mood::Away]);
        rig.at("2026-11-22T12:01:00Z");
        assert_eq!(notifying.turn(rig.engine()), None);
        let heard = listener.received();
        let status = "STATUS=1 job; 1 to send; degraded: the API or the key does not serve";
        assert_eq!(heard, [status]);
        // What changes so soon again is told a second later.
        rig.at("2026-11-22T12:01:05Z");
        assert!(notifying.turn(rig.engine()).unwrap() <= STATUS_SPAN);
        assert!(listener.received().is_empty());
        notifying.not_before = Instant::now();
        assert_eq!(notifying.turn(rig.engine()), None);
        assert_eq!(listener.received(), ["STATUS=1 job; 1 on the fleet"]);
    }

    #[test]
    fn each_turn_is_a_sign_of_life() {
        let rig = rig();
        let listener = Listener::new();
        let mut notifying = ServiceNotifier::new(listener.manager(Some(Duration::from_nanos(2))));
        notifying.ready(rig.engine());
        listener.received();
        for _ in 0..3 {
            assert!(notifying.turn(rig.engine()).is_some());
            assert_eq!(listener.received(), ["WATCHDOG=1"]);
        }
    }

    #[test]
    fn nobody_is_told_nothing() {
        let mut notifying = ServiceNotifier::new(Manager::none());
        notifying.ready(rig().engine());
        assert_eq!(notifying.turn(rig().engine()), None);
        assert!(notifying.status.is_empty());
    }
}
