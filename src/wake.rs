//! What wakes a thread that waits: a hint, a deadline, a stop.
//!
//! **Invariant.** A hint says "look there", never what is true there. Losing
//! one costs time until the next scan, never an entry.

use std::io::{self, PipeReader, PipeWriter};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
#[cfg(any(test, feature = "platform"))]
use std::time::Duration;

/// Where it is worth looking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hint {
    Path(PathBuf),
    /// Everywhere: events were lost, or a watched folder was.
    Everything,
}

/// A request to stop, shared by all who must hear it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<(Mutex<bool>, Condvar, Line)>);

/// A pipe whose writing end is closed when a stop is asked for; made when first wanted.
type Line = Mutex<Option<(Arc<PipeReader>, Option<PipeWriter>)>>;

impl Stop {
    /// Returns a stop that nobody has asked for yet.
    pub(crate) fn new() -> Stop {
        Stop::default()
    }

    /// Asks all who wait to stop.
    pub(crate) fn ask(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
        let mut line = self.0.2.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, writer)) = line.as_mut() {
            *writer = None;
        }
    }

    /// Returns the end of a pipe that hangs up when a stop is asked for: for who waits by `poll`.
    pub(crate) fn line(&self) -> io::Result<Arc<PipeReader>> {
        let mut line = self.0.2.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((reader, _)) = line.as_ref() {
            return Ok(Arc::clone(reader));
        }
        let (reader, writer) = io::pipe()?;
        let reader = Arc::new(reader);
        // Asked under the lock that `ask` takes after it has set its mark: none can slip through.
        *line = Some((Arc::clone(&reader), (!self.asked()).then_some(writer)));
        Ok(reader)
    }

    /// Tells whether a stop was asked for.
    pub(crate) fn asked(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a stop is asked for, `span` at the most; tells whether it was.
    #[cfg(any(test, feature = "platform"))]
    pub(crate) fn wait(&self, span: Duration) -> bool {
        let asked = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(asked, span, |asked| !*asked);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_ends_a_wait() {
        let stop = Stop::new();
        let asker = stop.clone();
        let waiter = std::thread::spawn(move || stop.wait(Duration::from_secs(600)));
        asker.ask();
        assert!(waiter.join().unwrap());
    }

    #[test]
    fn a_stop_hangs_up_its_line_whether_asked_before_or_after() {
        use std::io::Read;
        for before in [true, false] {
            let stop = Stop::new();
            if before {
                stop.ask();
            }
            let line = stop.line().unwrap();
            let reader = std::thread::spawn(move || (&*line).read(&mut [0]).unwrap());
            stop.ask();
            assert_eq!(reader.join().unwrap(), 0);
        }
    }

    #[test]
    fn without_a_stop_the_wait_ends_by_itself() {
        assert!(!Stop::new().wait(Duration::from_millis(1)));
    }
}
