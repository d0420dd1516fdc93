//! Clients without any authentication that try to use up the platform's memory, connections and
//! descriptors. A valid request is answered in time, and memory stays small.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::connections::{allow_many_connections, limit, open};
use super::gnupg::send_bombs;
use super::measure::{Attacked, EndOnDrop};
use super::{post, request, signed_form, token};
use crate::rig::{Rig, pause, wait_until};

/// Number of agents that the heartbeats register.
const AGENTS: u64 = 800;
/// Size of a large body, in bytes.
const LARGE: usize = 10 << 20;

fn head(path: &str, length: usize) -> String {
    format!("POST /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
}

/// Returns a heartbeat of an agent with these sizes of its environment and of its tag.
fn heartbeat(number: u64, environment: usize, tag: usize) -> String {
    let body = format!(
        r#"{{"name":"a","mode":"b","version":"c","pid":1,"queueLoc":"linux.{number}",
            "environment":{{"os":"{}"}},"tags":[{{"name":"t","value":"{}"}}]}}"#,
        "e".repeat(environment),
        "t".repeat(tag)
    );
    let head = head("heartbeat", body.len());
    format!("{}\r\nConnection: close\r\n\r\n{body}", head.trim_end())
}

#[test]
fn valid_requests_are_answered_during_attacks_without_authentication() {
    allow_many_connections();
    let rig = Rig::new();
    let attacked = Attacked::new(&rig);
    attacked.assert_serves("no attack");
    let large = vec![b'x'; LARGE];
    let posts = [head("nosuch", large.len()).into_bytes(), large.clone()].concat();
    let mut held = open(&rig, 300, &posts);
    attacked.assert_serves("300 posts to a missing path");
    let protected = [head("action/create/", large.len()).into_bytes(), large].concat();
    held.extend(open(&rig, 300, &protected));
    attacked.assert_serves("300 posts without a token");
    held.extend(open(&rig, 300, head("heartbeat", 60_000).as_bytes()));
    attacked.assert_serves("300 slow clients");
    held.extend(open(&rig, 1100, b"GET /api/v1/ip HTTP/1.1\r\nHost: local"));
    attacked.assert_serves("1100 incomplete heads");
    send_heartbeats(&rig, || {
        attacked.assert_serves("a stream of oversized heartbeats");
        wait_until("hundreds of agents", || rig.database().agents() >= 500);
        attacked.assert_serves("a stream of oversized heartbeats, and hundreds of agents");
    });
    assert!(rig.database().agents() >= 500);
    attacked.assert_serves("the agents that they have left");
    send_bombs(&rig, || {
        attacked.assert_serves("decompression bombs as well");
        send_heartbeats(&rig, || attacked.assert_serves("all attacks at once"));
    });
    // The scheduler works too.
    let id = post(&rig.address, &token(&rig), &signed_form(&rig, "after the attack")).unwrap();
    wait_until("the answer of this host", || {
        rig.database().outcome(id).1.iter().any(|status| status == "success")
    });
    attacked.assert_small("an action for all agents");
    drop(held);
}

/// Sends heartbeats, some of them larger than allowed, while `during` runs.
fn send_heartbeats(rig: &Rig, during: impl FnOnce()) {
    let (is_over, number) = (AtomicBool::new(false), AtomicU64::new(0));
    let send = |environment: usize, tag: usize, status: u16| {
        while !is_over.load(Ordering::Relaxed) {
            let number = number.fetch_add(1, Ordering::Relaxed) % AGENTS;
            let (mut stream, mut answer) =
                (TcpStream::connect(&rig.address).unwrap(), String::new());
            let is_sent = stream.write_all(heartbeat(number, environment, tag).as_bytes()).is_ok();
            let is_answered = stream.read_to_string(&mut answer).is_ok();
            // The platform drops the rest of a body of 10 MiB only for a short time.
            if is_sent && is_answered || environment < LARGE {
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            }
        }
    };
    std::thread::scope(|scope| {
        let send = &send;
        for (environment, tag, status) in
            [(LARGE, 0, 400), (60_000, 0, 400), (8_000, 2_000, 200), (8_000, 2_000, 200)]
        {
            scope.spawn(move || send(environment, tag, status));
        }
        let _end = EndOnDrop(&is_over);
        during();
    });
}

/// Each of these requests costs the platform much more time than the client.
#[test]
fn request_whose_client_has_gone_costs_nothing() {
    let rig = Rig::new();
    let attacked = Attacked::new(&rig);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mig-data"));
    command.arg("-c").arg(rig.path("p/standalone.cfg")).args(["investigator", "apikey", "runner"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = format!(
        "GET /api/v1/dashboard HTTP/1.1\r\nHost: localhost\r\n\
         X-MIGAPIKEY: 0123456789abcdefghijABCDEFGHIJKL\r\nX-Padding: {}\r\n\r\n",
        "x".repeat(28 << 10)
    );
    for _ in 0..10_000 {
        let mut stream = TcpStream::connect(&rig.address).unwrap();
        stream.write_all(text.as_bytes()).ok();
    }
    attacked.assert_serves("10000 requests without a reader");
}

#[test]
fn refused_request_is_answered_before_its_body_arrives() {
    let rig = Rig::new();
    for (path, status) in [("nosuch", 404), ("action/create/", 401), ("investigator/create/", 401)]
    {
        let mut stream = TcpStream::connect(&rig.address).unwrap();
        stream.write_all(head(path, 5_000_000).as_bytes()).unwrap();
        // No byte of the body is sent, and the server closes the connection after its answer.
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    }
    // A client that sends all of its body before it reads still receives the answer.
    let body = "x".repeat(3_000_000);
    let answer = request(&rig.address, &format!("{}{body}", head("nosuch", body.len())));
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[test]
fn head_and_body_that_do_not_arrive_end_the_connection() {
    let rig = Rig::new();
    let begun = |bytes: &str| {
        let mut stream = TcpStream::connect(&rig.address).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    };
    let mut incomplete = begun("GET /api/v1/ip HTTP/1.1\r\n");
    let mut paused = begun(&format!("{}{{", head("heartbeat", 1000)));
    match incomplete.read(&mut [0; 100]) {
        Ok(size) => assert_eq!(size, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    let mut answer = String::new();
    paused.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("the request was not judged: its body arrived too slowly"), "{answer}");
}

#[test]
fn lasting_shortage_of_descriptors_is_logged_once() {
    let mut rig = Rig::new();
    limit(&rig, 3);
    wait_until("a failure of the scheduler", || rig.platform_log().contains("cannot read folder"));
    // Several scans, which all fail.
    pause(Duration::from_secs(5));
    limit(&rig, 1024);
    let id = post(&rig.address, &token(&rig), &signed_form(&rig, "a")).unwrap();
    wait_until("the end of the action", || rig.database().outcome(id).0 == "completed");
    let log = rig.platform_log();
    let mut failures: Vec<&str> =
        log.lines().filter(|line| line.contains("cannot ")).filter_map(event).collect();
    assert!(!failures.is_empty(), "{log}");
    let count = failures.len();
    failures.sort_unstable();
    failures.dedup();
    assert_eq!(failures.len(), count, "{log}");
    rig.stop_platform();
}

/// Returns what a line of the log reports, without its time and the reason.
fn event(line: &str) -> Option<&str> {
    let (_, event) = line.split_once("ERRO").or_else(|| line.split_once("ERROR"))?;
    Some(event.split("error: ").next().unwrap_or(event))
}

#[test]
fn web_pages_cannot_use_the_api() {
    let mut rig = Rig::new();
    let get = |rig: &Rig, headers: &str| {
        let text = format!("GET /api/v1/heartbeat HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        request(&rig.address, &text)
    };
    let port = rig.address.rsplit_once(':').unwrap().1.to_owned();
    for host in ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"] {
        let answer = get(&rig, &format!("Host: {host}:{port}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{host}: {answer}");
    }
    let answer = get(&rig, &format!("Host: mig.example.net:{port}\r\n"));
    assert!(
        answer.starts_with("HTTP/1.1 403 ")
            && answer.contains("add it to `names` in the section [server]"),
        "{answer}"
    );
    let answer = get(&rig, "Host: localhost\r\nOrigin: http://localhost\r\n");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    // The request that a form of another site would send.
    let body = heartbeat(1, 10, 10);
    let body = body.split_once("\r\n\r\n").unwrap().1;
    let answer = request(
        &rig.address,
        &format!(
            "POST /api/v1/heartbeat HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\
             Content-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    // A URL in the request line counts as a host, too.
    let text = "GET http://evil.example/api/v1/heartbeat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = request(&rig.address, text);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    rig.name_platform("other, mig.example.net");
    let answer = get(&rig, "Host: mig.example.net\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn redirect_stays_on_this_host() {
    let rig = Rig::new();
    for (path, location) in [
        ("/.//\\evil/", "/%5Cevil/"),
        ("//evil/", "/evil/"),
        ("/./\\\\evil", "/%5C%5Cevil"),
        ("/api/v1//search?type=agent", "/api/v1/search?type=agent"),
    ] {
        let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = request(&rig.address, &text);
        assert!(answer.starts_with("HTTP/1.1 301 "), "{path}: {answer}");
        let found = answer.lines().find_map(|line| line.strip_prefix("location: "));
        assert_eq!(found, Some(location), "{path}");
    }
}

#[test]
fn action_with_too_many_operations_is_refused() {
    let rig = Rig::new();
    let operation = r#"{"module":"timedrift","parameters":{"drift":""}}"#;
    let post = |count: usize| {
        let operations = format!("[{}]", vec![operation; count].join(","));
        let form = super::signed_form_with(&rig, "many", &operations);
        request(
            &rig.address,
            &format!(
                "POST /api/v1/action/create/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nX-PGPAUTHORIZATION: {}\r\n\
                 Content-Length: {}\r\n\r\n{form}",
                token(&rig),
                form.len()
            ),
        )
    };
    let refused = post(65);
    assert!(refused.starts_with("HTTP/1.1 500 "), "{refused}");
    assert!(refused.contains("action has 65 operations, more than 64"), "{refused}");
    assert!(post(64).starts_with("HTTP/1.1 202 "));
}
