//! The way to the API: closed for all while the fault is not a single run's.
//!
//! When the API, the network or the key fails, every run would fail alike. They
//! wait together, and one of them tries whether it is over.

use std::time::Duration;

use jiff::Timestamp;

use super::index::Key;
use crate::clock::after;

/// Open, or closed until a run has got through.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker {
    failures: u32,
    not_before: Timestamp,
    probe: Option<Key>,
}

impl CircuitBreaker {
    /// Tells whether `key` may pass at `now`; if not, when to ask again, `None`: when it has opened.
    pub(crate) fn pass(&mut self, key: &Key, now: Timestamp) -> Result<(), Option<Timestamp>> {
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

    /// Opens; tells whether it was closed, so that those who wait are looked at.
    pub(crate) fn open(&mut self) -> bool {
        self.probe = None;
        std::mem::take(&mut self.failures) > 0
    }

    /// Closes after a failure, until the delay that `backoff` gives for the number of failures has passed.
    pub(crate) fn close(&mut self, now: Timestamp, backoff: impl FnOnce(u32) -> Duration) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = after(now, backoff(self.failures));
        self.probe = None;
    }

    /// Lets another run try, if this one was to try and did not; tells whether it was.
    #[must_use = "those who wait are to be looked at"]
    pub(crate) fn release(&mut self, key: &Key) -> bool {
        self.probe.take_if(|probe| probe == key).is_some()
    }

    /// Returns before when nobody tries whether the API serves again, if it is closed.
    pub(crate) fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Returns since how many failures it is closed.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::Family;

    #[test]
    fn one_run_tries_for_all() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let key = |id: &str| (Family::Action, id.parse().unwrap());
        let (one, other) = (key("a.20261122T120000Z"), key("b.20261122T120000Z"));
        let mut breaker = CircuitBreaker::default();
        assert_eq!(breaker.pass(&one, at(0)), Ok(()));
        breaker.close(at(0), |failures| Duration::from_secs(u64::from(failures) * 10));
        assert_eq!(breaker.pass(&one, at(1)), Err(Some(at(10))));
        assert_eq!(breaker.pass(&one, at(10)), Ok(()));
        assert_eq!(breaker.pass(&other, at(11)), Err(None));
        assert!(!breaker.release(&other) && breaker.release(&one));
        assert_eq!(breaker.pass(&other, at(11)), Ok(()));
        breaker.close(at(11), |failures| Duration::from_secs(u64::from(failures) * 10));
        assert_eq!(breaker.pass(&one, at(12)), Err(Some(at(31))));
        assert!(breaker.open());
        assert_eq!(breaker.pass(&other, at(12)), Ok(()));
        assert!(!breaker.open());
    }
}
