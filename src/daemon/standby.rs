//! Standing by: waits until the runner that works now is gone.
//!
//! The lock itself is waited for, so that the kernel wakes us when its holder ends,
//! however it ends. It is given back at once: the start that follows takes it like
//! any other, and may find that another one who stood by was faster.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use super::{DaemonError, Event, Reopen, signals};
use crate::disk::{Context, wait_until_free};
use crate::manager::Pulse;
use crate::spool::SpoolError;
use crate::wake::{Hint, Stop};

/// Waits, and hears signals meanwhile.
#[derive(Debug)]
pub(crate) struct Standby {
    events: Receiver<Event>,
    sender: Sender<Event>,
    stop: Stop,
    reopen: Reopen,
}

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// Nobody held the lock, a moment ago.
    Free,
    /// A signal asked for the end.
    Stopped,
}

impl Standby {
    /// Begins to hear signals, which ask for `stop`; `reopen` reopens the log.
    ///
    /// # Errors
    /// They cannot be caught.
    pub(crate) fn begin(reopen: Reopen, stop: Stop) -> Result<Standby, DaemonError> {
        let (sender, events) = channel();
        signals::listen(sender.clone(), stop.clone())?;
        Ok(Standby { events, sender, stop, reopen })
    }

    /// Waits until nobody holds the lock of a file or folder; `pulse` shows that it still does.
    ///
    /// # Errors
    /// The lock cannot be asked for.
    pub(crate) fn wait(&self, path: PathBuf, pulse: &mut Pulse) -> Result<Awaited, DaemonError> {
        if self.stop.asked() {
            return Ok(Awaited::Stopped);
        }
        let disk = |error| DaemonError::Spool { source: SpoolError::Disk { source: error } };
        let (look, shown) = (self.sender.clone(), path.clone());
        let ask = move || {
            let freed = wait_until_free(&path);
            // Nobody listens any more where a stop was faster.
            look.send(Event::Hint(Hint::Everything)).ok();
            freed
        };
        let asking = thread::Builder::new()
            .name("standby".to_owned())
            .spawn(ask)
            .context("wait for", &shown)
            .map_err(disk)?;
        loop {
            match self.hear(pulse) {
                Event::Hint(_) => {
                    let freed = asking.join().unwrap_or(Ok(()));
                    return freed.context("wait for", &shown).map_err(disk).map(|()| Awaited::Free);
                }
                Event::Reload => (self.reopen.0)(),
                Event::Stop
                | Event::Done(_)
                | Event::Planned(_)
                | Event::Reviewed(_)
                | Event::Counted(_) => return Ok(Awaited::Stopped),
            }
        }
    }

    /// Returns the next event, and beats until there is one.
    fn hear(&self, pulse: &mut Pulse) -> Event {
        loop {
            let heard = match pulse.beat() {
                Some(span) => self.events.recv_timeout(span),
                None => self.events.recv().map_err(RecvTimeoutError::from),
            };
            match heard {
                Ok(event) => return event,
                Err(RecvTimeoutError::Timeout) => {}
                // We hold a sender ourselves, so this cannot be; what hears nothing more is to end.
                Err(RecvTimeoutError::Disconnected) => return Event::Stop,
            }
        }
    }
}
