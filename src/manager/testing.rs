//! A service manager for tests that stores the messages that it receives.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use slog::{Discard, Logger, o};

use super::{Manager, ManagerAddress};

/// A socket in a temporary folder.
#[derive(Debug)]
pub(crate) struct Listener {
    folder: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Listener {
    pub(crate) fn new() -> Listener {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Listener { folder, socket }
    }

    /// Returns this manager with a watchdog timeout.
    pub(crate) fn manager(&self, watchdog_timeout: Option<Duration>) -> Manager {
        let socket = self.folder.path().join("notify").into_os_string();
        Manager::at(Some(ManagerAddress { socket, watchdog_timeout }), &Logger::root(Discard, o!()))
    }

    /// Returns the messages received since the last call.
    pub(crate) fn received(&self) -> Vec<String> {
        let mut received = Vec::new();
        let mut text = [0; 4096];
        loop {
            match self.socket.recv(&mut text) {
                Ok(length) => received.push(String::from_utf8(text[..length].to_vec()).unwrap()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return received,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
