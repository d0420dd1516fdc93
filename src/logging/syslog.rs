//! Logging to syslog, on this machine or on another one over UDP or TCP, in the format of RFC 3164.
//!
//! The time stamp is local time, as the format requires. Over TCP, a line feed ends a message (RFC
//! 6587, 3.4.2).
//!
//! **Failure.** A message that cannot be sent is sent once more over a new connection. If that
//! fails as well, messages are dropped for [`PAUSE_SPAN`] before the next attempt, because a log
//! server that hangs must not slow the runner down. The first message of the next connection
//! reports the number of lost messages.

use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use slog::Level;

use super::peer::{Peer, Socket};
use super::{LogError, Sink, severity};
use crate::chain::excerpt;
use crate::clock::Clock;
use crate::config::logging::SyslogServer;

/// Time limit for sending and for connecting.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);
/// Delay before the next attempt after a failure.
const PAUSE_SPAN: Duration = Duration::from_secs(30);
/// Maximum length of a message, in bytes, which common syslog daemons accept.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// Sends each line as a message.
#[derive(Debug)]
pub(super) struct Syslog {
    program: &'static str,
    facility: u8,
    peer: Peer,
    clock: Arc<dyn Clock>,
    connection: Mutex<Connection>,
}

// A clock has no state that a panic could leave inconsistent.
impl UnwindSafe for Syslog {}
impl RefUnwindSafe for Syslog {}

#[derive(Debug, Default)]
struct Connection {
    socket: Option<Socket>,
    /// No attempt is made before this time.
    retry_at: Option<Instant>,
    /// The number of messages lost since the last success.
    lost: u64,
}

/// Checks that syslog can be used: the local daemon must be running; a remote one may start later.
pub(super) fn check(server: &SyslogServer) -> Result<(), LogError> {
    connect_local(&Peer::of(server)).map(drop)
}

/// Connects to the local daemon; returns `None` for a remote one, which is connected to later.
fn connect_local(peer: &Peer) -> Result<Option<Socket>, LogError> {
    match peer {
        Peer::Local(path) => {
            let socket = peer.connect(SEND_TIMEOUT);
            socket.map(Some).map_err(|source| LogError::Local { path, source })
        }
        Peer::Udp(_) | Peer::Tcp(_) => Ok(None),
    }
}

impl Syslog {
    /// Returns a sink for a syslog daemon: the local one must be running; a remote one may start
    /// later.
    pub(super) fn open(
        program: &'static str,
        server: &SyslogServer,
        facility: u8,
        clock: Arc<dyn Clock>,
    ) -> Result<Syslog, LogError> {
        let peer = Peer::of(server);
        let connection = Connection { socket: connect_local(&peer)?, ..Connection::default() };
        Ok(Syslog { program, facility, peer, clock, connection: Mutex::new(connection) })
    }

    fn message(&self, level: Level, line: &str) -> String {
        let priority = u16::from(self.facility) * 8 + u16::from(severity(level));
        let stamp = self.clock.now().to_zoned(TimeZone::system()).strftime("%b %e %H:%M:%S");
        // The local daemon adds the host name.
        let host = match &self.peer {
            Peer::Local(_) => String::new(),
            Peer::Udp(_) | Peer::Tcp(_) => {
                format!("{} ", rustix::system::uname().nodename().to_string_lossy())
            }
        };
        let (program, pid) = (self.program, std::process::id());
        let message = format!("<{priority}>{stamp} {host}{program}[{pid}]: {line}");
        excerpt(&message, MESSAGE_BYTES_MAX).into_owned()
    }

    /// Sends a message over the open connection, or over a new one.
    fn send(&self, connection: &mut Connection, message: &str) -> io::Result<()> {
        if let Some(socket) = &mut connection.socket
            && socket.send(message).is_ok()
        {
            return Ok(());
        }
        let mut socket = self.peer.connect(SEND_TIMEOUT)?;
        if connection.lost > 0 {
            let notice = format!("messages lost, count: {}", connection.lost);
            socket.send(&self.message(Level::Warning, &notice))?;
        }
        socket.send(message)?;
        *connection = Connection { socket: Some(socket), ..Connection::default() };
        Ok(())
    }
}

impl Sink for Syslog {
    fn write(&self, level: Level, line: &str) -> io::Result<()> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = match connection.retry_at {
            Some(until) if Instant::now() < until => Err(io::ErrorKind::NotConnected.into()),
            _ => self.send(&mut connection, &self.message(level, line)).inspect_err(|_| {
                connection.retry_at = Instant::now().checked_add(PAUSE_SPAN);
            }),
        };
        if sent.is_err() {
            connection.socket = None;
            connection.lost = connection.lost.saturating_add(1);
        }
        sent
    }
}

#[cfg(test)]
mod tests;
