//! The module with NTP servers on the loopback addresses of the recordings.

#![expect(clippy::disallowed_methods, reason = "tests create and read their own files")]

use std::net::{IpAddr, UdpSocket};
use std::path::PathBuf;
use std::thread::JoinHandle;

use serde_json::{Value, json};

use super::super::testing::{self, reword};
use super::*;
use crate::clock::SystemClock;

/// From 1900 to 1970, in nanoseconds.
const EPOCH_NANOS: i128 = 2_208_988_800_000_000_000;

/// How a server answers.
#[derive(Debug, Clone, Copy)]
enum ServerKind {
    /// With a time that is this many seconds ahead.
    Ahead(i128),
    Silent,
    WholeSeconds,
    Unsynchronised,
    Short,
    /// With a forged packet, followed by a valid answer.
    Forged,
}

/// The servers of the recordings.
const SERVERS: [(&str, ServerKind); 9] = [
    ("127.0.0.1", ServerKind::Ahead(0)),
    ("127.0.0.2", ServerKind::Ahead(-60)),
    ("127.0.0.3", ServerKind::Ahead(60)),
    ("127.0.0.4", ServerKind::Silent),
    ("127.0.0.5", ServerKind::WholeSeconds),
    ("127.0.0.6", ServerKind::Unsynchronised),
    ("127.0.0.7", ServerKind::Short),
    ("127.0.0.9", ServerKind::Forged),
    ("::1", ServerKind::Ahead(0)),
];

/// Servers on the same port, which stop when this is dropped.
struct Servers {
    port: u16,
    threads: Vec<(UdpSocket, JoinHandle<()>)>,
}

impl Servers {
    fn start() -> Servers {
        loop {
            let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let bind = |(host, kind): (&str, ServerKind)| {
                let host: IpAddr = host.parse().unwrap();
                // A host without IPv6 has no IPv6 servers.
                match UdpSocket::bind((host, port)) {
                    Err(_) if host.is_ipv6() => Some(None),
                    bound => bound.ok().map(|socket| Some((socket, kind))),
                }
            };
            let bound: Option<Vec<_>> = SERVERS.into_iter().map(bind).collect();
            // Otherwise another process has the port at one of the addresses.
            if let Some(bound) = bound {
                let threads = bound.into_iter().flatten().map(|(socket, kind)| {
                    let own = socket.try_clone().unwrap();
                    (own, std::thread::spawn(move || serve(&socket, kind)))
                });
                return Servers { port, threads: threads.collect() };
            }
        }
    }

    fn has_ipv6(&self) -> bool {
        self.threads.len() == SERVERS.len()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for (socket, thread) in self.threads.drain(..) {
            socket.send_to(b"", socket.local_addr().unwrap()).unwrap();
            thread.join().unwrap();
        }
    }
}

/// Answers requests until an empty packet arrives.
fn serve(socket: &UdpSocket, kind: ServerKind) {
    let mut request = [0; 100];
    loop {
        let (size, client) = socket.recv_from(&mut request).unwrap();
        match (size, kind) {
            (0, _) => return,
            (48, ServerKind::Silent) => continue,
            (48, _) => assert_eq!(request[0] & 7, 3),
            _ => panic!("a request of {size} bytes"),
        }
        let ahead = if let ServerKind::Ahead(seconds) = kind { seconds } else { 0 };
        let nanos = SystemClock.now().as_nanosecond() + EPOCH_NANOS + ahead * 1_000_000_000;
        let mut stamp = ((nanos << 32) / 1_000_000_000).to_be_bytes();
        // The fraction must not be 0 by chance.
        stamp[15] |= 1;
        let mut answer = [0; 48];
        answer[0] = if matches!(kind, ServerKind::Unsynchronised) { 0xe4 } else { 0x24 };
        answer[1] = 1;
        answer[24..32].copy_from_slice(&request[40..48]);
        answer[40..].copy_from_slice(&stamp[8..]);
        if matches!(kind, ServerKind::WholeSeconds) {
            answer[44..].fill(0);
        }
        if matches!(kind, ServerKind::Forged) {
            let mut forged = answer;
            forged[24] ^= 1;
            forged[40] ^= 0x40;
            socket.send_to(&forged, client).unwrap();
        }
        let answer = if matches!(kind, ServerKind::Short) { &answer[..10] } else { &answer[..] };
        socket.send_to(answer, client).unwrap();
    }
}

fn run_with_sources(parameters: &Value, sources: &TimeSources<'_>) -> Value {
    let parameters: Box<RawValue> = serde_json::from_str(&parameters.to_string()).unwrap();
    let result = run(&parameters, &SystemClock, sources).unwrap();
    serde_json::to_value(result).unwrap()
}

/// Runs the module with a configuration that names `hosts`.
fn run_with_hosts(parameters: &Value, port: u16, hosts: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("ntp.conf");
    let lines = hosts.iter().map(|host| format!("server {host}\n"));
    std::fs::write(&conf, lines.collect::<String>()).unwrap();
    let timeout = Duration::from_millis(500);
    run_with_sources(parameters, &TimeSources { conf: &conf, backups: &[], port, timeout })
}

fn seconds(text: &str) -> i64 {
    let nanos = duration::parse(text).unwrap().as_nanos();
    i64::try_from((nanos + nanos.signum() * 500_000_000) / 1_000_000_000).unwrap()
}

/// Removes values that differ between runs.
fn comparable(mut result: Value) -> Value {
    let time = |value: &mut Value| {
        let text = value.as_str().unwrap().to_owned();
        let _: Timestamp = text.parse().unwrap();
        if text != NO_TIME {
            value.take();
        }
    };
    if let Some(local) = result["elements"].get_mut("localtime") {
        time(local);
    }
    if let Some(drifts) = result["elements"].get_mut("drifts").and_then(Value::as_array_mut) {
        for drift in drifts {
            let (text, by) = drift.as_str().unwrap().rsplit_once(' ').unwrap();
            let by = seconds(by);
            // The sign of a difference close to 0 is random.
            let text = if by == 0 { text.replace("behind", "ahead of") } else { text.to_owned() };
            *drift = json!(format!("{text} {by}s"));
        }
    }
    if let Some(took) = result["statistics"].get_mut("exectime") {
        seconds(took.take().as_str().unwrap());
    }
    let queried = result["statistics"].get_mut("ntpstats").and_then(Value::as_array_mut);
    for host in queried.into_iter().flatten() {
        time(&mut host["time"]);
        if host["reachable"] == true {
            host["drift"] = json!(seconds(host["drift"].as_str().unwrap()));
            host["latency"] = json!(seconds(host["latency"].as_str().unwrap()));
        }
    }
    result
}

/// Corrects a recorded result where the original has a defect, and replaces the wording of errors.
fn correct(case: &str, expected: &mut Value) {
    match case {
        "drift-negative" => {
            *expected = json!({"foundanything": false, "success": false, "elements": null,
                "statistics": null, "errors": ["negative"]});
        }
        // A missing configuration is not an error.
        "no-conf-backup-answers" => {
            expected["success"] = json!(true);
            expected["errors"] = Value::Null;
        }
        // The result says nothing about a clock that was not compared.
        "no-conf-nothing-reachable" => {
            expected["elements"].as_object_mut().unwrap().remove("iswithindrift");
            expected["errors"] = expected["statistics"]["ntpstats"].clone();
        }
        _ => {}
    }
    reword("timedrift", case, &mut expected["errors"]);
}

#[test]
fn results_equal_the_recordings() {
    let servers = Servers::start();
    let mut replayed = 0;
    for (case, recording) in testing::recordings("timedrift") {
        // Names of public servers are replaced by addresses of this host.
        let closed = recording.to_string().replace(
            "time.nist.gov",
            if case.ends_with("answers") { "127.0.0.1" } else { "127.0.0.8" },
        );
        let text = (0..4).fold(closed, |text, n| {
            text.replace(&format!("{n}.pool.ntp.org"), &format!("127.0.0.1{n}"))
        });
        let recording: Value = serde_json::from_str(&text).unwrap();
        let mut expected = recording["results"][0].clone();
        correct(&case, &mut expected);
        let queried = recording["results"][0]["statistics"]["ntpstats"].as_array();
        let hosts: Vec<&str> =
            queried.into_iter().flatten().map(|host| host["host"].as_str().unwrap()).collect();
        let found = if case.starts_with("no-conf") {
            let (conf, timeout) = (PathBuf::from("/nosuch/ntp.conf"), Duration::from_secs(1));
            let sources = TimeSources { conf: &conf, backups: &hosts, port: servers.port, timeout };
            run_with_sources(&recording["parameters"], &sources)
        } else {
            run_with_hosts(&recording["parameters"], servers.port, &hosts)
        };
        let found = found.to_string().replace(&format!(":{}:", servers.port), ":PORT:");
        let found = serde_json::from_str(&found).unwrap();
        assert_eq!(comparable(found), comparable(expected), "{case}");
        replayed += 1;
    }
    assert_eq!(replayed, 17);
}

#[test]
fn server_with_an_invalid_answer_is_skipped() {
    let servers = Servers::start();
    // A name with a NUL is invalid, so no resolver is queried.
    let hosts = ["127.0.0.4", "127.0.0.6", "127.0.0.7", "nosuch\0name", "127.0.0.9"];
    let result = run_with_hosts(&json!({"drift": "5s"}), servers.port, &hosts);
    let queried = result["statistics"]["ntpstats"].as_array().unwrap();
    let reached: Vec<bool> = queried.iter().map(|host| host["reachable"] == true).collect();
    assert_eq!(reached, [false, false, false, false, true]);
    assert_eq!(result["elements"]["iswithindrift"], true);
    assert_eq!(result["errors"], Value::Null);
    let result = run_with_hosts(&json!({"drift": "5s"}), servers.port, &hosts[..4]);
    assert_eq!((&result["success"], &result["foundanything"]), (&json!(false), &json!(false)));
    let errors: Vec<&str> =
        result["errors"].as_array().unwrap().iter().map(|error| error.as_str().unwrap()).collect();
    assert!(errors[0].ends_with(" in time"), "{errors:?}");
    assert!(errors[1].ends_with("server is not synchronised"), "{errors:?}");
    assert!(errors[2].ends_with("packet has 10 bytes, fewer than 48"), "{errors:?}");
    assert!(errors[3].contains("cannot resolve name"), "{errors:?}");
}

#[test]
fn ipv6_servers_are_queried_with_and_without_brackets() {
    let servers = Servers::start();
    if !servers.has_ipv6() {
        crate::testing::skip("this host has no IPv6");
        return;
    }
    for host in ["::1", "[::1]"] {
        let result = run_with_hosts(&json!({"drift": "5s"}), servers.port, &[host]);
        assert_eq!(result["statistics"]["ntpstats"][0]["reachable"], true, "{host}");
        assert_eq!(result["statistics"]["ntpstats"][0]["host"], host);
    }
}

#[test]
fn times_are_written_as_in_go() {
    let text_in =
        |text: &str, zone: &str| time_text_in(text.parse().unwrap(), TimeZone::get(zone).unwrap());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/go-forms.json");
    let forms: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for vector in forms["time"].as_array().unwrap() {
        let text = vector["rfc3339nano"].as_str().unwrap();
        assert_eq!(text_in(text, "UTC"), text);
    }
    assert_eq!(text_in("2020-07-02T03:04:05.5Z", "Europe/Berlin"), "2020-07-02T05:04:05.5+02:00");
}
