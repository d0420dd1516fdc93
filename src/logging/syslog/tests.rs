//! Messages as a syslog daemon receives them, over each kind of socket.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::*;
use crate::clock::testing::TestClock;

fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::new("2026-11-02T12:00:10Z".parse().unwrap()))
}

/// Returns a sink with the facility local0.
fn syslog(server: &SyslogServer) -> Syslog {
    Syslog::open("mig-runner", server, 16, clock()).unwrap()
}

fn udp(port: u16) -> Syslog {
    syslog(&SyslogServer::Udp { host: "127.0.0.1".to_owned(), port })
}

fn tcp(port: u16) -> Syslog {
    syslog(&SyslogServer::Tcp { host: "127.0.0.1".to_owned(), port })
}

/// Checks a message except the hour, which depends on the local time zone.
fn check(message: &str, priority: &str, host: &str, text: &str) {
    let rest = message.strip_prefix(priority).unwrap_or_else(|| panic!("{message}"));
    let (stamp, rest) = rest.split_at("Nov  2 12:00:10".len());
    assert!(stamp.starts_with("Nov  ") && stamp.ends_with(":10"), "{message}");
    assert_eq!(rest, format!(" {host}mig-runner[{}]: {text}", std::process::id()));
}

fn host() -> String {
    format!("{} ", rustix::system::uname().nodename().to_str().unwrap())
}

#[test]
fn local_syslog_receives_a_datagram_per_message_and_may_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path: &'static Path = Box::leak(folder.path().join("log").into_boxed_path());
    let peer = Peer::Local(path);
    let connection = Mutex::default();
    let syslog = Syslog { program: "mig-runner", facility: 3, peer, clock: clock(), connection };
    for _ in 0..2 {
        let server = UnixDatagram::bind(path).unwrap();
        syslog.write(Level::Error, "disk is full").unwrap();
        let mut buffer = [0; 200];
        let size = server.recv(&mut buffer).unwrap();
        let message = str::from_utf8(&buffer[..size]).unwrap();
        check(message, "<27>", "", "disk is full");
        #[expect(clippy::disallowed_methods, reason = "the socket of the test server")]
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn message_is_sent_by_udp() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let syslog = udp(server.local_addr().unwrap().port());
    syslog.write(Level::Debug, "scanned").unwrap();
    let mut buffer = [0; 200];
    let size = server.recv(&mut buffer).unwrap();
    check(str::from_utf8(&buffer[..size]).unwrap(), "<135>", &host(), "scanned");
}

#[test]
fn lost_messages_are_counted_and_reported_by_tcp() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    drop(server);
    let syslog = tcp(address.port());
    syslog.write(Level::Info, "one").unwrap_err();
    // During the pause no connection is attempted.
    let server = TcpListener::bind(address).unwrap();
    syslog.write(Level::Info, "two").unwrap_err();
    syslog.connection.lock().unwrap().retry_at = None;
    syslog.write(Level::Info, "three").unwrap();
    syslog.write(Level::Info, "four").unwrap();
    let lines = BufReader::new(server.accept().unwrap().0).lines().take(3);
    let lines: Vec<_> = lines.map(Result::unwrap).collect();
    check(&lines[0], "<132>", &host(), "messages lost, count: 2");
    check(&lines[1], "<134>", &host(), "three");
    check(&lines[2], "<134>", &host(), "four");
}

#[test]
fn long_message_is_truncated() {
    let message = udp(1).message(Level::Info, &"x".repeat(20_000));
    assert_eq!(message.len(), MESSAGE_BYTES_MAX + '…'.len_utf8());
}
