//! The attempts made with a run since the engine started: failures, delays and what they found.
//!
//! None of this is stored on disk. After a restart, a run may be tried at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::backoff;
use crate::clock::after;
use crate::names::{ActionId, PluginName};
use crate::stage::{PastAttempts, Pause, TaskKind};

/// The attempts made with a run.
#[derive(Debug, Clone)]
pub(super) struct Attempts {
    /// Whether a worker has the run or an outcome of it is pending.
    pub(super) busy: bool,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Number of status queries for the action.
    pub(super) polls: u32,
    /// Number of fetches with missing commands.
    pub(super) missing_fetches: u32,
    /// Number of commands requested at once, if an earlier fetch reduced it.
    pub(super) page_size: Option<u32>,
    /// Earliest time for the next attempt.
    pub(super) not_before: Timestamp,
    /// When the last failed attempt ended. `None`: none has failed since the start.
    pub(super) failed: Option<Timestamp>,
    /// Time since which the platform has answered every status query for the action.
    pub(super) answering: Option<Timestamp>,
    /// When the results first were complete except for commands that may still change. `None` if
    /// this is not the case, or if something has failed since.
    pub(super) not_final: Option<Timestamp>,
    /// Whether the operator moved the run away and back, which its record does not show.
    pub(super) put_back: bool,
    /// When the last POST ended; without one, when the runner started.
    pub(super) post_ended: Timestamp,
    /// Actions with the run's signature that belong to other runs.
    pub(super) others: BTreeSet<ActionId>,
    /// The plugins that were tried.
    pub(super) plugins: BTreeMap<PluginName, PluginAttempts>,
}

/// The attempts made with a plugin of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct PluginAttempts {
    pub(super) busy: bool,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Earliest time for the next attempt.
    pub(super) not_before: Timestamp,
    /// When the last failed attempt ended. `None`: none has failed since the start.
    pub(super) failed: Option<Timestamp>,
}

impl PluginAttempts {
    pub(super) fn past(&self) -> PastAttempts {
        PastAttempts { not_before: self.not_before, failed: self.failed }
    }
}

impl Attempts {
    pub(super) fn past(&self) -> PastAttempts {
        PastAttempts { not_before: self.not_before, failed: self.failed }
    }

    /// Returns what still counts after the run was moved to another folder: whether it is busy, and
    /// when the last POST ended.
    pub(super) fn carried_over(self, started: Timestamp) -> Attempts {
        Attempts { busy: self.busy, post_ended: self.post_ended, ..Attempts::none(started) }
    }

    /// Returns the state of a run with which nothing was tried since `started`.
    pub(super) fn none(started: Timestamp) -> Attempts {
        Attempts {
            busy: false,
            failures: 0,
            polls: 0,
            missing_fetches: 0,
            page_size: None,
            not_before: Timestamp::MIN,
            failed: None,
            answering: None,
            not_final: None,
            put_back: false,
            post_ended: started,
            others: BTreeSet::new(),
            plugins: BTreeMap::new(),
        }
    }

    /// Marks the run, or a plugin of it, as busy; returns the number of the attempt, from 1.
    pub(super) fn begin(&mut self, kind: &TaskKind) -> u32 {
        let (busy, failures) = match kind {
            TaskKind::Deliver(plugin) => {
                let plugin = self.plugins.entry(plugin.clone()).or_default();
                (&mut plugin.busy, plugin.failures)
            }
            TaskKind::Sign { .. }
            | TaskKind::Post
            | TaskKind::Search
            | TaskKind::QueryStatus
            | TaskKind::Fetch => (&mut self.busy, self.failures),
        };
        *busy = true;
        failures.saturating_add(1)
    }

    /// Marks the run, or a plugin of it, as no longer busy.
    pub(super) fn end(&mut self, kind: &TaskKind) {
        match kind {
            TaskKind::Deliver(plugin) => {
                if let Some(plugin) = self.plugins.get_mut(plugin) {
                    plugin.busy = false;
                }
            }
            TaskKind::QueryStatus => {
                self.polls = self.polls.saturating_add(1);
                self.busy = false;
            }
            TaskKind::Sign { .. } | TaskKind::Post | TaskKind::Search | TaskKind::Fetch => {
                self.busy = false;
            }
        }
    }

    /// Records when an attempt failed: a run is given up only after an attempt that failed after
    /// the time limit.
    pub(super) fn note_failure(&mut self, kind: &TaskKind, pause: Pause, now: Timestamp) {
        match (kind, pause) {
            // Missing commands are requested again a few times, and then the fetch ends without
            // them.
            (_, Pause::None | Pause::For(_)) => {}
            (TaskKind::Deliver(plugin), _) => {
                self.plugins.entry(plugin.clone()).or_default().failed = Some(now);
            }
            _ => self.failed = Some(now),
        }
    }

    /// Sets the earliest time for the next attempt.
    pub(super) fn pause(&mut self, pause: Pause, now: Timestamp) {
        self.not_before = match pause {
            Pause::None => {
                self.failures = 0;
                now
            }
            Pause::For(span) => after(now, span),
            Pause::Run(retry_after) | Pause::Api(retry_after) => {
                self.failures = self.failures.saturating_add(1);
                after(now, backoff::delay(self.failures, crate::random::jitter(), retry_after))
            }
        };
    }

    /// Delays the next attempt with a plugin after a failure.
    pub(super) fn pause_plugin(&mut self, plugin: &PluginName, now: Timestamp) {
        if let Some(plugin) = self.plugins.get_mut(plugin) {
            plugin.failures = plugin.failures.saturating_add(1);
            let delay = backoff::delay(plugin.failures, crate::random::jitter(), None);
            plugin.not_before = after(now, delay);
        }
    }
}
