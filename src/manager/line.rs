//! The line to the service manager: one datagram a message.
//!
//! The socket is bound to nothing and connected to nothing: each message finds the
//! manager that listens now, also one that was started again.

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

/// How long a message may wait for room in the manager's queue.
const SAY_SPAN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Line {
    socket: UnixDatagram,
    manager: SocketAddr,
    /// Whether the last message got lost, which is told once in a row.
    lost: AtomicBool,
    log: Logger,
}

impl Line {
    /// Opens the line to the manager that listens at `name`.
    pub(super) fn open(name: &OsStr, log: Logger) -> io::Result<Line> {
        let manager = match name.as_bytes() {
            [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
            [b'/', ..] => SocketAddr::from_pathname(Path::new(name))?,
            _ => return Err(io::Error::other("neither a path from / nor a name after @")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SAY_SPAN))?;
        Ok(Line { socket, manager, lost: AtomicBool::new(false), log })
    }

    /// Says something; tells whether it was heard.
    #[must_use = "a message may get lost"]
    pub(super) fn say(&self, lines: &str) -> bool {
        let said = self.socket.send_to_addr(lines.as_bytes(), &self.manager);
        let was_lost = self.lost.swap(said.is_err(), Ordering::Relaxed);
        if let (Err(error), false) = (&said, was_lost) {
            warn!(self.log, "the service manager does not listen"; "error" => Chain(error));
        }
        said.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::*;

    fn open(name: &OsStr) -> io::Result<Line> {
        Line::open(name, Logger::root(Discard, o!()))
    }

    #[test]
    fn a_name_without_a_file_is_an_address_too() {
        let name = format!("mig-runner-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        assert!(open(format!("@{name}").as_ref()).unwrap().say("READY=1"));
        let mut text = [0; 16];
        let length = listener.recv(&mut text).unwrap();
        assert_eq!(&text[..length], b"READY=1");
        assert!(open("run/notify".as_ref()).is_err());
        assert!(open("".as_ref()).is_err());
    }

    #[test]
    fn a_manager_that_is_gone_or_back_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let line = open(path.as_os_str()).unwrap();
        assert!(!line.say("READY=1"));
        let listener = UnixDatagram::bind(&path).unwrap();
        assert!(line.say("READY=1"));
        drop(listener);
        assert!(!line.say("READY=1"));
        #[expect(clippy::disallowed_methods, reason = "as a manager does that starts again")]
        std::fs::remove_file(&path).unwrap();
        let _listener = UnixDatagram::bind(&path).unwrap();
        assert!(line.say("READY=1"));
        // It listens and does not read: what its queue cannot take gets lost.
        while line.say("WATCHDOG=1") {}
    }
}
