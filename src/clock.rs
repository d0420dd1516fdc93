//! The time, as a value that is passed in.
//!
//! Every decision takes `now` as an argument; only this file asks the system.
//! A test sets the clock by hand and drives whole days through a schedule.

use jiff::Timestamp;

/// What time it is.
pub(crate) trait Clock: std::fmt::Debug + Send + Sync {
    /// Returns the wall-clock time, in UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Returns the span from `earlier` to `later`, zero if the clock went back between them.
pub(crate) fn elapsed(earlier: Timestamp, later: Timestamp) -> std::time::Duration {
    std::time::Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

/// Returns `at` moved ahead by `by`, or the end of time where that is beyond it.
pub(crate) fn after(at: Timestamp, by: std::time::Duration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// Returns `at` moved back by `by`, or the beginning of time where that is before it.
pub(crate) fn before(at: Timestamp, by: std::time::Duration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
pub(crate) mod testing {
    //! A clock that stands still until a test moves it.

    use std::sync::Mutex;

    use jiff::Timestamp;

    use super::Clock;

    /// A clock set by hand.
    #[derive(Debug)]
    pub(crate) struct TestClock(Mutex<Timestamp>);

    impl TestClock {
        /// Returns a clock that shows `at`.
        pub(crate) fn new(at: Timestamp) -> TestClock {
            TestClock(Mutex::new(at))
        }

        /// Sets the clock, ahead or back.
        pub(crate) fn set(&self, at: Timestamp) {
            *self.0.lock().unwrap() = at;
        }
    }

    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
    }
}
