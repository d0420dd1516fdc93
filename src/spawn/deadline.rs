//! A point in time at which a wait on file descriptors ends.
//!
//! Every loop that calls `poll` with a time limit is this one: it continues after an interrupted
//! call and waits only for the time that is left.

use std::io;
#[cfg(any(test, feature = "platform"))]
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// When a wait ends; `None` is never, for a span beyond what the system can count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// Returns the deadline that is `span` from now.
    pub(crate) fn after(span: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(span))
    }

    /// Returns how much time is left; `None` if the deadline never comes.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|until| until.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn has_passed(self) -> bool {
        self.left() == Some(Duration::ZERO)
    }

    /// Waits until `source` can be read, has failed or has ended; returns `false` if the deadline
    /// has passed, even if there is something to read.
    #[cfg(feature = "platform")]
    pub(crate) fn readable(self, source: impl AsFd) -> io::Result<bool> {
        Ok(!self.has_passed() && self.first_readable(&[source.as_fd()])?.is_some())
    }

    /// Waits until one of `sources` can be read, has failed or has ended, and returns the index of
    /// the first such source; returns `None` at the deadline. After the deadline, checks the
    /// sources once without waiting.
    pub(crate) fn first_readable(self, sources: &[BorrowedFd<'_>]) -> io::Result<Option<usize>> {
        loop {
            let left = self.left();
            // A span that does not fit is as good as no limit.
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let mut polled: Vec<PollFd<'_>> = sources
                .iter()
                .map(|source| PollFd::from_borrowed_fd(*source, PollFlags::IN))
                .collect();
            match poll(&mut polled, timeout.as_ref()) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let first = polled.iter().position(|polled| !polled.revents().is_empty());
            if first.is_some() || left == Some(Duration::ZERO) {
                return Ok(first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn wait_ends_when_a_source_is_readable_or_at_the_deadline() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (silent, _silent_writer) = io::pipe().unwrap();
        let sources = [silent.as_fd(), reader.as_fd()];
        for span in [Duration::ZERO, Duration::from_millis(1)] {
            assert_eq!(Deadline::after(span).first_readable(&sources).unwrap(), None);
        }
        writer.write_all(b"x").unwrap();
        for span in [Duration::ZERO, Duration::MAX] {
            assert_eq!(Deadline::after(span).first_readable(&sources).unwrap(), Some(1));
        }
    }

    #[test]
    #[cfg(feature = "platform")]
    fn source_that_becomes_readable_too_late_does_not_count() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        assert!(!Deadline::after(Duration::ZERO).readable(&reader).unwrap());
        assert!(Deadline::after(Duration::MAX).readable(&reader).unwrap());
    }
}
