//! Signals: TERM and INT stop the daemon, a second one ends it at once, HUP reloads.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::Event;
use crate::wake::Stop;

/// The signal handlers cannot be installed.
#[derive(Debug, thiserror::Error)]
#[error("cannot install signal handlers")]
pub(crate) struct SignalError(#[source] io::Error);

/// Starts a thread that sends an event to the engine for each signal. It also sets `stop` at once,
/// so that workers in the middle of their work begin no new step.
pub(super) fn listen(events: Sender<Event>, stop: Stop) -> Result<(), SignalError> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(SignalError)?;
    let forward = move || {
        let mut is_stopping = false;
        for signal in signals.forever() {
            if signal == SIGHUP {
                events.send(Event::Reload).ok();
            } else if is_stopping {
                // A second signal ends the process at once. The next start resumes unfinished work.
                emulate_default_handler(signal).ok();
            } else {
                is_stopping = true;
                stop.request();
                events.send(Event::Stop).ok();
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(forward).map(drop).map_err(SignalError)
}
