//! The connection to a syslog: a datagram socket of this machine, UDP or TCP.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use crate::config::logging::SyslogServer;

/// Where the machine's own syslog listens.
const LOCAL: &str = "/dev/log";

#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// That of this machine.
    Local(&'static Path),
    /// That of another, over UDP.
    Udp((String, u16)),
    /// That of another, over TCP.
    Tcp((String, u16)),
}

/// An open way to a syslog.
#[derive(Debug)]
pub(super) enum Socket {
    /// To that of this machine.
    Local(UnixDatagram),
    /// To another machine, a datagram a message.
    Udp(UdpSocket),
    /// To another machine, a line a message.
    Tcp(TcpStream),
}

impl Peer {
    /// Returns the syslog that a configuration names.
    pub(super) fn of(server: &SyslogServer) -> Peer {
        match server {
            SyslogServer::Local => Peer::Local(Path::new(LOCAL)),
            SyslogServer::Udp { host, port } => Peer::Udp((host.clone(), *port)),
            SyslogServer::Tcp { host, port } => Peer::Tcp((host.clone(), *port)),
        }
    }

    /// Opens a way to the syslog; neither this nor a message may take longer than `span`.
    pub(super) fn connect(&self, span: Duration) -> io::Result<Socket> {
        match self {
            Peer::Local(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(span))?;
                socket.connect(path)?;
                Ok(Socket::Local(socket))
            }
            Peer::Udp(host) => each(host, |address| {
                let any = match address {
                    SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                    SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                };
                let socket = UdpSocket::bind((any, 0))?;
                socket.set_write_timeout(Some(span))?;
                socket.connect(address)?;
                Ok(Socket::Udp(socket))
            }),
            Peer::Tcp(host) => each(host, |address| {
                let stream = TcpStream::connect_timeout(&address, span)?;
                stream.set_write_timeout(Some(span))?;
                Ok(Socket::Tcp(stream))
            }),
        }
    }
}

/// Tries the addresses of a host until one of them answers.
fn each(
    host: &(String, u16),
    open: impl Fn(SocketAddr) -> io::Result<Socket>,
) -> io::Result<Socket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in host.to_socket_addrs()? {
        match open(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Socket {
    /// Sends a message, which holds no line feed.
    pub(super) fn send(&mut self, message: &str) -> io::Result<()> {
        match self {
            Socket::Local(socket) => socket.send(message.as_bytes()).map(|_| ()),
            Socket::Udp(socket) => socket.send(message.as_bytes()).map(|_| ()),
            Socket::Tcp(stream) => stream.write_all(format!("{message}\n").as_bytes()),
        }
    }
}
