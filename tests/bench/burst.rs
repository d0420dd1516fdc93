//! Many jobs that are due at the same instant, relative to a client that has the signed requests
//! ready.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::dispatch::{moment, only};
use crate::home::{Home, Key, Program, make};
use crate::server::{Server, content_length};
use crate::transitions::{SYNCS, create};
use crate::{Bench, Row, TIMES, median};

/// Number of jobs that are due at the same instant.
pub(crate) const JOBS: usize = 200;
/// The same with a key that has a passphrase.
pub(crate) const PASSPHRASE_JOBS: usize = 60;
/// Processor time that the platform needs for each action, one after the other: the real API and its
/// database were measured to accept an action every 4.4 ms on two cores, however many connections
/// there are.
pub(crate) const POST_WORK: Duration = Duration::from_micros(4400);
/// Time from the start of the runner until the jobs are due, in seconds.
const AHEAD: i64 = 6;

/// Jobs that were due at the same instant.
#[derive(Debug)]
pub(crate) struct Burst {
    home: Home,
    /// Time until the last action was accepted, in seconds.
    pub(crate) seconds: f64,
    /// The requests that the runner has sent, each with the address of its connection.
    requests: Vec<(SocketAddr, Vec<u8>)>,
}

/// Measures many jobs that are due at the same instant, without and with a passphrase.
pub(crate) fn burst(bench: &Bench) -> Vec<Row> {
    let key = Key::new("");
    let (mut ratios, mut times, mut bounds) = (Vec::new(), Vec::new(), Vec::new());
    let (mut unlocked_ratios, mut unlocked_times, mut free) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let runner = Program::runner();
        let plain = due(&runner, &bench.server, &key, JOBS, POST_WORK);
        let bound = bound(&bench.server, &plain.home, &plain.requests);
        let unlocked = due(&runner, &bench.server, &bench.key, PASSPHRASE_JOBS, POST_WORK);
        free.push(due(&runner, &bench.server, &key, JOBS, Duration::ZERO).seconds);
        ratios.push(plain.seconds / bound);
        unlocked_ratios
            .push(unlocked.seconds / PASSPHRASE_JOBS as f64 / (plain.seconds / JOBS as f64));
        times.push(plain.seconds);
        bounds.push(bound);
        unlocked_times.push(unlocked.seconds);
    }
    let (time, bound, free) = (median(times), median(bounds), median(free));
    let seen = format!(
        "{time:.2} s, bound {bound:.2} s; {free:.2} s if the platform takes no time for an action"
    );
    let unlocked = format!("{:.2} s", median(unlocked_times));
    vec![
        Row::at_most("200 jobs due at once: time, relative to the bound", median(ratios), "×", 1.1)
            .with(seen),
        Row::at_most(
            "60 jobs due at once, passphrase: time per job, relative to 200",
            median(unlocked_ratios),
            "×",
            1.2,
        )
        .with(unlocked),
    ]
}

/// Measures `program` with jobs that are due at the same instant.
pub(crate) fn due(
    program: &Program,
    server: &Server,
    key: &Key,
    jobs: usize,
    work: Duration,
) -> Burst {
    let home = Home::new(key, server.port, 3600, "");
    program.prepare(&home, key);
    let (at, slot) = moment(AHEAD);
    for number in 0..jobs {
        home.job(&format!("job{number}"), &program.localized(&only(slot), slot));
    }
    server.forget();
    server.state().post_work = work;
    let runner = home.start_program(program);
    server.wait(|state| state.posts.len() >= jobs);
    let (last, requests) = {
        let mut state = server.state();
        state.post_work = Duration::ZERO;
        let last = state.posts.iter().map(|(_, answered)| *answered).max().expect("posts");
        (last, std::mem::take(&mut state.requests))
    };
    runner.stop();
    Burst { home, seconds: (last - at).as_secs_f64(), requests }
}

/// Returns the time that a minimal client needs for the same requests, in seconds: it makes each
/// request durable in a file of its own in `home`, sixteen at once, and then posts it, on as many
/// connections as the runner has used.
fn bound(server: &Server, home: &Home, requests: &[(SocketAddr, Vec<u8>)]) -> f64 {
    let entries = home.path("entries");
    make(&entries);
    let connections = requests.iter().map(|(from, _)| from).collect::<HashSet<_>>().len();
    server.forget();
    server.state().post_work = POST_WORK;
    let (sender, durable) = channel();
    let (durable, next) = (Mutex::new(durable), AtomicUsize::new(0));
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut connection = Connection::open(server.port);
                loop {
                    let request: Result<usize, _> = durable.lock().expect("no panic").recv();
                    let Ok(number) = request else { break };
                    connection.send(&requests[number].1);
                }
            });
        }
        for _ in 0..SYNCS {
            let (sender, entries, next) = (sender.clone(), &entries, &next);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some((_, request)) = requests.get(number) else { break };
                    create(entries, &number.to_string(), request);
                    sender.send(number).expect("a client");
                }
            });
        }
        drop(sender);
    });
    let time = begun.elapsed().as_secs_f64();
    // The platform counts a POST after it has answered.
    server.wait(|state| state.posts.len() == requests.len());
    server.state().post_work = Duration::ZERO;
    time
}

/// A connection of the minimal client.
struct Connection {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    fn open(port: u16) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server");
        stream.set_nodelay(true).expect("a socket");
        let reader = BufReader::new(stream.try_clone().expect("a socket"));
        Connection { stream, reader }
    }

    fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).expect("a request");
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("an answer");
        assert!(line.contains(" 202 "), "{line}");
        let length = content_length(&mut self.reader).expect("headers");
        let mut answer = vec![0; length];
        self.reader.read_exact(&mut answer).expect("an answer");
    }
}
