//! A server that records requests and gives prepared answers.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// How the server reacts to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Answers with this status.
    Status(u16),
    /// Answers 200 with this body.
    Body(String),
    /// Answers 200, announces this many bytes more than the body has, and closes.
    Cut(&'static str, usize),
    /// Answers 200, then closes without announcing it.
    AcceptAndClose,
    /// Closes without an answer.
    Close,
    /// Answers with something that is not HTTP.
    Garbage,
    Hang,
}

#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) target: String,
    pub(super) headers: String,
    pub(super) body: String,
}

impl Post {
    /// Returns the events in the body, without the lines between them in a bulk request.
    pub(super) fn events(&self) -> Vec<Value> {
        let lines = self.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line.get("index").is_none()).collect()
    }
}

/// A server on the loopback interface.
pub(super) struct Server {
    pub(super) port: u16,
    posts: Arc<Mutex<Vec<Post>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Server {
    /// Starts a server that gives these answers in order and then repeats the last one.
    pub(super) fn new(answers: &[Answer]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (posts, left) = (Arc::default(), Arc::default());
        let server = Server { port, posts, answers: left };
        server.answer(answers);
        let (posts, answers) = (Arc::clone(&server.posts), Arc::clone(&server.answers));
        // Threads end with the test's process, and connections that hang stay open until then.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (posts, answers) = (Arc::clone(&posts), Arc::clone(&answers));
                thread::spawn(move || serve(stream.unwrap(), &posts, &answers));
            }
        });
        server
    }

    pub(super) fn answer(&self, answers: &[Answer]) {
        *self.answers.lock().unwrap() = answers.iter().rev().cloned().collect();
    }

    /// Returns the requests since the last call.
    pub(super) fn take(&self) -> Vec<Post> {
        std::mem::take(&mut *self.posts.lock().unwrap())
    }
}

fn serve(stream: TcpStream, posts: &Mutex<Vec<Post>>, answers: &Mutex<Vec<Answer>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(post) = read(&mut reader) {
        posts.lock().unwrap().push(post);
        let answer = {
            let mut answers = answers.lock().unwrap();
            if answers.len() > 1 { answers.pop().unwrap() } else { answers[0].clone() }
        };
        let text = match &answer {
            Answer::Status(status) => format!(
                "HTTP/1.1 {status} X\r\nLocation: /elsewhere\r\nContent-Length: 8\r\n\r\nbe\u{1b}cause"
            ),
            Answer::Body(body) => {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            }
            Answer::Cut(body, missing) => {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len() + missing)
            }
            Answer::AcceptAndClose => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Answer::Garbage => "no HTTP\r\n\r\n".to_owned(),
            Answer::Close => return,
            Answer::Hang => {
                thread::park();
                return;
            }
        };
        // The plugin may have output already.
        stream.write_all(text.as_bytes()).ok();
        if !matches!(answer, Answer::Status(_) | Answer::Body(_)) {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Post> {
    let (mut headers, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        headers += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let target = headers.split(' ').nth(1).unwrap().to_owned();
    Some(Post { target, headers, body: String::from_utf8(body).unwrap() })
}
