//! A ping by UDP: a packet, and whatever comes back.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use super::request::Timeout;
use super::{Fault, Outcome, PAYLOAD};

/// Sends a packet to `address`.
pub(super) fn ping(address: SocketAddr, timeout: Timeout) -> Result<Outcome, Fault> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let dial = |call| Fault::when("Dial Error", format!("dial udp {address}: {call}"));
    let socket = UdpSocket::bind((any, 0)).map_err(dial("bind"))?;
    // From then on only what comes from there is received, and a refusal is told.
    socket.connect(address).map_err(dial("connect"))?;
    let (began, deadline) = (Instant::now(), timeout.deadline());
    socket.send(PAYLOAD).map_err(Fault::when("Write Error", format!("write udp {address}")))?;
    let read = || Fault::when("Read Error", format!("read udp {address}"));
    if !deadline.readable(&socket).map_err(read())? {
        return Ok(Outcome::TimedOut);
    }
    // What it says does not matter, nor how much of it is lost.
    match socket.recv(&mut [0]) {
        Ok(_) => Ok(Outcome::Answered(began.elapsed())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Outcome::Refused),
        Err(error) => Err(read()(error)),
    }
}
