//! The time at which a wait ends.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// The end of a wait; `None` for a time beyond the system's range, which is never reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// Returns the deadline `span` from now.
    pub(crate) fn after(span: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(span))
    }

    /// Returns the remaining time; `None` for no limit.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Waits until `source` is readable, has failed or has ended. Returns false at the deadline.
    pub(crate) fn readable(self, source: impl AsFd) -> io::Result<bool> {
        loop {
            let left = self.left();
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
            let span = left.and_then(|left| Timespec::try_from(left).ok());
            let mut polled = [PollFd::new(&source, PollFlags::IN)];
            match poll(&mut polled, span.as_ref()) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn wait_ends_when_readable_or_at_the_deadline() {
        let (reader, mut writer) = io::pipe().unwrap();
        assert!(!Deadline::after(Duration::ZERO).readable(&reader).unwrap());
        assert!(!Deadline::after(Duration::from_millis(1)).readable(&reader).unwrap());
        writer.write_all(b"x").unwrap();
        assert!(Deadline::after(Duration::MAX).readable(&reader).unwrap());
    }
}
