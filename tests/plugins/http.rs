//! A server that keeps what is posted to it and answers as it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// What the server does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It answers with this status.
    Status(u16),
    /// It answers 200 with this body.
    Body(String),
    /// It answers 200, announces so many bytes more than these, and closes.
    Cut(&'static str, usize),
    /// It answers 200, does not say that it closes, and closes.
    TakeAndClose,
    /// It closes without an answer.
    Close,
    /// It answers with what is no HTTP.
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
    /// Returns the events of the body, without what a bulk has between them.
    pub(super) fn events(&self) -> Vec<Value> {
        let lines = self.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line.get("index").is_none()).collect()
    }
}

/// A server on the loopback.
pub(super) struct Server {
    pub(super) port: u16,
    posts: Arc<Mutex<Vec<Post>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Server {
    /// Starts a server that gives these answers in turn, the last one for ever.
    pub(super) fn new(answers: &[Answer]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (posts, left) = (Arc::default(), Arc::default());
        let server = Server { port, posts, answers: left };
        server.answer(answers);
        let (posts, answers) = (Arc::clone(&server.posts), Arc::clone(&server.answers));
        // It ends with the test's process; connections that hang are held until then.
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

    /// Returns what was posted since this was last asked.
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
            Answer::TakeAndClose => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Answer::Garbage => "no HTTP\r\n\r\n".to_owned(),
            Answer::Close => return,
            Answer::Hang => {
                thread::park();
                return;
            }
        };
        // The plugin may have gone, as when it was told to.
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
