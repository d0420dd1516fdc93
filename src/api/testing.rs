//! A test server on loopback whose replies a test sets, and recorded exchanges with the real API.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::action::{SignError, Signature, Signer, UnknownKey};

/// Returns the same signature for every text.
#[derive(Debug)]
pub(crate) struct FixedSigner(pub(crate) &'static str);

impl Signer for FixedSigner {
    fn sign(&self, _bytes: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature::try_from(self.0.to_owned()).unwrap())
    }

    fn fingerprint(&self) -> &'static str {
        "0000000000000000000000000000000000000000"
    }

    fn padded(&self, _: &str, _: UnknownKey) -> Result<Option<Signature>, SignError> {
        Ok(None)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ReceivedRequest {
    pub(crate) method: String,
    /// The path and the query.
    pub(crate) target: String,
    /// The headers, with names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl ReceivedRequest {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Whole {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Sends these bytes and closes the connection.
    Raw(Vec<u8>),
    /// Sends these bytes, and then this byte repeatedly until the client closes the connection.
    Drip(Vec<u8>, u8),
    /// The same, as fast as the client reads.
    Flood(Vec<u8>, Vec<u8>),
}

impl Reply {
    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Reply::Whole { status, headers, body: body.into() }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Reply {
        if let Reply::Whole { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

/// Sets the reply of a server.
#[derive(Debug, Clone)]
pub(crate) struct ReplySetter(Arc<Mutex<Reply>>);

impl ReplySetter {
    pub(crate) fn set(&self, reply: Reply) {
        *self.0.lock().unwrap() = reply;
    }
}

type Answerer = Box<dyn FnMut(&ReceivedRequest) -> Reply + Send>;

struct State {
    answerer: Mutex<Answerer>,
    requests: Mutex<Vec<ReceivedRequest>>,
    connections: Mutex<Vec<TcpStream>>,
    stopped: Mutex<bool>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl Server {
    /// Starts a server that sends the replies that `answerer` returns.
    pub(crate) fn start(
        answerer: impl FnMut(&ReceivedRequest) -> Reply + Send + 'static,
    ) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            answerer: Mutex::new(Box::new(answerer)),
            requests: Mutex::default(),
            connections: Mutex::default(),
            stopped: Mutex::new(false),
        });
        let shared = Arc::clone(&state);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if *shared.stopped.lock().unwrap() {
                    return;
                }
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                shared.connections.lock().unwrap().push(stream.try_clone().unwrap());
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(stream));
            }
        });
        Server { address, state, accepting: Some(accepting) }
    }

    /// Starts a server that always sends the same reply.
    pub(crate) fn always(reply: Reply) -> Server {
        Server::start(move |_| reply.clone())
    }

    /// Starts a server that sends the reply that was set last.
    pub(crate) fn with_reply_setter() -> (Server, ReplySetter) {
        let setter = ReplySetter(Arc::new(Mutex::new(Reply::json(501, "{}"))));
        let shared = setter.clone();
        (Server::start(move |_| shared.0.lock().unwrap().clone()), setter)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/v1/", self.address)
    }

    /// Returns the requests received so far.
    pub(crate) fn requests(&self) -> Vec<ReceivedRequest> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Returns the number of connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.lock().unwrap().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *self.state.stopped.lock().unwrap() = true;
        drop(TcpStream::connect(self.address));
        self.accepting.take().unwrap().join().unwrap();
        for connection in self.state.connections.lock().unwrap().drain(..) {
            // The client may have closed the connection already.
            connection.shutdown(Shutdown::Both).ok();
        }
    }
}

impl State {
    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read_request(&mut reader) {
            self.requests.lock().unwrap().push(request.clone());
            let reply = (self.answerer.lock().unwrap())(&request);
            if !write_reply(&mut stream, reply) {
                break;
            }
        }
        stream.shutdown(Shutdown::Both).ok();
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<ReceivedRequest> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&count| count > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut request = ReceivedRequest { method, target, headers, body: String::new() };
    let length = request.header("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}

/// Writes a reply; returns whether the connection can be reused.
fn write_reply(stream: &mut TcpStream, reply: Reply) -> bool {
    match reply {
        Reply::Whole { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
            for (name, value) in headers {
                head += &format!("{name}: {value}\r\n");
            }
            stream.write_all(format!("{head}\r\n").as_bytes()).is_ok()
                && stream.write_all(&body).is_ok()
        }
        Reply::Raw(bytes) => {
            stream.write_all(&bytes).ok();
            false
        }
        Reply::Drip(bytes, drop) => {
            stream.write_all(&bytes).ok();
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            // Sends the byte each time the wait for the client's end times out.
            while !matches!(stream.read(&mut [0]), Ok(0)) && stream.write_all(&[drop]).is_ok() {}
            false
        }
        Reply::Flood(bytes, more) => {
            stream.write_all(&bytes).ok();
            while stream.write_all(&more).is_ok() {}
            false
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// Its file and its index there.
    pub(crate) name: String,
    pub(crate) method: String,
    /// The path and the query.
    pub(crate) target: String,
    pub(crate) form: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Exchange {
    /// Returns the recorded reply.
    pub(crate) fn reply(&self) -> Reply {
        let framing = ["content-length", "transfer-encoding"];
        let kept = |(name, _): &&(String, String)| !framing.contains(&&*name.to_lowercase());
        let headers = self.headers.iter().filter(kept).cloned().collect();
        Reply::Whole { status: self.status, headers, body: self.body.clone().into() }
    }

    /// Returns the fields of the query.
    pub(crate) fn query(&self) -> Vec<(String, String)> {
        pairs(self.target.split_once('?').map_or("", |(_, query)| query))
    }

    /// Returns whether the exchange requests `resource` below the base URL, in its exact spelling.
    pub(crate) fn is_about(&self, method: &str, resource: &str) -> bool {
        let path = self.target.split('?').next().unwrap();
        self.method == method && path.strip_prefix("/api/v1/") == Some(resource)
    }

    /// Returns the posted action, if the form has one.
    pub(crate) fn posted(&self) -> Option<String> {
        pairs(&self.form).into_iter().find(|(name, _)| name == "action").map(|(_, json)| json)
    }
}

pub(crate) fn pairs(form: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let (mut bytes, mut rest) = (Vec::new(), text.bytes());
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let digits = [rest.next(), rest.next()].map(Option::unwrap_or_default);
                    let digits = String::from_utf8_lossy(&digits).into_owned();
                    u8::from_str_radix(&digits, 16).unwrap_or(b'?')
                }
                byte => byte,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (decode(name), decode(value))
    };
    form.split('&').filter(|text| !text.is_empty()).map(pair).collect()
}

/// Returns the exchanges of every recording whose name begins with `prefix`, in order.
pub(crate) fn recorded(prefix: &str) -> Vec<Exchange> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/http"));
    let mut names: Vec<String> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(prefix) && name.ends_with(".json"))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no recording begins with {prefix}");
    names.iter().flat_map(|name| exchanges(&folder, name)).collect()
}

#[expect(clippy::disallowed_methods, reason = "recordings are test data")]
fn exchanges(folder: &std::path::Path, name: &str) -> Vec<Exchange> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let Value::Array(list) = serde_json::from_str(&text).unwrap() else { panic!("{name}") };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let exchange = |(place, recorded): (usize, &Value)| {
        let (request, response) = (&recorded["request"], &recorded["response"]);
        let headers = response["headers"].as_array().unwrap();
        Exchange {
            name: format!("{name}[{place}]"),
            method: text(&request["method"]),
            target: text(&request["path"]),
            form: text(&request["body"]["text"]),
            status: response["status"].as_u64().unwrap().try_into().unwrap(),
            headers: headers.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
            body: text(&response["body"]["text"]),
        }
    };
    list.iter().enumerate().map(exchange).collect()
}
