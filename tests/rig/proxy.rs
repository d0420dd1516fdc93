//! What stands between a runner and its platform, and plays tricks on the runner.
//!
//! Each connection carries one request. A request in which the text of a trick stands meets
//! that trick, once; all others are passed on. A token with a short RSA number is refused, as the original
//! refuses it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::database::Database;
use super::{Rig, number, pause, wait_until};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trick {
    /// The platform does as it is asked, and 500 is answered with this message of the API.
    Refused(&'static str),
    /// The same for an action of this name, of which the platform forgets who signed it.
    RefusedUnsigned(&'static str),
    /// The platform does as it is asked, and nothing is answered.
    AnswerLost,
    /// The platform does as it is asked, and half of the answer arrives.
    AnswerCut,
    /// The platform does as it is asked, and the answer is this late.
    AnswerHeld(Duration),
    /// The platform gets it this late, and answers.
    Slow(Duration),
    /// Nothing is answered, and the platform gets it this late.
    Late(Duration),
    /// The connection breaks before the whole request was read.
    RequestCut,
    /// The platform does as it is asked, and the answer waits until the gate is opened.
    Gated,
    /// The platform gets nothing, and 500 is answered with this message of the API.
    Unasked(&'static str),
    /// Something in front of the platform answers 502, and the platform gets nothing.
    BadGateway,
}

/// A proxy that runs.
pub(crate) struct Proxy {
    pub(crate) address: String,
    desk: Arc<Desk>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What every connection knows.
struct Desk {
    upstream: String,
    database: PathBuf,
    tricks: Mutex<Vec<(String, Trick)>>,
    asked: Mutex<Vec<String>>,
    gate: (Mutex<Gate>, Condvar),
}

/// Where an answer waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Empty,
    Waiting,
    Open,
}

impl Proxy {
    /// Puts a proxy in front of the platform, with a trick for the next request that holds this text,
    /// for each of them.
    pub(crate) fn start(rig: &Rig, tricks: &[(&str, Trick)]) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let tricks = tricks.iter().map(|(text, trick)| ((*text).to_owned(), *trick)).collect();
        let desk = Arc::new(Desk {
            upstream: rig.address.clone(),
            database: rig.path("p/data/mig.db"),
            tricks: Mutex::new(tricks),
            asked: Mutex::default(),
            gate: (Mutex::new(Gate::Empty), Condvar::new()),
        });
        let end = Arc::new(AtomicBool::new(false));
        let (known, ended) = (Arc::clone(&desk), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let desk = Arc::clone(&known);
                // A runner that was killed leaves its connections broken.
                std::thread::spawn(move || desk.serve(stream?));
            }
        });
        Proxy { address, desk, end, thread: Some(thread) }
    }
}

impl Proxy {
    /// Plays a trick on the next request that holds this text.
    pub(crate) fn arm(&self, text: &str, trick: Trick) {
        *self.desk.gate() = Gate::Empty;
        self.desk.tricks.lock().unwrap().push((text.to_owned(), trick));
    }

    /// Tells whether an answer waits at the gate.
    pub(crate) fn has_caught(&self) -> bool {
        *self.desk.gate() == Gate::Waiting
    }

    /// Lets the answer that waits go on, or the next one.
    pub(crate) fn open(&self) {
        *self.desk.gate() = Gate::Open;
        self.desk.gate.1.notify_all();
    }

    /// Returns the first line of each request that holds this text, in the order in which they came.
    pub(crate) fn asked(&self, text: &str) -> Vec<String> {
        let asked = self.desk.asked.lock().unwrap();
        asked.iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// Waits until a request has met the last trick.
    pub(crate) fn wait_played(&self) {
        wait_until("the last trick", || self.desk.tricks.lock().unwrap().is_empty());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        TcpStream::connect(&self.address).ok();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Desk {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let head = read_head(&mut client)?;
        let mut body = vec![0; length(&head)];
        let half = body.len() / 2;
        client.read_exact(&mut body[..half])?;
        let trick = self.trick(&head, &body[..half]);
        if trick == Some(Trick::RequestCut) {
            return client.shutdown(Shutdown::Both);
        }
        client.read_exact(&mut body[half..])?;
        if let Some(token) = signature(&head)
            && number::is_short(token)
        {
            return client.write_all(&unverified());
        }
        if let Some(Trick::Late(span)) = trick {
            client.shutdown(Shutdown::Both)?;
            pause(span);
            return self.pass_on(&head, &body).map(drop);
        }
        if trick == Some(Trick::BadGateway) {
            let page = "<h1>502 Bad Gateway</h1>";
            return client.write_all(&answer("502 Bad Gateway", "text/html", page));
        }
        if let Some(Trick::Unasked(message)) = trick {
            return client.write_all(&refusal(message));
        }
        if let Some(Trick::Slow(span)) = trick {
            pause(span);
        }
        let passed = self.pass_on(&head, &body)?;
        client.write_all(&match trick {
            Some(Trick::Refused(message)) => refusal(message),
            Some(Trick::RefusedUnsigned(name)) => {
                Database::open(&self.database).forget_signers(name);
                refusal("Failed to store signature: 'pq: connection reset by peer'")
            }
            Some(Trick::AnswerLost) => Vec::new(),
            Some(Trick::AnswerCut) => passed[..passed.len() / 2].to_vec(),
            Some(Trick::Gated) => {
                self.wait_at_gate();
                passed
            }
            Some(Trick::AnswerHeld(span)) => {
                pause(span);
                passed
            }
            _ => passed,
        })
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.0.lock().unwrap()
    }

    /// Returns once the gate is open.
    fn wait_at_gate(&self) {
        let mut gate = self.gate();
        if *gate == Gate::Empty {
            *gate = Gate::Waiting;
        }
        drop(self.gate.1.wait_while(gate, |gate| *gate != Gate::Open).unwrap());
    }

    /// Notes a request and returns the trick for it, of which half of the body is enough to tell.
    fn trick(&self, head: &str, body: &[u8]) -> Option<Trick> {
        let (line, _) = head.split_once('\r')?;
        self.asked.lock().unwrap().push(line.to_owned());
        let body = String::from_utf8_lossy(body);
        let mut tricks = self.tricks.lock().unwrap();
        let at = tricks.iter().position(|(text, _)| line.contains(text) || body.contains(text))?;
        Some(tricks.remove(at).1)
    }

    /// Returns the platform's whole answer, after which it closes.
    fn pass_on(&self, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut platform = TcpStream::connect(&self.upstream)?;
        let lines = head.lines().filter(|line| {
            !line.is_empty() && !line.to_ascii_lowercase().starts_with("connection:")
        });
        let head: String = lines.map(|line| format!("{line}\r\n")).collect();
        platform.write_all(format!("{head}connection: close\r\n\r\n").as_bytes())?;
        platform.write_all(body)?;
        let mut answer = Vec::new();
        platform.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head).unwrap())
}

fn length(head: &str) -> usize {
    let mut lengths = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    lengths.next().unwrap_or_default()
}

/// Returns the signature of a request's token.
fn signature(head: &str) -> Option<&str> {
    let mut tokens = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("x-pgpauthorization").then(|| value.trim())
    });
    tokens.next()?.rsplit(';').next()
}

/// Returns what the original answers to a token whose number is short, which the rig's platform takes.
fn unverified() -> Vec<u8> {
    let message = "Authorization verification failed with error 'verifySignedToken() -> \
                   GetFingerprintFromSignature() -> openpgp: invalid signature: RSA verification failure'";
    error("401 Unauthorized", message)
}

/// Returns the API's own way to say 500.
fn refusal(message: &str) -> Vec<u8> {
    error("500 Internal Server Error", message)
}

fn error(status: &str, message: &str) -> Vec<u8> {
    let message = serde_json::Value::from(message);
    let body = format!(
        r#"{{"collection":{{"version":"1.0","href":"","template":{{}},"error":{{"code":"7","message":{message}}}}}}}"#
    );
    answer(status, "application/json", &body)
}

fn answer(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}
