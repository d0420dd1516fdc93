//! Pings of a port: by TCP with a connection that is closed at once, by UDP with a packet.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::{PAYLOAD, PingError, PingOutcome, deadline};
use crate::modules::ping::PingTimeout;

/// Connects to `address`.
pub(super) fn ping_tcp(
    address: SocketAddr,
    timeout: PingTimeout,
) -> Result<PingOutcome, PingError> {
    let began = Instant::now();
    let connected = match timeout {
        PingTimeout::After(Duration::ZERO) => return Ok(PingOutcome::TimedOut),
        PingTimeout::After(span) => TcpStream::connect_timeout(&address, span),
        // The system gives up after some minutes.
        PingTimeout::Zero => TcpStream::connect(address),
    };
    match connected {
        Ok(_) => Ok(PingOutcome::Answered(began.elapsed())),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Ok(PingOutcome::Refused),
            io::ErrorKind::TimedOut => Ok(PingOutcome::TimedOut),
            _ => Err(PingError::Connect(error)),
        },
    }
}

/// Sends a packet to `address` and waits for any answer.
pub(super) fn ping_udp(
    address: SocketAddr,
    timeout: PingTimeout,
) -> Result<PingOutcome, PingError> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).map_err(PingError::Open)?;
    // A connected socket receives only from `address`, and reports a refusal.
    socket.connect(address).map_err(PingError::Connect)?;
    let (began, deadline) = (Instant::now(), deadline(timeout));
    socket.send(PAYLOAD).map_err(PingError::Send)?;
    if !deadline.readable(&socket).map_err(PingError::Receive)? {
        return Ok(PingOutcome::TimedOut);
    }
    // The content of the answer does not matter.
    match socket.recv(&mut [0]) {
        Ok(_) => Ok(PingOutcome::Answered(began.elapsed())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(PingOutcome::Refused),
        Err(error) => Err(PingError::Receive(error)),
    }
}
