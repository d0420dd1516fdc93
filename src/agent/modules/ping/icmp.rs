//! A ping by ICMP's echo.
//!
//! The system has sockets for just that, which need no privilege where its settings allow
//! them to our group. Else it takes a raw socket, which needs one, and which receives all
//! ICMP that comes from the host: our own requests on the loopback, errors, and the answers
//! to others.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send,
    socket_with,
};

use super::echo::{Echo, Version, within_ipv4};
use super::request::Timeout;
use super::{Fault, Outcome};
use crate::random;

/// The most that is read of a packet; an answer is 53 bytes long.
const PACKET_BYTES_MAX: usize = 2048;

/// Sends the echo request `number` to `address`.
pub(super) fn ping(address: SocketAddr, timeout: Timeout, number: i64) -> Result<Outcome, Fault> {
    let (version, network) = match address {
        SocketAddr::V4(_) => (Version::V4, "ip4:icmp"),
        SocketAddr::V6(_) => (Version::V6, "ip6:ipv6-icmp"),
    };
    let ip = address.ip();
    let dial = |call| Fault::when("Dial failed", format!("dial {network} {ip}: {call}"));
    let (socket, id) = open(version).map_err(dial("socket"))?;
    connect(&socket, &address).map_err(io::Error::from).map_err(dial("connect"))?;
    // Of many pings only the last ones can still be on their way.
    let sequence = u16::try_from(number & 0xffff).unwrap_or_default();
    let echo = Echo { version, id, sequence };
    let (began, deadline) = (Instant::now(), timeout.deadline());
    send(&socket, &echo.packet(), SendFlags::empty())
        .map_err(io::Error::from)
        .map_err(Fault::when("Write Error", format!("write {network} {ip}")))?;
    let read = || Fault::when("Read Error", format!("read {network} {ip}"));
    let mut buffer = [0; PACKET_BYTES_MAX];
    loop {
        if !deadline.readable(&socket).map_err(read())? {
            return Ok(Outcome::TimedOut);
        }
        let (size, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())
            .map_err(io::Error::from)
            .map_err(read())?;
        let latency = began.elapsed();
        let packet = buffer.get(..size).unwrap_or_default();
        // A raw socket of IPv4, and only that, gives the packet with its outer header.
        let is_raw = id.is_some();
        let packet = match version {
            Version::V4 if is_raw => within_ipv4(packet),
            Version::V4 | Version::V6 => packet,
        };
        if echo.is_answer(packet) {
            return Ok(Outcome::Answered(latency));
        }
    }
}

/// Opens a socket for echoes; a raw one comes with a number that tells ours from others'.
fn open(version: Version) -> io::Result<(OwnedFd, Option<u16>)> {
    let (family, protocol) = match version {
        Version::V4 => (AddressFamily::INET, ipproto::ICMP),
        Version::V6 => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let open = |kind| socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol));
    if let Ok(socket) = open(SocketType::DGRAM) {
        return Ok((socket, None));
    }
    let socket = open(SocketType::RAW)?;
    let mut id = [0; 2];
    random::fill(&mut id)?;
    Ok((socket, Some(u16::from_ne_bytes(id))))
}
