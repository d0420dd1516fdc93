//! A network for tests, like the one in which the recordings were made.
//!
//! | | |
//! | --- | --- |
//! | lo | 127.0.0.1, ::1 |
//! | m0 | 02:00:5e:10:00:01, 198.51.100.1/24, 2001:db8::1/64 |
//! | m1, its peer | 02:00:5e:10:00:02, no address |
//! | neighbours on m0 | 198.51.100.7 02:00:5e:aa:bb:cc, 198.51.100.8 02:00:5e:dd:ee:ff; both unreachable |
//! | TCP listens | 127.0.0.1:7001, `[::1]:7002`, `[::]:7004`, and 127.0.0.1:7099 in a second network |
//! | UDP | 127.0.0.1:7003 silent, 127.0.0.1:7005 and `[::1]:7006` answer |
//! | TCP connections | from 127.0.0.1:41001, `[::1]:41002`, and 127.0.0.1:41004 to 7004 |
//!
//! On Linux a thread can have its own network, so that tests do not affect each other. Creating one
//! requires root, `unshare` and `ip`.

use std::fs::File;
use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use rustix::net::sockopt::set_ipv6_v6only;
use rustix::net::{AddressFamily, SocketType, accept, bind, connect, listen, socket};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::testing::{is_root, skip};

/// An empty network namespace, and the process that keeps it.
struct Namespace {
    holder: Child,
    file: File,
}

impl Namespace {
    /// Creates a namespace; returns `None` if that is not possible.
    fn new() -> Option<Namespace> {
        let mut holder = Command::new("unshare");
        holder.args(["-n", "sh", "-c", "ip link set lo up && echo && exec cat"]);
        holder.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = crate::spawn::start(&mut holder).ok()?;
        let mut ready = [0];
        let started = holder.stdout.as_mut().unwrap().read_exact(&mut ready);
        let file = File::open(format!("/proc/{}/ns/net", holder.id()));
        match (started, file) {
            (Ok(()), Ok(file)) => Some(Namespace { holder, file }),
            _ => {
                holder.kill().ok();
                holder.wait().unwrap();
                None
            }
        }
    }

    fn enter<T: Send>(&self, test: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(self.file.as_fd(), kind).unwrap();
                test()
            });
            thread.join().unwrap()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.holder.kill().unwrap();
        self.holder.wait().unwrap();
    }
}

/// The network of the recordings.
pub(super) struct Network {
    first: Namespace,
    second: Namespace,
    sockets: Vec<OwnedFd>,
    echoes: Vec<(UdpSocket, JoinHandle<()>)>,
}

impl Network {
    /// Creates the network. If that is not possible, reports that the test is skipped.
    pub(super) fn new() -> Option<Network> {
        if !is_root("only root can create a network and enter it") {
            return None;
        }
        let (Some(first), Some(second)) = (Namespace::new(), Namespace::new()) else {
            skip("this system does not allow network namespaces, or lacks unshare or ip");
            return None;
        };
        let (mut sockets, echoes) = first.enter(|| {
            configure();
            (connections(), echoes())
        });
        sockets.push(second.enter(|| listener("127.0.0.1:7099", false)));
        Some(Network { first, second, sockets, echoes })
    }

    /// Runs `test` in the network.
    pub(super) fn enter<T: Send>(&self, test: impl FnOnce() -> T + Send) -> T {
        assert!(!self.sockets.is_empty());
        self.first.enter(test)
    }

    /// Returns the processes in the network and in the second network.
    pub(super) fn processes(&self) -> [u32; 2] {
        [self.first.holder.id(), self.second.holder.id()]
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for (socket, thread) in self.echoes.drain(..) {
            socket.send_to(b"", socket.local_addr().unwrap()).unwrap();
            thread.join().unwrap();
        }
    }
}

/// Adds links, addresses and neighbours to the network of this thread.
fn configure() {
    let ip = |arguments: &str| {
        let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
        assert!(status.success(), "ip {arguments}");
    };
    ip("link add m0 address 02:00:5e:10:00:01 type veth peer name m1 address 02:00:5e:10:00:02");
    for link in ["m0", "m1"] {
        ip(&format!("link set {link} addrgenmode none"));
        ip(&format!("link set {link} up"));
    }
    ip("addr add 198.51.100.1/24 dev m0");
    ip("addr add 2001:db8::1/64 dev m0 nodad");
    ip("neigh add 198.51.100.7 lladdr 02:00:5e:aa:bb:cc dev m0 nud permanent");
    ip("neigh add 198.51.100.8 lladdr 02:00:5E:dd:ee:ff dev m0 nud permanent");
}

fn bound(address: &str, kind: SocketType, both: bool) -> OwnedFd {
    let address: SocketAddr = address.parse().unwrap();
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, kind, None).unwrap();
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, !both).unwrap();
    }
    bind(&socket, &address).unwrap();
    socket
}

fn listener(address: &str, both: bool) -> OwnedFd {
    let socket = bound(address, SocketType::STREAM, both);
    listen(&socket, 50).unwrap();
    socket
}

/// Returns listeners, and both ends of each connection.
fn connections() -> Vec<OwnedFd> {
    let listeners = [
        listener("127.0.0.1:7001", false),
        listener("[::1]:7002", false),
        listener("[::]:7004", true),
    ];
    let ends = [
        ("127.0.0.1:41001", "127.0.0.1:7001"),
        ("[::1]:41002", "[::1]:7002"),
        ("127.0.0.1:41004", "127.0.0.1:7004"),
    ];
    let mut sockets = vec![bound("127.0.0.1:7003", SocketType::DGRAM, false)];
    for (listener, (from, to)) in listeners.iter().zip(ends) {
        let client = bound(from, SocketType::STREAM, false);
        connect(&client, &to.parse::<SocketAddr>().unwrap()).unwrap();
        sockets.extend([client, accept(listener).unwrap()]);
    }
    sockets.extend(listeners);
    sockets
}

/// Starts the servers that return each packet, until they receive an empty one.
fn echoes() -> Vec<(UdpSocket, JoinHandle<()>)> {
    let start = |address: &str| {
        let socket = UdpSocket::from(bound(address, SocketType::DGRAM, false));
        let own = socket.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            let mut packet = [0; 2048];
            while let (size @ 1.., client) = socket.recv_from(&mut packet).unwrap() {
                socket.send_to(&packet[..size], client).unwrap();
            }
        });
        (own, thread)
    };
    vec![start("127.0.0.1:7005"), start("[::1]:7006")]
}
