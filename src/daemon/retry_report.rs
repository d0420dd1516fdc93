//! What is tried again and when, told to people and to `status`: what no file of a run says.
//!
//! It costs nothing while nothing fails: only a failure makes the engine look
//! through its runs, and from then on at most every two seconds, until nothing
//! waits any more.
//!
//! **Failure.** That it cannot be told is told like other troubles of the disk,
//! and stops nobody.

use std::time::Duration;

use jiff::Timestamp;

use super::circuit_breaker::CircuitBreaker;
use super::engine::Engine;
use super::index::{Index, Key, Live};
use super::moves::PendingOutcome;
use super::trouble::Place;
use crate::clock::after;
use crate::names::PluginName;
use crate::spool::retry_report::ATTEMPTS_MAX;
use crate::spool::{DeliveryState, Folder, RetryAttempt, RetryReport, RetryTime};

/// How long it is at least from one look to the next.
const LOOK_SPAN: Duration = Duration::from_secs(2);
/// How long it is until what could not be told is tried to be told again.
const RETRY_SPAN: Duration = Duration::from_secs(30);

/// What was told last, and whether there may be more to tell.
#[derive(Debug)]
pub(super) struct RetryReporter {
    told: Option<RetryReport>,
    /// Whether that is so on disk: a runner before this one may have left something else there.
    is_sure: bool,
    /// Something failed since the last look.
    is_stale: bool,
    /// Before when nothing is looked for.
    not_before: Timestamp,
}

impl Default for RetryReporter {
    fn default() -> RetryReporter {
        RetryReporter { told: None, is_sure: false, is_stale: true, not_before: Timestamp::MIN }
    }
}

impl RetryReporter {
    /// Notes that something failed.
    pub(super) fn failed(&mut self) {
        self.is_stale = true;
    }

    /// Returns until when the next look has to wait, also after the clock was set back.
    fn wait(&self, now: Timestamp) -> Option<Timestamp> {
        let is_early = now < self.not_before && self.not_before <= after(now, RETRY_SPAN);
        is_early.then_some(self.not_before)
    }
}

impl Engine {
    /// Tells what is tried again if that may have changed and it is time; returns when it is.
    pub(super) fn write_retry_report(&mut self, now: Timestamp) -> Option<Timestamp> {
        if !self.retry_reporter.is_stale && self.retry_reporter.told.is_none() {
            return None;
        }
        if let Some(until) = self.retry_reporter.wait(now) {
            return Some(until);
        }
        let retry_report = plan(&self.index, &self.pending, &self.breaker);
        (self.retry_reporter.is_stale, self.retry_reporter.not_before) =
            (false, after(now, LOOK_SPAN));
        if retry_report == self.retry_reporter.told && self.retry_reporter.is_sure {
            return None;
        }
        let told = self.publish_retry_report(retry_report);
        // It may be the only trouble, and the next turn far off.
        self.show_troubles();
        if told {
            return None;
        }
        (self.retry_reporter.is_stale, self.retry_reporter.not_before) =
            (true, after(now, RETRY_SPAN));
        Some(self.retry_reporter.not_before)
    }

    /// Tells nothing any more: nobody tries again what a runner that ends leaves.
    pub(super) fn remove_retry_report(&mut self) {
        if self.retry_reporter.told.is_some() || !self.retry_reporter.is_sure {
            self.publish_retry_report(None);
        }
    }

    /// Writes or removes the file; tells whether that was done.
    fn publish_retry_report(&mut self, retry_report: Option<RetryReport>) -> bool {
        let told = self.parts.spool.write_retry_report(retry_report.as_ref());
        self.retry_reporter.is_sure = told.is_ok();
        match told {
            Ok(()) => {
                self.retry_reporter.told = retry_report;
                self.troubles.over(&Place::RetryReport);
            }
            Err(error) => {
                self.troubled("cannot tell what is tried again", Place::RetryReport, &error)
            }
        }
        self.retry_reporter.is_sure
    }
}

/// What waits, while it is sorted.
type Waiting<'a> = (Timestamp, &'a Key, Option<&'a PluginName>, Folder, u32);

/// Returns what failed and is tried again, the earliest first; nothing if nothing failed.
fn plan(index: &Index, held: &[PendingOutcome], breaker: &CircuitBreaker) -> Option<RetryReport> {
    let mut waiting: Vec<Waiting<'_>> = Vec::new();
    for (key, live) in index.iter() {
        let failures = failures(live);
        if failures > 0 {
            waiting.push((live.tries.not_before, key, None, live.folder, failures));
        }
        waiting.extend(deliveries(key, live));
    }
    for PendingOutcome { key, at, failures, .. } in held {
        if let Some(live) = index.get(key) {
            waiting.push((*at, key, None, live.folder, *failures));
        }
    }
    let more = waiting.len().saturating_sub(ATTEMPTS_MAX);
    if more > 0 {
        // Of a hundred thousand, all but the first need no order.
        waiting.select_nth_unstable(ATTEMPTS_MAX);
        waiting.truncate(ATTEMPTS_MAX);
    }
    waiting.sort_unstable();
    let api = (breaker.failures() > 0).then(|| again(breaker.failures(), breaker.not_before()));
    let attempt = |(at, key, plugin, folder, failures): Waiting<'_>| RetryAttempt {
        folder,
        run: key.1.clone(),
        plugin: plugin.cloned(),
        retry: again(failures, at),
    };
    RetryReport::new(api, waiting.into_iter().map(attempt).collect(), more)
}

/// Returns how often a run failed in a row where it is, its plugins aside.
fn failures(live: &Live) -> u32 {
    let tries = &live.tries;
    match live.folder {
        // There, it counts how often commands were missing.
        Folder::CommandInflight => tries.failures.saturating_add(tries.polls),
        _ => tries.failures,
    }
}

/// Returns what plugins of a run wait for that failed.
fn deliveries<'a>(key: &'a Key, live: &'a Live) -> impl Iterator<Item = Waiting<'a>> {
    let owed = live.facts.plugins.iter().filter(|delivery| delivery.state == DeliveryState::Owed);
    owed.filter(|_| live.folder == Folder::Returned).filter_map(move |delivery| {
        let tries = live.tries.plugins.get(&delivery.plugin).filter(|tries| tries.failures > 0)?;
        Some((tries.not_before, key, Some(&delivery.plugin), live.folder, tries.failures))
    })
}

/// Returns an attempt; times are whole seconds for people, and not earlier than it is tried.
fn again(failures: u32, at: Timestamp) -> RetryTime {
    let second = at.as_second().saturating_add(i64::from(at.subsec_nanosecond() > 0));
    RetryTime { failures, next_attempt: Timestamp::from_second(second).unwrap_or(at) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::testing::record;
    use crate::spool::{Delivery, Record, Run};

    fn at(second: u32) -> Timestamp {
        let noon = "2026-11-22T12:00:00Z".parse().unwrap();
        after(noon, Duration::from_secs(second.into()))
    }

    fn put(index: &mut Index, folder: Folder, record: Record) -> Key {
        index.put(Run::departed(folder, record), at(0), at(0))
    }

    #[test]
    fn it_is_bounded_and_the_earliest_come_first() {
        let mut index = Index::default();
        let count = u32::try_from(ATTEMPTS_MAX).unwrap() + 50;
        for number in 0..count {
            let key = put(&mut index, Folder::New, record(&format!("j{number}.20261122T120000Z")));
            let tries = index.tries(&key).unwrap();
            (tries.failures, tries.not_before) = (number % 7, at(count - number));
        }
        let told = plan(&index, &[], &CircuitBreaker::default()).unwrap();
        assert_eq!((told.attempts.len(), told.api), (ATTEMPTS_MAX - 100, None));
        for key in index.keys() {
            index.tries(&key).unwrap().failures += 1;
        }
        let told = plan(&index, &[], &CircuitBreaker::default()).unwrap();
        assert_eq!((told.attempts.len(), told.more), (ATTEMPTS_MAX, 50));
        let order = told.attempts.iter().map(|attempt| attempt.retry.next_attempt);
        assert!(order.eq((1..).map(at).take(ATTEMPTS_MAX)));
    }

    #[test]
    fn only_what_is_owed_or_missing_is_tried_again() {
        let mut index = Index::default();
        let mut returned = record("job.20261122T120000Z");
        let states = [DeliveryState::Delivered, DeliveryState::Owed, DeliveryState::Owed];
        for (name, state) in ["taken", "fails", "runs"].iter().zip(states) {
            returned.plugins.push(Delivery { plugin: name.parse().unwrap(), state });
        }
        let plugins: Vec<PluginName> =
            returned.plugins.iter().map(|delivery| delivery.plugin.clone()).collect();
        let key = put(&mut index, Folder::Returned, returned);
        for (plugin, failures) in plugins.into_iter().zip([1, 2, 0]) {
            let tries = index.tries(&key).unwrap().plugins.entry(plugin).or_default();
            (tries.failures, tries.not_before) = (failures, at(5));
        }
        let key = put(&mut index, Folder::CommandInflight, record("job.20261122T110000Z"));
        index.tries(&key).unwrap().polls = 1;
        // How often the platform was asked how far an action is.
        let key = put(&mut index, Folder::ActionInflight, record("job.20261122T130000Z"));
        index.tries(&key).unwrap().polls = 1;
        let told = plan(&index, &[], &CircuitBreaker::default()).unwrap();
        let told: Vec<_> = told
            .attempts
            .iter()
            .map(|a| (a.folder, a.plugin.as_ref().map(PluginName::as_str), a.retry.failures))
            .collect();
        let expected = [(Folder::CommandInflight, None, 1), (Folder::Returned, Some("fails"), 2)];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_time_is_not_told_too_early() {
        let half = after(at(4), Duration::from_millis(500));
        assert_eq!(again(1, half).next_attempt, at(5));
        assert_eq!(again(1, at(5)).next_attempt, at(5));
    }
}
