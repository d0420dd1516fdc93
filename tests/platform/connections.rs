//! Clients that compete for connections, threads and memory of the API: those that were authenticated
//! are served.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, prlimit, setrlimit};

use super::measure::{Attacked, EndOnDrop, assert_in_time, dashboard};
use super::{post, request, signed_form, token};
use crate::rig::{Rig, pause, wait_until};

/// Number of descriptors that the attacks need.
const DESCRIPTORS: u64 = 4096;
/// Maximum number of connections of the API, and one that waits for a place.
const CONNECTIONS_MAX: usize = 256 + 1;

/// Allows this process to open the connections of an attack.
pub(super) fn allow_many_connections() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS)));
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

/// Opens connections that send `bytes` and then nothing, and never read.
pub(super) fn open(rig: &Rig, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = TcpStream::connect(&rig.address).unwrap();
        stream.set_nonblocking(true).unwrap();
        // The server may have closed the connection already, or takes nothing up.
        let mut rest = bytes;
        while let Ok(size @ 1..) = stream.write(rest) {
            rest = &rest[size..];
        }
        stream
    };
    (0..count).map(connect).collect()
}

/// Returns the number of connections that the platform has open.
fn connections(rig: &Rig) -> usize {
    let port = rig.address.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    let local = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let is_open = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // The listening socket has the state 0A. One that no process has open has no inode.
        fields[1].ends_with(&local) && fields[3] != "0A" && fields[9] != "0"
    };
    table.lines().skip(1).filter(is_open).count()
}

/// A connection that is used for several requests.
struct KeptAlive<'a> {
    rig: &'a Rig,
    stream: TcpStream,
}

impl KeptAlive<'_> {
    fn new(rig: &Rig) -> KeptAlive<'_> {
        KeptAlive { rig, stream: TcpStream::connect(&rig.address).unwrap() }
    }

    /// Sends a valid request, and checks that it is answered.
    fn request(&mut self) {
        self.stream.write_all(dashboard(self.rig, "keep-alive").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let head = loop {
            let text = String::from_utf8_lossy(&answer).into_owned();
            if let Some((head, _)) = text.split_once("\r\n\r\n") {
                break head.to_owned();
            }
            let mut part = [0; 1024];
            let size = self.stream.read(&mut part).unwrap();
            assert!(size > 0, "closed after {text:?}");
            answer.extend_from_slice(&part[..size]);
        };
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let rest = head.len() + 4 + length.parse::<usize>().unwrap() - answer.len();
        self.stream.read_exact(&mut vec![0; rest]).unwrap();
    }
}

#[test]
fn clients_that_keep_their_end_open_after_the_response_use_up_nothing() {
    allow_many_connections();
    let rig = Rig::new();
    let attacked = Attacked::new(&rig);
    let (mut held, mut most) = (Vec::new(), 0);
    for number in 0..1000 {
        let mut stream = TcpStream::connect(&rig.address).unwrap();
        stream.write_all(b"GET /x HTTP/1.0\r\n\r\n").unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).unwrap();
        assert_eq!(&begin, b"HTTP/1.0 404");
        held.push(stream);
        if number % 100 == 99 {
            most = most.max(connections(&rig));
        }
    }
    assert!(most <= CONNECTIONS_MAX, "{most} connections");
    attacked.assert_serves("1000 clients that keep their end open");
}

#[test]
fn connections_leave_descriptors_to_the_scheduler() {
    allow_many_connections();
    let rig = Rig::new();
    let held = open(&rig, 1000, b"GET /api/v1/ip");
    let id = post(&rig.address, &token(&rig), &signed_form(&rig, "a")).unwrap();
    wait_until("the end of the action", || rig.database().outcome(id).0 == "completed");
    let count = connections(&rig);
    assert!(count <= CONNECTIONS_MAX, "{count} connections");
    let log = rig.platform_log();
    assert_eq!(log.matches("all connections are in use").count(), 1, "{log}");
    drop(held);
}

#[test]
fn idle_client_that_was_authenticated_keeps_its_connection() {
    allow_many_connections();
    let rig = Rig::new();
    let mut known = KeptAlive::new(&rig);
    known.request();
    let held = open(&rig, 600, b"GET /api/v1/ip");
    known.request();
    drop(held);
}

#[test]
fn false_tokens_delay_no_client_that_was_authenticated() {
    allow_many_connections();
    let rig = Rig::new();
    let attacked = Attacked::new(&rig);
    let mut known = KeptAlive::new(&rig);
    known.request();
    // The signature of another token, so that GnuPG has to check it.
    let forged = dashboard(&rig, "close").replacen(";7;", ";8;", 1);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let attack = || {
            let mut refused = 0;
            while !is_over.load(Ordering::Relaxed) {
                let streams: Vec<_> = open(&rig, 50, forged.as_bytes());
                for mut stream in streams {
                    stream.set_nonblocking(false).unwrap();
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).unwrap();
                    let (is_refused, is_busy) =
                        (answer.starts_with("HTTP/1.1 401 "), answer.starts_with("HTTP/1.1 503 "));
                    assert!(is_refused || is_busy, "{answer}");
                    refused += usize::from(is_refused);
                }
            }
            refused
        };
        let attackers: Vec<_> = (0..8).map(|_| scope.spawn(attack)).collect();
        let end = EndOnDrop(&is_over);
        wait_until("a full table", || connections(&rig) >= CONNECTIONS_MAX - 1);
        assert_in_time("400 false tokens", || known.request());
        // A new client waits for those before it, and is served.
        let answer = request(&rig.address, &dashboard(&rig, "close"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        drop(end);
        for attacker in attackers {
            assert!(attacker.join().unwrap() > 0);
        }
    });
    attacked.assert_small("400 false tokens");
}

/// Sends the head of an authenticated request with a body of 10 MiB, and a part of that body.
fn upload(rig: &Rig, part: usize) -> TcpStream {
    let mut stream = TcpStream::connect(&rig.address).unwrap();
    let head = format!(
        "POST /api/v1/action/create/ HTTP/1.1\r\nHost: {}\r\nX-PGPAUTHORIZATION: {}\r\n\
         Content-Length: {}\r\n\r\n",
        rig.address,
        token(rig),
        10 << 20
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b'x'; part]).unwrap();
    stream
}

#[test]
fn slow_uploads_do_not_block_other_requests() {
    let rig = Rig::new();
    let mut slow: Vec<_> = (0..4).map(|_| upload(&rig, 100_000)).collect();
    let id = post(&rig.address, &token(&rig), &signed_form(&rig, "a")).unwrap();
    for stream in &mut slow {
        stream.set_nonblocking(true).unwrap();
        let error = stream.read(&mut [0; 100]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "the upload is still in progress");
    }
    wait_until("the end of the action", || rig.database().outcome(id).0 == "completed");
}

#[test]
fn upload_that_would_exceed_the_memory_for_bodies_is_not_judged() {
    let rig = Rig::new();
    let attacked = Attacked::new(&rig);
    let held: Vec<_> = (0..3).map(|_| upload(&rig, 9 << 20)).collect();
    let mut busy = 0;
    for mut stream in held {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        busy += usize::from(answer.starts_with("HTTP/1.1 503 "));
        assert!(answer.contains("the request was not judged: ") || answer.contains("408"));
    }
    assert_eq!(busy, 1);
    attacked.assert_serves("large uploads");
}

/// Sets the soft limit on the descriptors of the platform.
pub(super) fn limit(rig: &Rig, descriptors: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: Some(descriptors), maximum };
    prlimit(Some(rig.platform_pid()), Resource::Nofile, limit).unwrap();
}

#[test]
fn shortage_that_comes_and_goes_is_not_logged_each_time() {
    let rig = Rig::new();
    for _ in 0..5 {
        limit(&rig, 3);
        let client = TcpStream::connect(&rig.address).unwrap();
        // Several attempts to accept it, which fail.
        pause(Duration::from_millis(300));
        limit(&rig, 1024);
        drop(client);
        let answer = request(&rig.address, &dashboard(&rig, "close"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let (log, event) = (rig.platform_log(), "cannot accept connections");
    // The second message comes after half a minute, if the machine is that slow.
    assert!((1..=2).contains(&log.matches(event).count()), "{log}");
}
