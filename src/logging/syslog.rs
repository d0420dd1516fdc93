//! Syslog: this machine's, or another's over UDP or TCP, in the form of RFC 3164.
//!
//! The time stamp is local time, as that form has it. Over TCP a line feed ends
//! a message (RFC 6587, 3.4.2).
//!
//! **Failure.** A message that cannot be sent is sent once more over a new
//! connection. If that fails as well, messages are lost for [`PAUSE_SPAN`] before
//! the next attempt: a log server that hangs must not slow the runner down. How
//! many were lost is the first thing that the next connection carries.

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

/// How long sending or connecting may hold the runner up.
const SEND_SPAN: Duration = Duration::from_secs(1);
/// How long a syslog that failed is left alone.
const PAUSE_SPAN: Duration = Duration::from_secs(30);
/// The longest message, in bytes: what common syslog daemons take.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// Sends each line as a message.
#[derive(Debug)]
pub(super) struct Syslog {
    program: &'static str,
    facility: u8,
    peer: Peer,
    clock: Arc<dyn Clock>,
    link: Mutex<Link>,
}

// A clock that panicked half way would still only tell the time.
impl UnwindSafe for Syslog {}
impl RefUnwindSafe for Syslog {}

/// What there is of a connection.
#[derive(Debug, Default)]
struct Link {
    socket: Option<Socket>,
    /// Until when nothing is tried.
    pause: Option<Instant>,
    /// How many messages were lost since one arrived.
    lost: u64,
}

/// Checks that a syslog could be used: this machine's must be there, another one may come later.
pub(super) fn check(server: &SyslogServer) -> Result<(), LogError> {
    reach(&Peer::of(server)).map(drop)
}

/// Returns a way to this machine's syslog; there is none yet to another one.
fn reach(peer: &Peer) -> Result<Option<Socket>, LogError> {
    match peer {
        Peer::Local(path) => {
            let socket = peer.connect(SEND_SPAN);
            socket.map(Some).map_err(|source| LogError::Local { path, source })
        }
        Peer::Udp(_) | Peer::Tcp(_) => Ok(None),
    }
}

impl Syslog {
    /// Returns a sink that sends to a syslog: this machine's must be there, another one may come later.
    pub(super) fn open(
        program: &'static str,
        server: &SyslogServer,
        facility: u8,
        clock: Arc<dyn Clock>,
    ) -> Result<Syslog, LogError> {
        let peer = Peer::of(server);
        let link = Link { socket: reach(&peer)?, ..Link::default() };
        Ok(Syslog { program, facility, peer, clock, link: Mutex::new(link) })
    }

    fn message(&self, level: Level, line: &str) -> String {
        let priority = u16::from(self.facility) * 8 + u16::from(severity(level));
        let stamp = self.clock.now().to_zoned(TimeZone::system()).strftime("%b %e %H:%M:%S");
        // The machine's own syslog knows where it is.
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

    /// Sends a message over the connection that there is, or over a new one.
    fn send(&self, link: &mut Link, message: &str) -> io::Result<()> {
        if let Some(socket) = &mut link.socket
            && socket.send(message).is_ok()
        {
            return Ok(());
        }
        let mut socket = self.peer.connect(SEND_SPAN)?;
        if link.lost > 0 {
            let told = format!("messages were lost, count: {}", link.lost);
            socket.send(&self.message(Level::Warning, &told))?;
        }
        socket.send(message)?;
        *link = Link { socket: Some(socket), ..Link::default() };
        Ok(())
    }
}

impl Sink for Syslog {
    fn write(&self, level: Level, line: &str) -> io::Result<()> {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = match link.pause {
            Some(until) if Instant::now() < until => Err(io::ErrorKind::NotConnected.into()),
            _ => self.send(&mut link, &self.message(level, line)).inspect_err(|_| {
                link.pause = Instant::now().checked_add(PAUSE_SPAN);
            }),
        };
        if sent.is_err() {
            link.socket = None;
            link.lost = link.lost.saturating_add(1);
        }
        sent
    }
}

#[cfg(test)]
mod tests;
