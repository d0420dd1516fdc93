//! A platform on loopback that accepts actions, serves results and counts requests. It has no
//! database and no agents, and checks nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// Size of each command in bytes, unless a measurement sets another one.
pub(crate) const COMMAND_BYTES: usize = 4096;
/// Time limit of [`Server::wait`].
const PATIENCE: Duration = Duration::from_secs(600);
/// Number of digits in each id of a command.
const ID_DIGITS: usize = 14;

/// What the platform answers, and what it has counted.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Number of commands of each action.
    pub(crate) commands: u64,
    /// Size of each command in bytes.
    pub(crate) command_bytes: usize,
    /// Time that the platform takes to compute a page of commands.
    pub(crate) page_span: Duration,
    /// The status of each action.
    pub(crate) status: &'static str,
    /// The time of each request for commands.
    pub(crate) pages: Vec<Instant>,
    /// For each POST, the time of its first line and that of its response.
    pub(crate) posts: Vec<(Instant, Instant)>,
    /// Each POST as it was received, with the address of its connection.
    pub(crate) requests: Vec<(SocketAddr, Vec<u8>)>,
    /// Processor time that each POST takes, one after the other.
    pub(crate) post_work: Duration,
    /// Number of requests for an action.
    pub(crate) probes: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
    /// Signalled after each POST and each request for commands.
    counted: Arc<Condvar>,
    /// Held while a POST takes processor time.
    working: Arc<Mutex<()>>,
}

impl Server {
    /// Starts a platform, which runs until the process ends.
    pub(crate) fn start() -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback");
        let port = listener.local_addr().expect("address").port();
        let server = Server {
            port,
            state: Arc::default(),
            counted: Arc::default(),
            working: Arc::default(),
        };
        {
            let mut state = server.state();
            (state.status, state.command_bytes) = ("completed", COMMAND_BYTES);
        }
        let accepting = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = accepting.clone();
                thread::spawn(move || server.serve(&stream));
            }
        });
        server
    }

    /// Returns the answers and the counts.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics")
    }

    /// Waits until a condition holds; fails if that takes too long.
    pub(crate) fn wait(&self, is_met: impl Fn(&State) -> bool) {
        let state = self.state();
        let waited = self.counted.wait_timeout_while(state, PATIENCE, |state| !is_met(state));
        assert!(!waited.expect("no thread panics").1.timed_out(), "the platform waits in vain");
    }

    /// Resets the counts.
    pub(crate) fn forget(&self) {
        let mut state = self.state();
        state.pages.clear();
        state.posts.clear();
        state.requests.clear();
        state.probes = 0;
    }

    fn serve(&self, stream: &TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut reader = BufReader::new(stream);
        let (mut line, mut writer) = (String::new(), stream);
        let mut page = Page::default();
        loop {
            line.clear();
            reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
            let came = Instant::now();
            let target = line.split(' ').nth(1)?.to_owned();
            let mut head = line.clone().into_bytes();
            let length = headers(&mut reader, &mut head)?;
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            if target.ends_with("/action/create/") {
                self.work();
                let answer = accepted(&String::from_utf8_lossy(&body), self.state().posts.len());
                respond(writer, 202, answer.as_bytes())?;
                let answered = Instant::now();
                let mut state = self.state();
                state.posts.push((came, answered));
                state.requests.push((stream.peer_addr().ok()?, [head, body].concat()));
                self.counted.notify_all();
            } else if target.contains("type=command") {
                let (commands, bytes, span) = {
                    let mut state = self.state();
                    state.pages.push(came);
                    self.counted.notify_all();
                    (state.commands, state.command_bytes, state.page_span)
                };
                thread::sleep(span);
                match page.fill(&target, commands, bytes) {
                    Some(page) => respond(writer, 200, page)?,
                    None => respond(writer, 404, NONE)?,
                }
            } else if target.contains("/action?") {
                let status = {
                    let mut state = self.state();
                    state.probes += 1;
                    state.status
                };
                let id = number(&target, "actionid=");
                let action = format!(r#"{{"id":{id},"name":"x","status":"{status}"}}"#);
                respond(writer, 200, collection("action", &action).as_bytes())?;
            } else {
                respond(writer, 404, NONE)?;
            }
            writer.flush().ok()?;
        }
    }

    /// Uses as much processor time as a POST takes.
    fn work(&self) {
        let span = self.state().post_work;
        let _working = self.working.lock().expect("no thread panics");
        let begun = Instant::now();
        while begun.elapsed() < span {
            std::hint::spin_loop();
        }
    }
}

const NONE: &[u8] =
    br#"{"collection":{"version":"1.0","href":"h","template":{},"error":{"code":"1","message":"no results found"}}}"#;

fn collection(name: &str, value: &str) -> String {
    format!(
        r#"{{"collection":{{"version":"1.0","href":"h","items":[{{"href":"h","data":[{{"name":"{name}","value":{value}}}]}}],"template":{{}},"error":{{}}}}}}"#
    )
}

/// Reads the headers of an answer; returns the size of its body in bytes.
pub(crate) fn content_length(reader: &mut impl BufRead) -> Option<usize> {
    headers(reader, &mut Vec::new())
}

/// Reads the headers of a message and adds them to `head`; returns the size of its body in bytes.
fn headers(reader: &mut impl BufRead, head: &mut Vec<u8>) -> Option<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        head.extend(line.bytes());
        let Some((name, value)) = line.trim_end().split_once(':') else { return Some(length) };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
}

fn respond(mut stream: &TcpStream, status: u16, body: &[u8]) -> Option<()> {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()
}

/// Returns the number that follows `key` in a query.
fn number(target: &str, key: &str) -> u64 {
    let rest = target.split_once(key).map_or("", |(_, rest)| rest);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// Returns the response to a POST: the received action with an id.
fn accepted(form: &str, number: usize) -> String {
    let encoded = form.split_once("action=").map_or("", |(_, rest)| rest);
    let mut text = Vec::new();
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        text.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                u8::from_str_radix(&String::from_utf8_lossy(&digits), 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut action: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    if let Some(fields) = action.as_object_mut() {
        fields.insert("id".to_owned(), (10_000_000_000_000 + number).into());
    }
    collection("action", &action.to_string())
}

/// The last page, which becomes the next one by replacing its ids.
#[derive(Debug, Default)]
struct Page {
    bytes: Vec<u8>,
    ids: Vec<usize>,
    /// Number and size of the action's commands.
    of: (u64, usize),
}

impl Page {
    /// Returns the page that `target` requests, of `commands` of `bytes` each in total; `None` if it is
    /// empty.
    fn fill(&mut self, target: &str, commands: u64, bytes: usize) -> Option<&[u8]> {
        let (offset, limit) = (number(target, "offset="), number(target, "limit="));
        let count = commands.saturating_sub(offset).min(limit);
        if count == 0 {
            return None;
        }
        let count = usize::try_from(count).ok()?;
        if self.ids.len() != count || self.of != (commands, bytes) {
            self.build(count, commands, bytes);
        }
        for (at, id) in self.ids.iter().zip(offset..) {
            let text = format!("{:0ID_DIGITS$}", 10_000_000_000_000 + id);
            self.bytes.get_mut(*at..at + ID_DIGITS)?.copy_from_slice(text.as_bytes());
        }
        Some(&self.bytes)
    }

    fn build(&mut self, count: usize, commands: u64, bytes: usize) {
        self.of = (commands, bytes);
        self.ids.clear();
        self.bytes = br#"{"collection":{"version":"1.0","href":"h","items":["#.to_vec();
        for number in 0..count {
            let comma = if number > 0 { "," } else { "" };
            self.bytes.extend(
                format!(r#"{comma}{{"href":"h","data":[{{"name":"command","value":"#).bytes(),
            );
            let begin = self.bytes.len();
            self.bytes.extend(br#"{"id":"#);
            self.ids.push(self.bytes.len());
            self.bytes.extend([b'1'; ID_DIGITS]);
            let before = format!(
                r#","action":{{"id":1,"name":"mig-runner: job","counters":{{"sent":{commands}}}}},"agent":{{"name":"agent.example.net"}},"status":"success","results":[{{"foundanything":true,"success":true,"elements":{{"found":["#
            );
            self.bytes.extend(before.bytes());
            let after = r#"""]},"statistics":{},"errors":null}]}"#;
            while self.bytes.len() - begin + after.len() + 72 < bytes {
                self.bytes
                    .extend(br#"{"file":"/usr/bin/passwd","size":68208,"mode":"-rwsr-xr-x"},"#);
            }
            let filler = bytes - (self.bytes.len() - begin) - after.len();
            self.bytes.push(b'"');
            self.bytes.extend(std::iter::repeat_n(b'x', filler));
            self.bytes.extend(&after.as_bytes()[1..]);
            self.bytes.extend(b"}]}");
        }
        self.bytes.extend(br#"],"template":{},"error":{}}}"#);
    }
}
