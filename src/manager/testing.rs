//! A service manager that a test asks what it has heard.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use slog::{Discard, Logger, o};

use super::{Address, Manager};

/// A socket in a folder of its own.
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

    /// Returns what a service knows that is allowed so long a silence.
    pub(crate) fn manager(&self, silence_max: Option<Duration>) -> Manager {
        let socket = self.folder.path().join("notify").into_os_string();
        Manager::at(Some(Address { socket, silence_max }), &Logger::root(Discard, o!()))
    }

    /// Returns what was said since it was last asked.
    pub(crate) fn heard(&self) -> Vec<String> {
        let mut heard = Vec::new();
        let mut text = [0; 4096];
        loop {
            match self.socket.recv(&mut text) {
                Ok(length) => heard.push(String::from_utf8(text[..length].to_vec()).unwrap()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return heard,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
