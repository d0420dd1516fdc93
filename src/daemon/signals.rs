//! Signals: TERM and INT stop, a second one ends at once, HUP reloads.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::Event;
use crate::wake::Stop;

/// Signals cannot be caught.
#[derive(Debug, thiserror::Error)]
#[error("cannot catch signals")]
pub(crate) struct SignalError(#[source] io::Error);

/// Sends what signals ask for to the engine, from a thread of its own. A stop is asked for at once,
/// so that workers in the middle of their work begin no new step.
pub(super) fn listen(events: Sender<Event>, stop: Stop) -> Result<(), SignalError> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(SignalError)?;
    let hear = move || {
        let mut asked = false;
        for signal in signals.forever() {
            if signal == SIGHUP {
                events.send(Event::Reload).ok();
            } else if asked {
                // The second one: whoever sends it does not want to wait. What is under way is
                // settled at the next start.
                emulate_default_handler(signal).ok();
            } else {
                asked = true;
                stop.ask();
                events.send(Event::Stop).ok();
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(hear).map(drop).map_err(SignalError)
}
