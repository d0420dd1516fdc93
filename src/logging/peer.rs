//! Connections to a syslog daemon: over a local datagram socket, UDP or TCP.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use crate::config::logging::SyslogServer;

/// The socket of the local syslog daemon.
const LOCAL: &str = "/dev/log";

/// The address of a syslog daemon.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    Local(&'static Path),
    Udp((String, u16)),
    Tcp((String, u16)),
}

/// An open connection to a syslog daemon.
#[derive(Debug)]
pub(super) enum Socket {
    Local(UnixDatagram),
    /// Sends one datagram per message.
    Udp(UdpSocket),
    /// Sends one line per message.
    Tcp(TcpStream),
}

impl Peer {
    pub(super) fn of(server: &SyslogServer) -> Peer {
        match server {
            SyslogServer::Local => Peer::Local(Path::new(LOCAL)),
            SyslogServer::Udp { host, port } => Peer::Udp((host.clone(), *port)),
            SyslogServer::Tcp { host, port } => Peer::Tcp((host.clone(), *port)),
        }
    }

    /// Connects to the daemon; `timeout` limits both connecting and sending.
    pub(super) fn connect(&self, timeout: Duration) -> io::Result<Socket> {
        match self {
            Peer::Local(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(timeout))?;
                socket.connect(path)?;
                Ok(Socket::Local(socket))
            }
            Peer::Udp(host) => connect_any(host, |address| {
                let any = match address {
                    SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                    SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                };
                let socket = UdpSocket::bind((any, 0))?;
                socket.set_write_timeout(Some(timeout))?;
                socket.connect(address)?;
                Ok(Socket::Udp(socket))
            }),
            Peer::Tcp(host) => connect_any(host, |address| {
                let stream = TcpStream::connect_timeout(&address, timeout)?;
                stream.set_write_timeout(Some(timeout))?;
                Ok(Socket::Tcp(stream))
            }),
        }
    }
}

/// Tries the addresses of a host until one of them accepts a connection.
fn connect_any(
    host: &(String, u16),
    open: impl Fn(SocketAddr) -> io::Result<Socket>,
) -> io::Result<Socket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for address in host.to_socket_addrs()? {
        match open(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Socket {
    /// Sends a message, which must not contain a line feed.
    pub(super) fn send(&mut self, message: &str) -> io::Result<()> {
        match self {
            Socket::Local(socket) => socket.send(message.as_bytes()).map(|_| ()),
            Socket::Udp(socket) => socket.send(message.as_bytes()).map(|_| ()),
            Socket::Tcp(stream) => stream.write_all(format!("{message}\n").as_bytes()),
        }
    }
}
