//! A query to one NTP server.
//!
//! In place of our time, the query carries a random number. The server repeats it, so an answer
//! without it comes from another host and is skipped. The round trip is measured with a clock that
//! is never set.
//!
//! No crate is used: those for SNTP send the host's time and measure the round trip with the system
//! clock, which may be set during the query.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use super::sntp::{self, AnswerError, COOKIE_BYTES, ClockReading};
use crate::clock::{self, Clock};
use crate::random;
use crate::spawn::deadline::Deadline;

/// Size of the receive buffer, in bytes; an answer without extensions has 48 bytes.
const ANSWER_BYTES_MAX: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub(super) enum QueryError {
    #[error("cannot resolve name")]
    Resolve(#[source] io::Error),
    #[error("name has no address")]
    NoAddress,
    #[error("cannot query {address}")]
    Query { address: SocketAddr, source: io::Error },
    #[error("no answer from {0} in time")]
    NoAnswer(SocketAddr),
    #[error("invalid answer from {address}")]
    Answer { address: SocketAddr, source: AnswerError },
}

/// Queries the addresses of `host`, one after the other, until one gives a valid answer.
pub(super) fn query(
    host: &str,
    port: u16,
    timeout: Duration,
    clock: &dyn Clock,
) -> Result<ClockReading, QueryError> {
    let name = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let deadline = Deadline::after(timeout);
    let mut last_error = QueryError::NoAddress;
    for address in (name, port).to_socket_addrs().map_err(QueryError::Resolve)? {
        match query_address(address, deadline, clock) {
            Ok(reading) => return Ok(reading),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

fn query_address(
    address: SocketAddr,
    deadline: Deadline,
    clock: &dyn Clock,
) -> Result<ClockReading, QueryError> {
    let failed = |source| QueryError::Query { address, source };
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).map_err(failed)?;
    // A connected socket receives only from `address`, and reports a refusal.
    socket.connect(address).map_err(failed)?;
    let mut cookie = [0; COOKIE_BYTES];
    random::fill(&mut cookie).map_err(failed)?;
    let (local, began) = (clock.now(), Instant::now());
    socket.send(&sntp::request(cookie)).map_err(failed)?;
    let mut packet = [0; ANSWER_BYTES_MAX];
    loop {
        if !deadline.readable(&socket).map_err(failed)? {
            return Err(QueryError::NoAnswer(address));
        }
        let size = socket.recv(&mut packet).map_err(failed)?;
        let latency = began.elapsed();
        match sntp::parse_answer(packet.get(..size).unwrap_or_default(), cookie) {
            Ok(answer) => return Ok(answer.compare(clock::after(local, latency), latency)),
            Err(AnswerError::WrongCookie) => {}
            Err(source) => return Err(QueryError::Answer { address, source }),
        }
    }
}
