//! The service manager, systemd as a rule: what it is told of the service.
//!
//! What is said are lines of `sd_notify(3)`: the service is ready, reloads, stops,
//! and in a few words how it is. That it is alive is said by its [`Pulse`]. Where
//! no manager listens, nothing is said.
//!
//! The protocol is spoken here: crates for it read the environment themselves,
//! which only `cli` does, and wait for a manager that does not listen.
//!
//! **Failure.** What cannot be said is logged, once in a row. It stops nobody: the
//! manager draws its own conclusions from silence.

mod line;
mod pulse;
#[cfg(test)]
pub(crate) mod testing;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, warn};

use crate::chain::{Chain, excerpt};
use line::Line;
pub(crate) use pulse::Pulse;

/// The longest status: one line on a person's screen.
const STATUS_BYTES_MAX: usize = 200;

/// What the environment of the service says of its manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Where the manager listens: a path, or a name that begins with `@`.
    pub(crate) socket: OsString,
    /// After how long a silence the service counts as hung, if that is watched.
    pub(crate) silence_max: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Manager {
    line: Option<Arc<Line>>,
    silence_max: Option<Duration>,
}

impl Manager {
    /// Returns the manager at `address`; without one, nobody, who is told nothing.
    pub(crate) fn at(address: Option<Address>, log: &Logger) -> Manager {
        let Some(Address { socket, silence_max }) = address else { return Manager::nobody() };
        match Line::open(&socket, log.clone()) {
            Ok(line) => Manager { line: Some(Arc::new(line)), silence_max },
            Err(error) => {
                warn!(log, "cannot reach the service manager";
                    "socket" => %socket.to_string_lossy(), "error" => Chain(&error));
                Manager::nobody()
            }
        }
    }

    /// Returns the manager that is not there.
    pub(crate) fn nobody() -> Manager {
        Manager { line: None, silence_max: None }
    }

    /// Tells whether somebody listens.
    pub(crate) fn is_there(&self) -> bool {
        self.line.is_some()
    }

    /// Returns what shows the manager that a loop goes round.
    pub(crate) fn pulse(&self) -> Pulse {
        Pulse::new(self.line.clone(), self.silence_max)
    }

    /// Says that the service does its work from now on: after its start, and after a reload.
    pub(crate) fn ready(&self, status: &str) {
        self.say(&format!("READY=1\n{}", told(status)));
    }

    /// Says that what the service stands on is being read again, until it is ready.
    pub(crate) fn reloading(&self) {
        self.say("RELOADING=1");
    }

    /// Says in a few words how the service is.
    pub(crate) fn status(&self, status: &str) {
        self.say(&told(status));
    }

    /// Says that the service is about to end.
    pub(crate) fn stopping(&self) {
        self.say(&format!("STOPPING=1\n{}", told("stopping")));
    }

    fn say(&self, lines: &str) {
        if let Some(line) = &self.line {
            // Whether it was heard changes nothing that is done next.
            let _heard = line.say(lines);
        }
    }
}

/// Returns the line that tells a status: one line, whatever the status holds.
fn told(status: &str) -> String {
    format!("STATUS={}", excerpt(status, STATUS_BYTES_MAX))
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::testing::Listener;
    use super::*;

    #[test]
    fn a_manager_hears_the_life_of_a_service() {
        let listener = Listener::new();
        let manager = listener.manager(None);
        manager.ready("3 jobs");
        manager.reloading();
        manager.status("a\nREADY=1");
        manager.stopping();
        let heard = [
            "READY=1\nSTATUS=3 jobs",
            "RELOADING=1",
            "STATUS=a\\nREADY=1",
            "STOPPING=1\nSTATUS=stopping",
        ];
        assert_eq!(listener.heard(), heard);
    }

    #[test]
    fn a_status_is_short() {
        let listener = Listener::new();
        listener.manager(None).status(&"é".repeat(10_000));
        let heard = listener.heard().remove(0);
        assert!(heard.len() < STATUS_BYTES_MAX + 20, "{heard}");
    }

    #[test]
    fn nobody_is_told_nothing() {
        let log = Logger::root(Discard, o!());
        let manager = Manager::at(None, &log);
        manager.ready("");
        assert!(!manager.is_there());
        assert_eq!(manager.pulse().beat(), None);
        // An address that is none is as good as nobody.
        let address = Address { socket: "relative".into(), silence_max: None };
        assert!(!Manager::at(Some(address), &log).is_there());
    }
}
