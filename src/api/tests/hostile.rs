//! Tests with servers that are broken or malicious.

use std::io;
use std::time::{Duration, Instant};

use reqwest::Url;

use super::{
    client, client_with, fetch, outcome, settable_server, settings, signature, signatures,
};
use crate::api::answer::{Answer, COMMANDS, walk_page};
use crate::api::error::Call;
use crate::api::testing::{Reply, Server, recorded};
use crate::api::verdict::judge;
use crate::api::wanted::{Value, Wanted};
use crate::api::{Api, ApiError, Client, HttpSettings, Posted, Scope};
use crate::names::ActionId;

/// Number of damaged bodies in the test.
const MUTATIONS: u32 = 10_000;

fn page(client: &Client) -> ApiError {
    fetch(client, 1, 0, 250).1.unwrap_err()
}

fn head(length: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes()
}

#[test]
fn invalid_document_is_an_error_with_an_excerpt() {
    let (_server, setter, client) = settable_server();
    let long = format!("<html>{}", "x".repeat(100_000));
    for (body, shown) in [
        ("", "it is empty"),
        ("null", "null"),
        ("[]", "[]"),
        ("{}", "no collection"),
        ("<html>\u{1b}[2J\n<body>", r"<html>\u{1b}[2J\n<body>"),
        (&long, "<html>xxx"),
        ("\u{feff}{}", "expected an object"),
        (r#"{"collection":[]}"#, "a collection"),
        (r#"{"collection":{}}"#, "it has no items"),
        (r#"{"collection":{"items":{}}}"#, "a list of items"),
        (r#"{"collection":{"items":[5]}}"#, "an item"),
        (r#"{"collection":{"items":[{"data":7}]}}"#, "a list of data"),
        (r#"{"collection":{"items":[{"data":[{"name":7}]}]}}"#, "a string"),
        (r#"{"collection":{"items":[{"data":[{"name":"command","value":7}]}]}}"#, "not an object"),
        (r#"{"collection":{"items":[{"data":[{"name":"command","value":[]}]}]}}"#, "not an object"),
        (r#"{"collection":{"items":[]},"#, "EOF"),
        (r#"{"collection":{"items":[]}} {}"#, "trailing"),
    ] {
        setter.set(Reply::json(200, body));
        let error = page(&client);
        let text = error.to_string();
        assert!(matches!(error, ApiError::Answer { .. }), "{error:?}");
        assert!(text.contains(shown) && text.len() < 1000, "{text}");
        assert!(!text.contains(char::is_control), "{text}");
        assert_eq!(error.scope(), Scope::Request);
    }
}

#[test]
fn error_message_with_a_200_is_an_error() {
    let body = r#"{"collection":{"items":[],"error":{"message":"out of\norder"}}}"#;
    let text = page(&client(&Server::always(Reply::json(200, body)))).to_string();
    assert!(text.ends_with(r"was answered 200: out of\norder"), "{text}");
}

#[test]
fn truncated_response_is_an_error() {
    let (server, setter, client) = settable_server();
    let whole = r#"{"collection":{"items":[{"data":[{"name":"command","value":{"id":1}}]}]}}"#;
    for cut in [0, 1, 40, whole.len() - 1] {
        let mut bytes = head(whole.len());
        bytes.extend_from_slice(&whole.as_bytes()[..cut]);
        setter.set(Reply::Raw(bytes));
        let error = page(&client);
        assert!(matches!(error, ApiError::Exchange { timeout: false, .. }), "{cut}: {error:?}");
        assert!(!error.is_timeout());
    }
    // Truncated before and within the head.
    for head in ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nConte", "garbage\r\n\r\n"] {
        setter.set(Reply::Raw(head.into()));
        let error = page(&client);
        assert!(matches!(error, ApiError::Exchange { .. }), "{head:?}: {error:?}");
        let before = server.requests().len();
        let posted = client.post("{}", &[signature("s=")]);
        assert_eq!(outcome(&posted), "unknown, Api", "{head:?}");
        assert_eq!(server.requests().len(), before + 1, "a POST is never repeated");
    }
}

#[test]
fn slow_response_ends_at_the_time_limit() {
    let span = Duration::from_millis(400);
    let dripping = [
        Reply::Drip(b"HTTP/1.1 200 OK\r\nX-Slow: ".to_vec(), b'x'),
        Reply::Drip(head(1 << 20), b' '),
    ];
    for reply in dripping {
        let server = Server::always(reply);
        let hurried = HttpSettings { call_span: span, page_span: span, ..settings(&server.url()) };
        let client = client_with(hurried);
        let begun = Instant::now();
        let error = fetch(&client, 1, 0, 250).1.unwrap_err();
        assert!(error.is_timeout() && error.scope() == Scope::Request, "{error:?}");
        let posted = client.post("{}", &[signature("s=")]);
        assert_eq!(outcome(&posted), "unknown, Api");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}

#[test]
fn endless_response_is_abandoned() {
    let begin = r#"{"collection":{"error":{"message":""#;
    let flood = |status: u16| {
        let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n{begin}");
        Server::always(Reply::Flood(head.into_bytes(), vec![b'x'; 1 << 20]))
    };
    let server = flood(200);
    let error = fetch(&client(&server), 1, 0, 250).1.unwrap_err();
    assert!(matches!(error, ApiError::TooLong { .. }), "{error:?}");
    let server = flood(202);
    let posted = client(&server).post("{}", &[signature("s=")]);
    let is_too_long = matches!(&posted, Posted::Unknown { cause: ApiError::TooLong { .. } });
    assert!(is_too_long, "{posted:?}");
}

#[test]
fn deeply_nested_response_is_processed() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let command = format!(r#"{{"id":1,"results":{deep}}}"#);
    let body = format!(
        r#"{{"x":{deep},"collection":{{"y":{deep},"items":[{{"data":[{{"name":"command","value":{command}}}]}}]}}}}"#
    );
    let server = Server::always(Reply::json(200, body));
    let (commands, page) = fetch(&client(&server), 1, 0, 250);
    assert_eq!((page.unwrap().items, &commands[..]), (1, &[command][..]));
}

#[test]
fn commands_are_passed_on_byte_for_byte() {
    let command = r#"{"id" : 28052743520493,"n":1e400,"m":-0,"big":123456789012345678901234567890,"s":"\ud800 \u003c\/","new":{"b":1,"a":2,"a":3}}"#;
    let body = format!(
        r#"{{"collection":{{"items":[{{"href":"x","data":[{{"value": {command} ,"name":"command"}}]}}]}}}}"#
    );
    let server = Server::always(Reply::json(200, body));
    let (commands, page) = fetch(&client(&server), 1, 0, 250);
    assert_eq!((page.unwrap().sent, &commands[..]), (None, &[command.to_owned()][..]));
}

#[test]
fn sink_failure_is_not_an_api_fault() {
    let exchange = &recorded("09-search-command-all")[0];
    let server = Server::always(exchange.reply());
    let mut taken = 0;
    let error = client(&server).commands(ActionId(1), 0, 250, &mut |_| {
        taken += 1;
        if taken < 3 { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    });
    let Err(ApiError::Sink { source, .. }) = error else { panic!("{error:?}") };
    assert_eq!((source.kind(), taken), (io::ErrorKind::StorageFull, 3));
}

/// A reproducible pseudo-random number generator.
struct RsaNumbers(u64);

impl RsaNumbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % limit.max(1)
    }
}

/// Damages a body in a random way.
fn damage(body: &mut Vec<u8>, numbers: &mut RsaNumbers) {
    let (at, other) = (numbers.below(body.len()), numbers.below(body.len()));
    match numbers.below(6) {
        0 => body.truncate(at),
        1 => body.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (other % 8)),
        2 => drop(body.drain(at.min(other)..at.max(other))),
        3 => body.insert(at, b"{}[]\",:\\\0\xff0-e"[other % 13]),
        4 => {
            let piece = body[at.min(other)..at.max(other)].to_vec();
            body.splice(at..at, piece);
        }
        _ => drop(body.splice(at..at, b"null".iter().copied())),
    }
}

#[test]
fn damaged_responses_are_handled() {
    let call = Call::new("GET", &Url::parse("http://h/").unwrap());
    let exchanges: Vec<_> =
        recorded("").into_iter().filter(|exchange| !exchange.body.is_empty()).collect();
    let mut numbers = RsaNumbers(0x2545_f491_4f6c_dd1d);
    let (mut pages, mut accepted) = (0_u32, 0_u32);
    for _ in 0..MUTATIONS {
        let exchange = &exchanges[numbers.below(exchanges.len())];
        let mut body = exchange.body.clone().into_bytes();
        for _ in 0..=numbers.below(3) {
            damage(&mut body, &mut numbers);
        }
        let mut bytes = 0;
        let walked =
            walk_page(&call, &body[..], COMMANDS, Wanted::Commands, &mut |value: Value<'_>| {
                bytes += value.text.len();
                Ok(())
            });
        assert!(bytes <= body.len());
        pages += u32::from(walked.is_ok());
        if let Err(error) = walked {
            assert!(error.to_string().len() < 2000, "{error}");
        }
        let ours = signatures(&exchange.posted().unwrap_or_default());
        let answer = Answer::of(exchange.status, Ok(body));
        if let Posted::Accepted { id, action } = judge(&call, Ok(answer), &ours) {
            accepted += 1;
            let theirs = signatures(action.get());
            assert!(id.0 > 0 && theirs.iter().any(|line| ours.contains(line)));
        }
    }
    // Most damage is detected, and some is harmless: both occurred.
    assert!(pages > 100 && pages < MUTATIONS / 2, "{pages}");
    assert!(accepted > 10, "{accepted}");
}
