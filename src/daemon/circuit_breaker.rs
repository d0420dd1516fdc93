//! The circuit breaker for the API: stops all requests while the fault is not a single run's.
//!
//! When the API, the network or the signing key fails, every run would fail in the same way. The
//! runs wait, and one of them, the probe, retries until it succeeds.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::index::Key;
use crate::clock::after;

/// Lets all requests through, or, while tripped, only those of the probe.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    /// Failures in a row; 0 unless tripped.
    failures: u32,
    not_before: Timestamp,
    probe: Option<Key>,
    /// The runs that were refused and wait for a reset.
    waiting: BTreeSet<Key>,
}

impl CircuitBreaker {
    /// Checks whether a run may use the API at `now`, and remembers a run that may not.
    ///
    /// # Errors
    /// The run may not use the API. Contains the time of the next check; `None`: when the breaker
    /// is reset or its probe is released.
    pub(super) fn pass(&mut self, key: &Key, now: Timestamp) -> Result<(), Option<Timestamp>> {
        let passed = self.try_pass(key, now);
        if passed.is_err() {
            self.waiting.insert(key.clone());
        }
        passed
    }

    fn try_pass(&mut self, key: &Key, now: Timestamp) -> Result<(), Option<Timestamp>> {
        if self.failures == 0 {
            return Ok(());
        }
        match &self.probe {
            Some(probe) if probe == key => Ok(()),
            Some(_) => Err(None),
            None if now >= self.not_before => {
                self.probe = Some(key.clone());
                Ok(())
            }
            None => Err(Some(self.not_before)),
        }
    }

    /// Lets all requests through again; returns whether the breaker was tripped.
    pub(super) fn reset(&mut self) -> bool {
        self.probe = None;
        std::mem::take(&mut self.failures) > 0
    }

    /// Refuses requests after a failure, for the delay that `backoff` returns for the number of
    /// failures.
    pub(super) fn trip(&mut self, now: Timestamp, backoff: impl FnOnce(u32) -> Duration) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = after(now, backoff(self.failures));
        self.probe = None;
    }

    /// Lets another run be the probe, if this run was the probe and sent no request; returns
    /// whether it was.
    #[must_use = "the waiting runs must be scheduled"]
    pub(super) fn release_probe(&mut self, key: &Key) -> bool {
        self.probe.take_if(|probe| probe == key).is_some()
    }

    /// Returns the runs that were refused, and forgets them.
    pub(super) fn take_waiting(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.waiting)
    }

    /// Returns the time before which no probe is sent, if the breaker is tripped.
    pub(super) fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Returns the number of failures in a row; 0 unless tripped.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn is_tripped(&self) -> bool {
        self.failures > 0
    }

    /// Returns the number of waiting runs.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::Family;

    #[test]
    fn tripped_breaker_lets_only_the_probe_pass() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let key = |id: &str| (Family::Action, id.parse().unwrap());
        let (one, other) = (key("a.20261122T120000Z"), key("b.20261122T120000Z"));
        let mut breaker = CircuitBreaker::default();
        assert_eq!(breaker.pass(&one, at(0)), Ok(()));
        breaker.trip(at(0), |failures| Duration::from_secs(u64::from(failures) * 10));
        assert_eq!(breaker.pass(&one, at(1)), Err(Some(at(10))));
        assert_eq!(breaker.pass(&one, at(10)), Ok(()));
        assert_eq!(breaker.pass(&other, at(11)), Err(None));
        assert!(!breaker.release_probe(&other) && breaker.release_probe(&one));
        assert_eq!(breaker.pass(&other, at(11)), Ok(()));
        breaker.trip(at(11), |failures| Duration::from_secs(u64::from(failures) * 10));
        assert_eq!(breaker.pass(&one, at(12)), Err(Some(at(31))));
        assert_eq!(breaker.take_waiting(), BTreeSet::from([one, other.clone()]));
        assert!(breaker.reset());
        assert_eq!(breaker.pass(&other, at(12)), Ok(()));
        assert!(!breaker.reset());
    }
}
