//! Pings by ICMP echo.
//!
//! Linux has sockets for ICMP echo that need no privilege if its settings allow them to our group.
//! Otherwise a raw socket is needed, which requires a privilege, and which receives all ICMP
//! packets from the pinged host: our own requests on the loopback, errors, and answers to other
//! processes.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send,
    socket_with,
};

use super::echo::{EchoRequest, IcmpVersion, ipv4_payload};
use super::{PingError, PingOutcome, deadline};
use crate::modules::ping::PingTimeout;
use crate::random;

/// Size of the receive buffer, in bytes; an answer has 53 bytes.
const PACKET_BYTES_MAX: usize = 2048;

/// Sends the echo request `number` to `address` and waits for its answer.
pub(super) fn ping(
    address: SocketAddr,
    timeout: PingTimeout,
    number: i64,
) -> Result<PingOutcome, PingError> {
    let version = match address {
        SocketAddr::V4(_) => IcmpVersion::V4,
        SocketAddr::V6(_) => IcmpVersion::V6,
    };
    let (socket, id) = open(version).map_err(PingError::Open)?;
    connect(&socket, &address).map_err(|error| PingError::Connect(error.into()))?;
    // The lower bits are enough: only answers to the latest requests can still arrive.
    let sequence = u16::try_from(number & 0xffff).unwrap_or_default();
    let request = EchoRequest { version, id, sequence };
    let (began, deadline) = (Instant::now(), deadline(timeout));
    send(&socket, &request.packet(), SendFlags::empty())
        .map_err(|error| PingError::Send(error.into()))?;
    let mut buffer = [0; PACKET_BYTES_MAX];
    loop {
        if !deadline.readable(&socket).map_err(PingError::Receive)? {
            return Ok(PingOutcome::TimedOut);
        }
        let (size, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())
            .map_err(|error| PingError::Receive(error.into()))?;
        let latency = began.elapsed();
        let packet = buffer.get(..size).unwrap_or_default();
        // Only a raw IPv4 socket receives packets with their IP header.
        let is_raw = id.is_some();
        let packet = match version {
            IcmpVersion::V4 if is_raw => ipv4_payload(packet),
            IcmpVersion::V4 | IcmpVersion::V6 => packet,
        };
        if request.is_answer(packet) {
            return Ok(PingOutcome::Answered(latency));
        }
    }
}

/// Opens a socket for echoes. A raw one comes with a random id that marks our requests.
fn open(version: IcmpVersion) -> io::Result<(OwnedFd, Option<u16>)> {
    let (family, protocol) = match version {
        IcmpVersion::V4 => (AddressFamily::INET, ipproto::ICMP),
        IcmpVersion::V6 => (AddressFamily::INET6, ipproto::ICMPV6),
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
