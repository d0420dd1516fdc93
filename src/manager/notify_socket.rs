//! The socket to the service manager, which receives one datagram per message.
//!
//! The socket is not connected, so that each message reaches the manager that listens now, even if
//! the manager was restarted.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use slog::{Logger, warn};

use crate::chain::Chain;

/// Time limit for a message to wait for space in the manager's queue.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct NotifySocket {
    socket: UnixDatagram,
    manager: SocketAddr,
    /// Whether the last message was lost; only the first of consecutive losses is logged.
    lost: AtomicBool,
    log: Logger,
}

impl NotifySocket {
    /// Opens a socket to the manager that listens at `name`.
    pub(super) fn open(name: &OsStr, log: Logger) -> io::Result<NotifySocket> {
        let manager = match name.as_bytes() {
            [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
            [b'/', ..] => SocketAddr::from_pathname(Path::new(name))?,
            _ => {
                return Err(io::Error::other(
                    "neither an absolute path nor a name that begins with @",
                ));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(NotifySocket { socket, manager, lost: AtomicBool::new(false), log })
    }

    /// Sends a message; returns whether the manager received it.
    #[must_use = "a message may be lost"]
    pub(super) fn send(&self, lines: &str) -> bool {
        let sent = self.socket.send_to_addr(lines.as_bytes(), &self.manager);
        let was_lost = self.lost.swap(sent.is_err(), Ordering::Relaxed);
        if let (Err(error), false) = (&sent, was_lost) {
            warn!(self.log, "cannot notify service manager"; "error" => Chain(error));
        }
        sent.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::*;

    fn open(name: &OsStr) -> io::Result<NotifySocket> {
        NotifySocket::open(name, Logger::root(Discard, o!()))
    }

    #[test]
    fn abstract_name_is_a_valid_address() {
        let name = format!("mig-runner-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        assert!(open(format!("@{name}").as_ref()).unwrap().send("READY=1"));
        let mut text = [0; 16];
        let length = listener.recv(&mut text).unwrap();
        assert_eq!(&text[..length], b"READY=1");
        assert!(open("run/notify".as_ref()).is_err());
        assert!(open("".as_ref()).is_err());
    }

    #[test]
    fn missing_or_busy_manager_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = open(path.as_os_str()).unwrap();
        assert!(!socket.send("READY=1"));
        let listener = UnixDatagram::bind(&path).unwrap();
        assert!(socket.send("READY=1"));
        drop(listener);
        assert!(!socket.send("READY=1"));
        #[expect(clippy::disallowed_methods, reason = "a manager that restarts does this")]
        std::fs::remove_file(&path).unwrap();
        let _listener = UnixDatagram::bind(&path).unwrap();
        assert!(socket.send("READY=1"));
        // The manager does not read: messages are lost once its queue is full.
        while socket.send("WATCHDOG=1") {}
    }
}
