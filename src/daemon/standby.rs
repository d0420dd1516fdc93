//! Standby: waits until the active runner has ended.
//!
//! The standby runner waits for the lock itself, so that the kernel wakes it when the holder ends,
//! however it ends. It releases the lock at once: the start that follows takes the lock like any
//! other start, and may find that another standby runner was faster.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use super::Event;
use super::error::DaemonError;
use super::settings::Reopen;
use super::signals;
use crate::disk::{Context, wait_until_free};
use crate::manager::Watchdog;
use crate::spool::SpoolError;
use crate::wake::{Hint, Stop};

/// A standby runner, which handles signals while it waits.
#[derive(Debug)]
pub(crate) struct Standby {
    events: Receiver<Event>,
    sender: Sender<Event>,
    stop: Stop,
    reopen: Reopen,
}

/// Why a wait has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The lock was free a moment ago.
    Free,
    /// A signal requested a stop.
    Stopped,
}

impl Standby {
    /// Starts to handle signals, which set `stop`; `reopen` reopens the log.
    pub(crate) fn begin(reopen: Reopen, stop: Stop) -> Result<Standby, DaemonError> {
        let (sender, events) = channel();
        signals::listen(sender.clone(), stop.clone())?;
        Ok(Standby { events, sender, stop, reopen })
    }

    /// Waits until the lock on a file is free, feeding the watchdog meanwhile.
    pub(crate) fn wait(
        &self,
        path: PathBuf,
        watchdog: &mut Watchdog,
    ) -> Result<Awaited, DaemonError> {
        if self.stop.is_requested() {
            return Ok(Awaited::Stopped);
        }
        let disk = |error| DaemonError::Spool { source: SpoolError::Disk { source: error } };
        let (sender, locked) = (self.sender.clone(), path.clone());
        let wait = move || {
            let freed = wait_until_free(&path);
            // After a stop, the receiver may be gone.
            sender.send(Event::Hint(Hint::Everything)).ok();
            freed
        };
        let waiting = thread::Builder::new()
            .name("standby".to_owned())
            .spawn(wait)
            .context("wait for", &locked)
            .map_err(disk)?;
        loop {
            match self.next_event(watchdog) {
                Event::Hint(_) => {
                    let freed = waiting.join().unwrap_or(Ok(()));
                    return freed
                        .context("wait for", &locked)
                        .map_err(disk)
                        .map(|()| Awaited::Free);
                }
                Event::Reload => (self.reopen.0)(),
                Event::Stop
                | Event::TaskFinished(_)
                | Event::RemovalPlanned(_)
                | Event::DoneReviewed(_)
                | Event::FinishedCounted(_) => return Ok(Awaited::Stopped),
            }
        }
    }

    /// Waits for the next event, feeding the watchdog meanwhile.
    fn next_event(&self, watchdog: &mut Watchdog) -> Event {
        loop {
            let received = match watchdog.feed() {
                Some(span) => self.events.recv_timeout(span),
                None => self.events.recv().map_err(RecvTimeoutError::from),
            };
            match received {
                Ok(event) => return event,
                Err(RecvTimeoutError::Timeout) => {}
                // Cannot happen, because `self` holds a sender.
                Err(RecvTimeoutError::Disconnected) => return Event::Stop,
            }
        }
    }
}
