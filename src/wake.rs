//! Signals that wake a waiting thread: hints and stop requests.
//!
//! **Invariant.** A hint only says where to check, never what the state is. A lost hint delays an
//! entry until the next scan; the entry itself is not lost.

use std::io::{self, PipeReader, PipeWriter};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
#[cfg(any(test, feature = "platform"))]
use std::time::Duration;

/// A place that may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hint {
    Path(PathBuf),
    /// All folders: events were lost, or a watched folder was removed.
    Everything,
}

/// A stop flag, shared by all threads that must react to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<(Mutex<bool>, Condvar, StopPipe)>);

/// A pipe whose writing end is closed when a stop is requested; created on first use.
type StopPipe = Mutex<Option<(Arc<PipeReader>, Option<PipeWriter>)>>;

impl Stop {
    /// Returns a stop flag that is not set.
    pub(crate) fn new() -> Stop {
        Stop::default()
    }

    /// Requests a stop and wakes all waiting threads.
    pub(crate) fn request(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
        let mut pipe = self.0.2.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, writer)) = pipe.as_mut() {
            *writer = None;
        }
    }

    /// Returns the reading end of a pipe that hangs up when a stop is requested, for use with
    /// `poll`.
    pub(crate) fn pipe(&self) -> io::Result<Arc<PipeReader>> {
        let mut pipe = self.0.2.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((reader, _)) = pipe.as_ref() {
            return Ok(Arc::clone(reader));
        }
        let (reader, writer) = io::pipe()?;
        let reader = Arc::new(reader);
        // `request` sets the flag before it takes the lock of the pipe, which is held here. So
        // either the flag is already visible, or `request` will find the writer and close it.
        *pipe = Some((Arc::clone(&reader), (!self.is_requested()).then_some(writer)));
        Ok(reader)
    }

    /// Returns whether a stop was requested.
    pub(crate) fn is_requested(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a stop request, but at most for `span`; returns whether there was one.
    #[cfg(any(test, feature = "platform"))]
    pub(crate) fn wait(&self, span: Duration) -> bool {
        let flag = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(flag, span, |is_set| !*is_set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_ends_a_wait() {
        let stop = Stop::new();
        let requester = stop.clone();
        let waiter = std::thread::spawn(move || stop.wait(Duration::from_secs(600)));
        requester.request();
        assert!(waiter.join().unwrap());
    }

    #[test]
    fn stop_hangs_up_its_pipe_whether_requested_before_or_after() {
        use std::io::Read;
        for before in [true, false] {
            let stop = Stop::new();
            if before {
                stop.request();
            }
            let pipe = stop.pipe().unwrap();
            let reader = std::thread::spawn(move || (&*pipe).read(&mut [0]).unwrap());
            stop.request();
            assert_eq!(reader.join().unwrap(), 0);
        }
    }

    #[test]
    fn wait_without_a_stop_ends_by_itself() {
        assert!(!Stop::new().wait(Duration::from_millis(1)));
    }
}
