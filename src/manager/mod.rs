//! Notifies the service manager, usually systemd, of the state of the service.
//!
//! The messages are those of `sd_notify(3)`: the service is ready, reloads or stops, and a short
//! status text. A loop that feeds a [`Watchdog`] shows that it is running. Without a service
//! manager, nothing is sent.
//!
//! The protocol is implemented here because the crates for it read the environment themselves,
//! which only `cli` may do, and block if the manager does not read.
//!
//! **Failure.** The first of consecutive lost messages is logged. A lost message has no other
//! effect; the manager decides what missing notifications mean.

mod notify_socket;
#[cfg(test)]
pub(crate) mod testing;
mod watchdog;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, warn};

use crate::chain::{Chain, excerpt};
use notify_socket::NotifySocket;
pub(crate) use watchdog::Watchdog;

/// Maximum length of a status, in bytes: one line on a screen.
const STATUS_BYTES_MAX: usize = 200;

/// How to reach the service manager, from the environment of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManagerAddress {
    /// The socket of the manager: a path, or an abstract name that begins with `@`.
    pub(crate) socket: OsString,
    /// Without a watchdog notification for this long, the service counts as hung; `None` if the
    /// manager does not check this.
    pub(crate) watchdog_timeout: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Manager {
    socket: Option<Arc<NotifySocket>>,
    watchdog_timeout: Option<Duration>,
}

impl Manager {
    /// Returns the manager at `address`; without an address, [`Manager::none`].
    pub(crate) fn at(address: Option<ManagerAddress>, log: &Logger) -> Manager {
        let Some(ManagerAddress { socket, watchdog_timeout }) = address else {
            return Manager::none();
        };
        match NotifySocket::open(&socket, log.clone()) {
            Ok(socket) => Manager { socket: Some(Arc::new(socket)), watchdog_timeout },
            Err(error) => {
                warn!(log, "cannot reach service manager";
                    "socket" => %socket.to_string_lossy(), "error" => Chain(&error));
                Manager::none()
            }
        }
    }

    /// Returns a manager to which nothing is sent.
    pub(crate) fn none() -> Manager {
        Manager { socket: None, watchdog_timeout: None }
    }

    /// Returns whether there is a service manager.
    pub(crate) fn is_present(&self) -> bool {
        self.socket.is_some()
    }

    /// Returns the watchdog that the main loop feeds.
    pub(crate) fn watchdog(&self) -> Watchdog {
        Watchdog::new(self.socket.clone(), self.watchdog_timeout)
    }

    /// Reports that the service is ready, after its start or a reload.
    pub(crate) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\n{}", status_line(status)));
    }

    /// Reports that the service reloads its configuration, until the next [`Manager::ready`].
    pub(crate) fn reloading(&self) {
        self.send("RELOADING=1");
    }

    /// Reports a short description of the state of the service.
    pub(crate) fn status(&self, status: &str) {
        self.send(&status_line(status));
    }

    /// Reports that the service is stopping.
    pub(crate) fn stopping(&self) {
        self.send(&format!("STOPPING=1\n{}", status_line("stopping")));
    }

    fn send(&self, lines: &str) {
        if let Some(socket) = &self.socket {
            // A lost message has been logged and needs no further action.
            let _received = socket.send(lines);
        }
    }
}

/// Returns a status message, which is one line whatever the status contains.
fn status_line(status: &str) -> String {
    format!("STATUS={}", excerpt(status, STATUS_BYTES_MAX))
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::testing::Listener;
    use super::*;

    #[test]
    fn manager_receives_the_states_of_a_service() {
        let listener = Listener::new();
        let manager = listener.manager(None);
        manager.ready("3 jobs");
        manager.reloading();
        manager.status("a\nREADY=1");
        manager.stopping();
        let expected = [
            "READY=1\nSTATUS=3 jobs",
            "RELOADING=1",
            "STATUS=a\\nREADY=1",
            "STOPPING=1\nSTATUS=stopping",
        ];
        assert_eq!(listener.received(), expected);
    }

    #[test]
    fn status_is_truncated() {
        let listener = Listener::new();
        listener.manager(None).status(&"é".repeat(10_000));
        let message = listener.received().remove(0);
        assert!(message.len() < STATUS_BYTES_MAX + 20, "{message}");
    }

    #[test]
    fn nothing_is_sent_without_a_manager() {
        let log = Logger::root(Discard, o!());
        let manager = Manager::at(None, &log);
        manager.ready("");
        assert!(!manager.is_present());
        assert_eq!(manager.watchdog().feed(), None);
        // An invalid address is treated like a missing manager.
        let address = ManagerAddress { socket: "relative".into(), watchdog_timeout: None };
        assert!(!Manager::at(Some(address), &log).is_present());
    }
}
