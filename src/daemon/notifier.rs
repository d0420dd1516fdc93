//! Status and watchdog notifications for the service manager.
//!
//! **Invariant.** Only the engine's loop sends them, once a turn: a loop that hangs sends nothing,
//! and the manager restarts the service.

use std::fmt;
use std::time::{Duration, Instant};

use super::index::Index;
use crate::manager::{Manager, Watchdog};
use crate::spool::Folder;

/// Minimum time between two status notifications.
const STATUS_SPAN: Duration = Duration::from_secs(1);

/// Notifies the service manager.
#[derive(Debug)]
pub(super) struct ServiceNotifier {
    manager: Manager,
    watchdog: Watchdog,
    /// The last status that was sent.
    status: String,
    /// Earliest time for the next status notification.
    not_before: Instant,
}

impl ServiceNotifier {
    /// Returns a notifier that has sent nothing to `manager` yet.
    pub(super) fn new(manager: Manager) -> ServiceNotifier {
        let watchdog = manager.watchdog();
        ServiceNotifier { manager, watchdog, status: String::new(), not_before: Instant::now() }
    }

    /// Reports that the engine is working, after its start or a reload.
    pub(super) fn ready(&mut self, status: impl FnOnce() -> EngineStatus) {
        if self.manager.is_present() {
            self.status = status().to_string();
            self.manager.ready(&self.status);
        }
    }

    /// Reports that the engine is scanning everything again.
    pub(super) fn reloading(&self) {
        self.manager.reloading();
    }

    /// Reports that the engine is stopping.
    pub(super) fn stopping(&self) {
        self.manager.stopping();
    }

    /// Sends the notifications that are due; returns the time until the next one may be due.
    pub(super) fn turn(&mut self, status: impl FnOnce() -> EngineStatus) -> Option<Duration> {
        if !self.manager.is_present() {
            return None;
        }
        let feed_in = self.watchdog.feed();
        let now = Instant::now();
        let wait = self.not_before.saturating_duration_since(now);
        if !wait.is_zero() {
            // The next notification reports what has just happened.
            return Some(feed_in.map_or(wait, |feed_in| feed_in.min(wait)));
        }
        let status = status().to_string();
        if status != self.status {
            self.manager.status(&status);
            self.status = status;
            self.not_before = now.checked_add(STATUS_SPAN).unwrap_or(now);
        }
        feed_in
    }
}

/// The state of the engine, displayed as a short text: `3 jobs; 1 to send, 2 on the fleet`.
#[derive(Debug)]
pub(super) struct EngineStatus {
    pub(super) jobs: usize,
    /// Number of job folders with errors.
    pub(super) invalid_jobs: usize,
    pub(super) runs: RunCounts,
    /// The faults that keep the engine from working.
    pub(super) faults: Vec<&'static str>,
}

impl fmt::Display for EngineStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} job{}", self.jobs, if self.jobs == 1 { "" } else { "s" })?;
        if self.invalid_jobs > 0 {
            write!(f, ", {} invalid", self.invalid_jobs)?;
        }
        write!(f, "; {}", self.runs)?;
        if self.faults.is_empty() {
            return Ok(());
        }
        write!(f, "; degraded: {}", self.faults.join(", "))
    }
}

/// The number of unfinished runs at each step.
#[derive(Debug, Default)]
pub(super) struct RunCounts {
    to_send: usize,
    on_fleet: usize,
    to_fetch: usize,
    to_deliver: usize,
}

impl RunCounts {
    pub(super) fn of(index: &Index) -> RunCounts {
        let mut counts = RunCounts::default();
        for (_, run) in index.iter() {
            let count = match run.folder {
                Folder::New => &mut counts.to_send,
                Folder::ActionInflight => &mut counts.on_fleet,
                Folder::Ready | Folder::CommandInflight => &mut counts.to_fetch,
                Folder::Returned => &mut counts.to_deliver,
                Folder::Invalid | Folder::ActionDone | Folder::CommandDone => continue,
            };
            *count = count.saturating_add(1);
        }
        counts
    }
}

impl fmt::Display for RunCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.to_send, "to send"),
            (self.on_fleet, "on the fleet"),
            (self.to_fetch, "to fetch"),
            (self.to_deliver, "to deliver"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, name)| format!("{count} {name}")).collect();
        f.write_str(if counts.is_empty() { "idle" } else { "" })?;
        f.write_str(&counts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::testing::{PostReply, Rig};
    use crate::manager::testing::Listener;

    fn rig() -> Rig {
        let mut rig = Rig::new("2026-11-22T12:00:30Z");
        rig.write_job("job", "schedule = \"* * * * *\"\nexpiry = 20s");
        rig.start();
        rig
    }

    #[test]
    fn manager_receives_the_status() {
        let mut rig = rig();
        let listener = Listener::new();
        let mut notifier = ServiceNotifier::new(listener.manager(None));
        notifier.ready(|| rig.engine().status());
        assert_eq!(listener.received(), ["READY=1\nSTATUS=1 job; idle"]);
        assert_eq!(notifier.turn(|| rig.engine().status()), None);
        assert!(listener.received().is_empty());
        rig.platform.script_replies(&[PostReply::Unavailable]);
        rig.run_at("2026-11-22T12:01:00Z");
        assert_eq!(notifier.turn(|| rig.engine().status()), None);
        let heard = listener.received();
        let status = "STATUS=1 job; 1 to send; degraded: API or signing key unavailable";
        assert_eq!(heard, [status]);
        // A change within a second of the last notification is sent when the second has passed.
        rig.run_at("2026-11-22T12:01:05Z");
        assert!(notifier.turn(|| rig.engine().status()).unwrap() <= STATUS_SPAN);
        assert!(listener.received().is_empty());
        notifier.not_before = Instant::now();
        assert_eq!(notifier.turn(|| rig.engine().status()), None);
        assert_eq!(listener.received(), ["STATUS=1 job; 1 on the fleet"]);
    }

    #[test]
    fn each_turn_feeds_the_watchdog() {
        let rig = rig();
        let listener = Listener::new();
        let mut notifier = ServiceNotifier::new(listener.manager(Some(Duration::from_nanos(2))));
        notifier.ready(|| rig.engine().status());
        listener.received();
        for _ in 0..3 {
            assert!(notifier.turn(|| rig.engine().status()).is_some());
            assert_eq!(listener.received(), ["WATCHDOG=1"]);
        }
    }

    #[test]
    fn nothing_is_sent_without_a_manager() {
        let mut notifier = ServiceNotifier::new(Manager::none());
        notifier.ready(|| panic!("nothing is sent"));
        assert_eq!(notifier.turn(|| panic!("nothing is sent")), None);
        assert!(notifier.status.is_empty());
    }
}
