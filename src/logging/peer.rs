//! The connection to a syslog: a datagram socket of this machine, UDP or TCP.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

/// How another machine's syslog is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Unasked for and unconfirmed.
    Udp,
    /// In order, as long as the connection lasts.
    Tcp,
}

/// The syslog of another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// How it is reached.
    pub(crate) transport: Transport,
    /// Its name or address.
    pub(crate) host: String,
    /// Its port, 514 by custom.
    pub(crate) port: u16,
}

/// A syslog.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// That of this machine.
    Local(&'static Path),
    /// That of another.
    Remote(Remote),
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
    /// Opens a way to the syslog; neither this nor a message may take longer than `span`.
    pub(super) fn connect(&self, span: Duration) -> io::Result<Socket> {
        match self {
            Peer::Local(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(span))?;
                socket.connect(path)?;
                Ok(Socket::Local(socket))
            }
            Peer::Remote(remote) => {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
                for address in (remote.host.as_str(), remote.port).to_socket_addrs()? {
                    match open(remote.transport, address, span) {
                        Ok(socket) => return Ok(socket),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }
}

fn open(transport: Transport, address: SocketAddr, span: Duration) -> io::Result<Socket> {
    match transport {
        Transport::Udp => {
            let any = match address {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            let socket = UdpSocket::bind((any, 0))?;
            socket.set_write_timeout(Some(span))?;
            socket.connect(address)?;
            Ok(Socket::Udp(socket))
        }
        Transport::Tcp => {
            let stream = TcpStream::connect_timeout(&address, span)?;
            stream.set_write_timeout(Some(span))?;
            Ok(Socket::Tcp(stream))
        }
    }
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
