//! The clock, which is passed to the code that needs the time.
//!
//! Every decision takes `now` as an argument; only this file reads the system clock. Use an
//! `Instant` to measure the duration of an operation, and [`Clock::running`] to measure elapsed
//! real time. Tests set the clock and can simulate whole days of a schedule.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

pub(crate) trait Clock: std::fmt::Debug + Send + Sync {
    /// Returns the wall-clock time, in UTC.
    fn now(&self) -> Timestamp;

    /// Returns the time since the machine was booted, by a clock that cannot be set. Like
    /// [`Clock::now`], it includes the time during which the machine was suspended.
    fn running(&self) -> Duration;
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the implementation of the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn running(&self) -> Duration {
        // An `Instant` would not advance while the machine is suspended.
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
    }
}

/// Returns the processor time that this thread has used.
#[cfg(feature = "platform")]
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Returns the span from `earlier` to `later`; zero if the clock was set back in between.
pub(crate) fn elapsed(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

/// Returns `at` plus `by`, at most the largest time stamp.
pub(crate) fn after(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// Returns `at` minus `by`, at least the smallest time stamp.
pub(crate) fn before(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod testing {
    //! A clock that only tests advance.

    use std::sync::Mutex;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::Clock;

    /// A clock that is set by a test.
    #[derive(Debug)]
    pub(crate) struct TestClock(Mutex<(Timestamp, Duration)>);

    impl TestClock {
        /// Returns a clock that shows `at`.
        pub(crate) fn new(at: Timestamp) -> TestClock {
            TestClock(Mutex::new((at, Duration::ZERO)))
        }

        /// Sets the wall clock; no time passes.
        pub(crate) fn set(&self, at: Timestamp) {
            self.0.lock().unwrap().0 = at;
        }

        /// Advances the time, as if the machine were running or suspended.
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
