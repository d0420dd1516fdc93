//! The time, as a value that is passed in.
//!
//! Every decision takes `now` as an argument; only this file asks the system. An `Instant` measures
//! how long a piece of work takes; how much time has passed in the world is asked of [`Clock::running`].
//! A test sets the clock by hand and drives whole days through a schedule.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// What time it is.
pub(crate) trait Clock: std::fmt::Debug + Send + Sync {
    /// Returns the wall-clock time, in UTC.
    fn now(&self) -> Timestamp;

    /// Returns how long ago the machine was started, by a clock that cannot be set. Time during which the
    /// machine was suspended counts, as it does for [`Clock::now`].
    fn running(&self) -> Duration;
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn running(&self) -> Duration {
        // Not `Instant`: it stands still while the machine is suspended.
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
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
mod tests;

#[cfg(test)]
pub(crate) mod testing {
    //! A clock that stands still until a test moves it.

    use std::sync::Mutex;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::Clock;

    /// A clock set by hand.
    #[derive(Debug)]
    pub(crate) struct TestClock(Mutex<(Timestamp, Duration)>);

    impl TestClock {
        /// Returns a clock that shows `at`.
        pub(crate) fn new(at: Timestamp) -> TestClock {
            TestClock(Mutex::new((at, Duration::ZERO)))
        }

        /// Sets the clock, ahead or back; no time passes.
        pub(crate) fn set(&self, at: Timestamp) {
            self.0.lock().unwrap().0 = at;
        }

        /// Lets time pass, whether the machine works or is suspended.
        pub(crate) fn pass(&self, span: Duration) {
            let mut time = self.0.lock().unwrap();
            *time = (super::after(time.0, span), time.1.saturating_add(span));
        }
    }

    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            self.0.lock().unwrap().0
        }

        fn running(&self) -> Duration {
            self.0.lock().unwrap().1
        }
    }
}
