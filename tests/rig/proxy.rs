//! A proxy between a runner and its platform that injects faults.
//!
//! Each connection has one request. A fault has a text: the first request that contains the text
//! meets the fault; all others are forwarded. A token with a short RSA number is rejected, as in the
//! original.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::database::Database;
use super::{Rig, pause, rsa_number, wait_until};

/// A fault that is applied to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyFault {
    /// The platform executes the request, and the runner gets status 500 with this message of the API.
    Refused(&'static str),
    /// The same for an action of this name, whose signers are removed from the database.
    RefusedUnsigned(&'static str),
    /// The platform executes the request, and the runner gets no answer.
    AnswerLost,
    /// The platform executes the request, and the runner gets half of the answer.
    AnswerCut,
    /// The platform executes the request, and the answer is delayed.
    AnswerDelayed(Duration),
    /// The request is delayed, and the platform answers.
    RequestDelayed(Duration),
    /// The runner gets no answer, and the platform receives the request later.
    RequestDelayedAnswerLost(Duration),
    /// The connection breaks before the whole request has been read.
    RequestCut,
    /// The platform executes the request, and the answer waits for [`Proxy::release`].
    AnswerPaused,
    /// The platform gets no request, and the runner gets status 500 with this message of the API.
    NotForwarded(&'static str),
    /// The platform gets no request, and the runner gets status 502 as from a reverse proxy.
    BadGateway,
    /// The page of commands has those of ten agents instead of one. The answer of the fifth has this
    /// many bytes.
    Fleet(usize),
}

pub(crate) struct Proxy {
    pub(crate) address: String,
    shared: Arc<Shared>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The state shared by all connections.
struct Shared {
    upstream: String,
    database: PathBuf,
    faults: Mutex<Vec<(String, ProxyFault)>>,
    /// The first line of each request.
    requests: Mutex<Vec<String>>,
    pause: (Mutex<Pause>, Condvar),
}

/// The state of a paused answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    NotReached,
    Waiting,
    Released,
}

impl Proxy {
    /// Starts a proxy in front of the platform with these faults, each for the next request that
    /// contains its text.
    pub(crate) fn start(rig: &Rig, faults: &[(&str, ProxyFault)]) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let faults = faults.iter().map(|(text, fault)| ((*text).to_owned(), *fault)).collect();
        let shared = Arc::new(Shared {
            upstream: rig.address.clone(),
            database: rig.path("p/data/mig.db"),
            faults: Mutex::new(faults),
            requests: Mutex::default(),
            pause: (Mutex::new(Pause::NotReached), Condvar::new()),
        });
        let end = Arc::new(AtomicBool::new(false));
        let (known, ended) = (Arc::clone(&shared), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&known);
                // A runner that was killed leaves its connections broken.
                std::thread::spawn(move || shared.serve(stream?));
            }
        });
        Proxy { address, shared, end, thread: Some(thread) }
    }
}

impl Proxy {
    /// Adds a fault for the next request that contains this text.
    pub(crate) fn inject(&self, text: &str, fault: ProxyFault) {
        *self.shared.pause() = Pause::NotReached;
        self.shared.faults.lock().unwrap().push((text.to_owned(), fault));
    }

    /// Returns whether an answer is paused.
    pub(crate) fn has_paused(&self) -> bool {
        *self.shared.pause() == Pause::Waiting
    }

    /// Releases the paused answer, or the next one.
    pub(crate) fn release(&self) {
        *self.shared.pause() = Pause::Released;
        self.shared.pause.1.notify_all();
    }

    /// Returns the first line of each request that contains this text, in order of arrival.
    pub(crate) fn requests(&self, text: &str) -> Vec<String> {
        let requests = self.shared.requests.lock().unwrap();
        requests.iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// Waits until all faults have been applied.
    pub(crate) fn wait_applied(&self) {
        wait_until("the last fault", || self.shared.faults.lock().unwrap().is_empty());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        TcpStream::connect(&self.address).ok();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let head = read_head(&mut client)?;
        let mut body = vec![0; length(&head)];
        let half = body.len() / 2;
        client.read_exact(&mut body[..half])?;
        let fault = self.take_fault(&head, &body[..half]);
        if fault == Some(ProxyFault::RequestCut) {
            return client.shutdown(Shutdown::Both);
        }
        client.read_exact(&mut body[half..])?;
        if let Some(token) = signature(&head)
            && rsa_number::is_short(token)
        {
            return client.write_all(&unverified());
        }
        if let Some(ProxyFault::RequestDelayedAnswerLost(span)) = fault {
            client.shutdown(Shutdown::Both)?;
            pause(span);
            return self.forward(&head, &body).map(drop);
        }
        if fault == Some(ProxyFault::BadGateway) {
            let page = "<h1>502 Bad Gateway</h1>";
            return client.write_all(&answer("502 Bad Gateway", "text/html", page));
        }
        if let Some(ProxyFault::NotForwarded(message)) = fault {
            return client.write_all(&refusal(message));
        }
        if let Some(ProxyFault::RequestDelayed(span)) = fault {
            pause(span);
        }
        let answer = self.forward(&head, &body)?;
        client.write_all(&match fault {
            Some(ProxyFault::Refused(message)) => refusal(message),
            Some(ProxyFault::RefusedUnsigned(name)) => {
                Database::open(&self.database).forget_signers(name);
                refusal("Failed to store signature: 'pq: connection reset by peer'")
            }
            Some(ProxyFault::AnswerLost) => Vec::new(),
            Some(ProxyFault::AnswerCut) => answer[..answer.len() / 2].to_vec(),
            Some(ProxyFault::AnswerPaused) => {
                self.wait_release();
                answer
            }
            Some(ProxyFault::AnswerDelayed(span)) => {
                pause(span);
                answer
            }
            Some(ProxyFault::Fleet(bytes)) => fleet(&answer, bytes),
            _ => answer,
        })
    }

    fn pause(&self) -> MutexGuard<'_, Pause> {
        self.pause.0.lock().unwrap()
    }

    /// Waits for the release of an answer.
    fn wait_release(&self) {
        let mut pause = self.pause();
        if *pause == Pause::NotReached {
            *pause = Pause::Waiting;
        }
        drop(self.pause.1.wait_while(pause, |pause| *pause != Pause::Released).unwrap());
    }

    /// Records a request and returns the fault for it; half of the body is sufficient to match.
    fn take_fault(&self, head: &str, body: &[u8]) -> Option<ProxyFault> {
        let (line, _) = head.split_once('\r')?;
        self.requests.lock().unwrap().push(line.to_owned());
        let body = String::from_utf8_lossy(body);
        let mut faults = self.faults.lock().unwrap();
        let at = faults.iter().position(|(text, _)| line.contains(text) || body.contains(text))?;
        Some(faults.remove(at).1)
    }

    /// Forwards a request; returns the platform's complete answer.
    fn forward(&self, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
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

/// Returns a page with the commands of ten agents, made from a page with one command. The answer of
/// the fifth agent has `bytes` bytes.
fn fleet(page: &[u8], bytes: usize) -> Vec<u8> {
    let text = std::str::from_utf8(page).unwrap();
    let mut page: serde_json::Value =
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
    let items = page["collection"]["items"].as_array_mut().unwrap();
    let is_command = |item: &serde_json::Value| item["data"][0]["name"] == "command";
    let model = items.iter().find(|item| is_command(item)).unwrap().clone();
    *items = (1..=10)
        .map(|number| {
            let mut item = model.clone();
            let command = &mut item["data"][0]["value"];
            command["id"] = (command["id"].as_u64().unwrap() + number).into();
            command["agent"]["name"] = format!("agent-{number}").into();
            command["action"]["counters"]["sent"] = 10.into();
            if number == 5 {
                command["results"][0]["elements"] = "x".repeat(bytes).into();
            }
            item
        })
        .collect();
    // The original writes a command's members in this order: the results come after the agent.
    answer("200 OK", "application/json", &page.to_string())
}

/// Returns the original's answer to a token with a short number.
fn unverified() -> Vec<u8> {
    let message = "Authorization verification failed with error 'verifySignedToken() -> \
                   GetFingerprintFromSignature() -> openpgp: invalid signature: RSA verification failure'";
    error("401 Unauthorized", message)
}

/// Returns an answer of the API with status 500.
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
