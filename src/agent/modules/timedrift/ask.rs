//! Asks one NTP server for the time.
//!
//! The question carries a number that nobody can guess in place of our time, so that an
//! answer without it, which somebody else may have sent, is told from the server's and
//! passed over. The way there and back is measured by a clock that is never set.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use super::sntp::{self, AnswerError, COOKIE_BYTES, Reading};
use crate::clock::{self, Clock};
use crate::random;
use crate::spawn::deadline::Deadline;

/// The most that is read of an answer; an honest one without extensions is 48 bytes long.
const ANSWER_BYTES_MAX: usize = 1024;

/// A server that has not told the time.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// Its name is not known.
    #[error("cannot resolve its name")]
    Resolve(#[source] io::Error),
    /// Its name has no address.
    #[error("its name has no address")]
    NoAddress,
    /// It cannot be asked.
    #[error("cannot ask {address}")]
    Ask { address: SocketAddr, source: io::Error },
    #[error("no answer from {0} in time")]
    Silent(SocketAddr),
    /// Its answer cannot be used.
    #[error("bad answer from {address}")]
    Answer { address: SocketAddr, source: AnswerError },
}

/// Asks `host`; of several addresses the first that answers counts.
pub(super) fn ask(
    host: &str,
    port: u16,
    patience: Duration,
    clock: &dyn Clock,
) -> Result<Reading, AskError> {
    let name = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let deadline = Deadline::after(patience);
    let mut failed = AskError::NoAddress;
    for address in (name, port).to_socket_addrs().map_err(AskError::Resolve)? {
        match ask_address(address, deadline, clock) {
            Ok(reading) => return Ok(reading),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn ask_address(
    address: SocketAddr,
    deadline: Deadline,
    clock: &dyn Clock,
) -> Result<Reading, AskError> {
    let failed = |source| AskError::Ask { address, source };
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).map_err(failed)?;
    // From then on only what comes from there is received, and a refusal is told.
    socket.connect(address).map_err(failed)?;
    let mut cookie = [0; COOKIE_BYTES];
    random::fill(&mut cookie).map_err(failed)?;
    let (local, began) = (clock.now(), Instant::now());
    socket.send(&sntp::question(cookie)).map_err(failed)?;
    let mut packet = [0; ANSWER_BYTES_MAX];
    loop {
        if !deadline.readable(&socket).map_err(failed)? {
            return Err(AskError::Silent(address));
        }
        let size = socket.recv(&mut packet).map_err(failed)?;
        let latency = began.elapsed();
        match sntp::answer(packet.get(..size).unwrap_or_default(), cookie) {
            Ok(answer) => return Ok(answer.read(clock::after(local, latency), latency)),
            Err(AnswerError::Foreign) => {}
            Err(source) => return Err(AskError::Answer { address, source }),
        }
    }
}
