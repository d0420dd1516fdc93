//! Writes the retry report: the runs that failed, and when each is retried. The records of the runs
//! do not contain this.
//!
//! The operator and `mig-runner status` read the report. It costs nothing while nothing fails: only
//! a failure makes the reporter go through the index, and from then on at most every two seconds,
//! until no retry is waiting.
//!
//! **Failure.** A report that cannot be written is logged like other disk errors, and retried.

use std::time::Duration;

use jiff::Timestamp;

use super::circuit_breaker::CircuitBreaker;
use super::disk_errors::{DiskErrors, Subject};
use super::index::{Index, Key, TrackedRun};
use super::pending_outcomes::{PendingOutcome, PendingOutcomes};
use crate::clock::after;
use crate::names::PluginName;
use crate::spool::retry_report::ATTEMPTS_MAX;
use crate::spool::{DeliveryState, Folder, RetryAttempt, RetryReport, RetryTime, Spool};

/// Minimum time between two passes through the index.
const UPDATE_SPAN: Duration = Duration::from_secs(2);
/// Delay before retrying a failed write of the report.
const RETRY_SPAN: Duration = Duration::from_secs(30);

/// Where the engine keeps what failed and is retried.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetrySources<'a> {
    pub(super) index: &'a Index,
    pub(super) pending: &'a PendingOutcomes,
    pub(super) breaker: &'a CircuitBreaker,
}

/// Keeps the report file up to date.
#[derive(Debug)]
pub(super) struct RetryReporter {
    last_written: Option<RetryReport>,
    /// Whether the file is as `last_written` says: an earlier runner may have left another one.
    is_on_disk: bool,
    /// Whether something has failed since the last update.
    is_stale: bool,
    /// Earliest time for the next update.
    not_before: Timestamp,
}

impl RetryReporter {
    /// Returns a reporter that has written nothing yet.
    pub(super) fn new() -> RetryReporter {
        RetryReporter {
            last_written: None,
            is_on_disk: false,
            is_stale: true,
            not_before: Timestamp::MIN,
        }
    }

    /// Records that something has failed.
    pub(super) fn note_failure(&mut self) {
        self.is_stale = true;
    }

    /// Writes the report if it may have changed and an update is due; returns when the next one is
    /// due, if something is waiting for it.
    pub(super) fn update(
        &mut self,
        sources: RetrySources<'_>,
        spool: &Spool,
        errors: &mut DiskErrors,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if !self.is_stale && self.last_written.is_none() {
            return None;
        }
        if self.must_wait(now) {
            return Some(self.not_before);
        }
        let report = report(sources);
        (self.is_stale, self.not_before) = (false, after(now, UPDATE_SPAN));
        if report == self.last_written && self.is_on_disk {
            return None;
        }
        self.write(report, spool, errors, now);
        if self.is_on_disk {
            return None;
        }
        (self.is_stale, self.not_before) = (true, after(now, RETRY_SPAN));
        Some(self.not_before)
    }

    /// Removes the report: a runner that has stopped retries nothing.
    pub(super) fn remove(&mut self, spool: &Spool, errors: &mut DiskErrors, now: Timestamp) {
        if self.last_written.is_some() || !self.is_on_disk {
            self.write(None, spool, errors, now);
        }
    }

    /// Returns whether it is too early for an update. A clock that was set back causes no wait.
    fn must_wait(&self, now: Timestamp) -> bool {
        now < self.not_before && self.not_before <= after(now, RETRY_SPAN)
    }

    /// Writes or removes the file.
    fn write(
        &mut self,
        report: Option<RetryReport>,
        spool: &Spool,
        errors: &mut DiskErrors,
        now: Timestamp,
    ) {
        let written = spool.write_retry_report(report.as_ref());
        self.is_on_disk = written.is_ok();
        match written {
            Ok(()) => {
                self.last_written = report;
                errors.clear(&Subject::RetryReport);
            }
            Err(error) => {
                errors.report("cannot write retry report", Subject::RetryReport, &error, now);
            }
        }
    }
}

/// A retry, in the order in which the report lists them.
type Retry<'a> = (Timestamp, &'a Key, Option<&'a PluginName>, Folder, u32);

/// Returns what failed and is retried, the earliest first; `None` if nothing failed.
fn report(sources: RetrySources<'_>) -> Option<RetryReport> {
    let RetrySources { index, pending, breaker } = sources;
    let mut retries: Vec<Retry<'_>> = Vec::new();
    for (key, run) in index.iter() {
        let failures = failures(run);
        if failures > 0 {
            retries.push((run.attempts.not_before, key, None, run.folder, failures));
        }
        retries.extend(deliveries(key, run));
    }
    for PendingOutcome { key, next_attempt, failures, .. } in pending.iter() {
        if let Some(run) = index.get(key) {
            retries.push((*next_attempt, key, None, run.folder, *failures));
        }
    }
    let more = retries.len().saturating_sub(ATTEMPTS_MAX);
    if more > 0 {
        // Only the retries that are listed are sorted, because there may be very many.
        retries.select_nth_unstable(ATTEMPTS_MAX);
        retries.truncate(ATTEMPTS_MAX);
    }
    retries.sort_unstable();
    let api = breaker.is_tripped().then(|| retry_time(breaker.failures(), breaker.not_before()));
    let attempt = |(at, key, plugin, folder, failures): Retry<'_>| RetryAttempt {
        folder,
        run: key.1.clone(),
        plugin: plugin.cloned(),
        retry: retry_time(failures, at),
    };
    RetryReport::new(api, retries.into_iter().map(attempt).collect(), more)
}

/// Returns the number of failures in a row of a run, not counting those of its plugins.
fn failures(run: &TrackedRun) -> u32 {
    run.attempts.failures.saturating_add(run.attempts.missing_fetches)
}

/// Returns the retries of plugins of a run.
fn deliveries<'a>(key: &'a Key, run: &'a TrackedRun) -> impl Iterator<Item = Retry<'a>> {
    let owed = run.facts.plugins.iter().filter(|delivery| delivery.state == DeliveryState::Owed);
    owed.filter(|_| run.folder == Folder::Returned).filter_map(move |delivery| {
        let attempts = run.attempts.plugins.get(&delivery.plugin)?;
        let retry =
            (attempts.not_before, key, Some(&delivery.plugin), run.folder, attempts.failures);
        (attempts.failures > 0).then_some(retry)
    })
}

/// Returns the number of failures and the time of the next attempt, rounded up to a whole second so
/// that the report never states a time that is too early.
fn retry_time(failures: u32, at: Timestamp) -> RetryTime {
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
        index.put(Run::departed(folder, record), at(0))
    }

    fn report_of(index: &Index) -> RetryReport {
        let (pending, breaker) = (PendingOutcomes::default(), CircuitBreaker::default());
        report(RetrySources { index, pending: &pending, breaker: &breaker }).unwrap()
    }

    #[test]
    fn report_is_bounded_and_lists_earliest_retries_first() {
        let mut index = Index::new(at(0));
        let count = u32::try_from(ATTEMPTS_MAX).unwrap() + 50;
        for number in 0..count {
            let key = put(&mut index, Folder::New, record(&format!("j{number}.20261122T120000Z")));
            let attempts = index.attempts_mut(&key).unwrap();
            (attempts.failures, attempts.not_before) = (number % 7, at(count - number));
        }
        let report = report_of(&index);
        assert_eq!((report.attempts.len(), report.api), (ATTEMPTS_MAX - 100, None));
        for key in index.keys() {
            index.attempts_mut(&key).unwrap().failures += 1;
        }
        let report = report_of(&index);
        assert_eq!((report.attempts.len(), report.more), (ATTEMPTS_MAX, 50));
        let order = report.attempts.iter().map(|attempt| attempt.retry.next_attempt);
        assert!(order.eq((1..).map(at).take(ATTEMPTS_MAX)));
    }

    #[test]
    fn report_lists_owed_deliveries_and_missing_commands() {
        let mut index = Index::new(at(0));
        let mut returned = record("job.20261122T120000Z");
        let states = [DeliveryState::Delivered, DeliveryState::Owed, DeliveryState::Owed];
        for (name, state) in ["taken", "fails", "runs"].iter().zip(states) {
            returned.plugins.push(Delivery { plugin: name.parse().unwrap(), state });
        }
        let plugins: Vec<PluginName> =
            returned.plugins.iter().map(|delivery| delivery.plugin.clone()).collect();
        let key = put(&mut index, Folder::Returned, returned);
        for (plugin, failures) in plugins.into_iter().zip([1, 2, 0]) {
            let attempts = index.attempts_mut(&key).unwrap().plugins.entry(plugin).or_default();
            (attempts.failures, attempts.not_before) = (failures, at(5));
        }
        let key = put(&mut index, Folder::CommandInflight, record("job.20261122T110000Z"));
        index.attempts_mut(&key).unwrap().missing_fetches = 1;
        // Status queries of an action are not failures.
        let key = put(&mut index, Folder::ActionInflight, record("job.20261122T130000Z"));
        index.attempts_mut(&key).unwrap().polls = 1;
        let report = report_of(&index);
        let listed: Vec<_> = report
            .attempts
            .iter()
            .map(|a| (a.folder, a.plugin.as_ref().map(PluginName::as_str), a.retry.failures))
            .collect();
        let expected = [(Folder::CommandInflight, None, 1), (Folder::Returned, Some("fails"), 2)];
        assert_eq!(listed, expected);
    }

    #[test]
    fn time_of_retry_is_rounded_up() {
        let half = after(at(4), Duration::from_millis(500));
        assert_eq!(retry_time(1, half).next_attempt, at(5));
        assert_eq!(retry_time(1, at(5)).next_attempt, at(5));
    }
}
