//! The module against servers of its own on the loopback addresses of the recordings.

#![expect(clippy::disallowed_methods, reason = "tests make and read files of their own")]

use std::net::{IpAddr, UdpSocket};
use std::path::PathBuf;
use std::thread::JoinHandle;

use serde_json::{Value, json};

use super::*;
use crate::clock::SystemClock;

/// From 1900 to 1970, in nanoseconds.
const EPOCH_NANOS: i128 = 2_208_988_800_000_000_000;

/// What a server does when it is asked.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// It answers with a time that is so many seconds ahead.
    Ahead(i128),
    Silent,
    WholeSeconds,
    Unsynchronised,
    Short,
    /// It answers twice, first with what is no answer to the question.
    Forged,
}

/// The servers of the recordings.
const KINDS: [(&str, Kind); 9] = [
    ("127.0.0.1", Kind::Ahead(0)),
    ("127.0.0.2", Kind::Ahead(-60)),
    ("127.0.0.3", Kind::Ahead(60)),
    ("127.0.0.4", Kind::Silent),
    ("127.0.0.5", Kind::WholeSeconds),
    ("127.0.0.6", Kind::Unsynchronised),
    ("127.0.0.7", Kind::Short),
    ("127.0.0.9", Kind::Forged),
    ("::1", Kind::Ahead(0)),
];

/// Servers that end when this is dropped, all of them on one port.
struct Servers {
    port: u16,
    threads: Vec<(UdpSocket, JoinHandle<()>)>,
}

impl Servers {
    fn start() -> Servers {
        loop {
            let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let bind = |(host, kind): (&str, Kind)| {
                let host: IpAddr = host.parse().unwrap();
                // A host without IPv6 has none of its servers.
                match UdpSocket::bind((host, port)) {
                    Err(_) if host.is_ipv6() => Some(None),
                    bound => bound.ok().map(|socket| Some((socket, kind))),
                }
            };
            let bound: Option<Vec<_>> = KINDS.into_iter().map(bind).collect();
            // Else somebody else has the port at one of the addresses.
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
        self.threads.len() == KINDS.len()
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

/// Answers until an empty packet comes.
fn serve(socket: &UdpSocket, kind: Kind) {
    let mut question = [0; 100];
    loop {
        let (size, client) = socket.recv_from(&mut question).unwrap();
        match (size, kind) {
            (0, _) => return,
            (48, Kind::Silent) => continue,
            (48, _) => assert_eq!(question[0] & 7, 3),
            _ => panic!("a question of {size} bytes"),
        }
        let ahead = if let Kind::Ahead(seconds) = kind { seconds } else { 0 };
        let nanos = SystemClock.now().as_nanosecond() + EPOCH_NANOS + ahead * 1_000_000_000;
        let mut stamp = ((nanos << 32) / 1_000_000_000).to_be_bytes();
        // No fraction is nothing by chance.
        stamp[15] |= 1;
        let mut answer = [0; 48];
        answer[0] = if matches!(kind, Kind::Unsynchronised) { 0xe4 } else { 0x24 };
        answer[1] = 1;
        answer[24..32].copy_from_slice(&question[40..48]);
        answer[40..].copy_from_slice(&stamp[8..]);
        if matches!(kind, Kind::WholeSeconds) {
            answer[44..].fill(0);
        }
        if matches!(kind, Kind::Forged) {
            let mut forged = answer;
            forged[24] ^= 1;
            forged[40] ^= 0x40;
            socket.send_to(&forged, client).unwrap();
        }
        let answer = if matches!(kind, Kind::Short) { &answer[..10] } else { &answer[..] };
        socket.send_to(answer, client).unwrap();
    }
}

fn run_with(parameters: &Value, sources: &Sources<'_>) -> Value {
    let parameters: Box<RawValue> = serde_json::from_str(&parameters.to_string()).unwrap();
    let result = run(&parameters, &SystemClock, sources).unwrap();
    serde_json::to_value(result).unwrap()
}

/// Runs the module with a configuration that names `hosts`.
fn ask(parameters: &Value, port: u16, hosts: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("ntp.conf");
    let lines = hosts.iter().map(|host| format!("server {host}\n"));
    std::fs::write(&conf, lines.collect::<String>()).unwrap();
    let patience = Duration::from_millis(500);
    run_with(parameters, &Sources { conf: &conf, backups: &[], port, patience })
}

fn seconds(text: &str) -> i64 {
    let nanos = duration::parse(text).unwrap().as_nanos();
    i64::try_from((nanos + nanos.signum() * 500_000_000) / 1_000_000_000).unwrap()
}

/// Takes out what differs from run to run.
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
            let (told, by) = drift.as_str().unwrap().rsplit_once(' ').unwrap();
            let by = seconds(by);
            // Which side of right a clock is on that is right is chance.
            let told = if by == 0 { told.replace("behind", "ahead of") } else { told.to_owned() };
            *drift = json!(format!("{told} {by}s"));
        }
    }
    if let Some(took) = result["statistics"].get_mut("exectime") {
        seconds(took.take().as_str().unwrap());
    }
    let asked = result["statistics"].get_mut("ntpstats").and_then(Value::as_array_mut);
    for host in asked.into_iter().flatten() {
        time(&mut host["time"]);
        if host["reachable"] == true {
            host["drift"] = json!(seconds(host["drift"].as_str().unwrap()));
            host["latency"] = json!(seconds(host["latency"].as_str().unwrap()));
        }
    }
    result
}

/// Turns what the original answers into what is sane.
fn mend(case: &str, expected: &mut Value) {
    match case {
        "drift-negative" => {
            *expected = json!({"foundanything": false, "success": false, "elements": null,
                "statistics": null, "errors": ["the drift must not be negative, got -5s"]});
        }
        // A missing configuration is no failure.
        "no-conf-backup-answers" => {
            expected["success"] = json!(true);
            expected["errors"] = Value::Null;
        }
        // Nothing is known of a clock that nothing was compared with.
        "no-conf-nothing-reachable" => {
            expected["elements"].as_object_mut().unwrap().remove("iswithindrift");
            let hosts = expected["statistics"]["ntpstats"].as_array().unwrap();
            let error = |host: &Value| {
                let host = host["host"].as_str().unwrap();
                json!(format!(
                    "no time from ntp host {host}: cannot ask {host}:PORT: Connection refused (os error 111)"
                ))
            };
            expected["errors"] = hosts.iter().map(error).collect();
        }
        _ => {}
    }
}

#[test]
fn every_recording_is_answered_alike() {
    let servers = Servers::start();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/modules/timedrift");
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let case =
            serde_json::from_str::<Value>(&text).unwrap()["case"].as_str().unwrap().to_owned();
        // What has a name beyond this host has an address on it here.
        let closed = text.replace(
            "time.nist.gov",
            if case.ends_with("answers") { "127.0.0.1" } else { "127.0.0.8" },
        );
        let text = (0..4).fold(closed, |text, n| {
            text.replace(&format!("{n}.pool.ntp.org"), &format!("127.0.0.1{n}"))
        });
        let recording: Value = serde_json::from_str(&text).unwrap();
        let mut expected = recording["results"][0].clone();
        mend(&case, &mut expected);
        let asked = recording["results"][0]["statistics"]["ntpstats"].as_array();
        let hosts: Vec<&str> =
            asked.into_iter().flatten().map(|host| host["host"].as_str().unwrap()).collect();
        let found = if case.starts_with("no-conf") {
            let (conf, patience) = (PathBuf::from("/nosuch/ntp.conf"), Duration::from_secs(1));
            let sources = Sources { conf: &conf, backups: &hosts, port: servers.port, patience };
            run_with(&recording["parameters"], &sources)
        } else {
            ask(&recording["parameters"], servers.port, &hosts)
        };
        let found = found.to_string().replace(&format!(":{}:", servers.port), ":PORT:");
        let found = serde_json::from_str(&found).unwrap();
        assert_eq!(comparable(found), comparable(expected), "{case}");
        replayed += 1;
    }
    assert_eq!(replayed, 17);
}

#[test]
fn a_server_that_cannot_be_believed_is_passed_over() {
    let servers = Servers::start();
    // No resolver is asked for a name with a NUL.
    let hosts = ["127.0.0.4", "127.0.0.6", "127.0.0.7", "nosuch\0name", "127.0.0.9"];
    let result = ask(&json!({"drift": "5s"}), servers.port, &hosts);
    let asked = result["statistics"]["ntpstats"].as_array().unwrap();
    let reached: Vec<bool> = asked.iter().map(|host| host["reachable"] == true).collect();
    assert_eq!(reached, [false, false, false, false, true]);
    assert_eq!(result["elements"]["iswithindrift"], true);
    assert_eq!(result["errors"], Value::Null);
    let result = ask(&json!({"drift": "5s"}), servers.port, &hosts[..4]);
    assert_eq!((&result["success"], &result["foundanything"]), (&json!(false), &json!(false)));
    let errors: Vec<&str> =
        result["errors"].as_array().unwrap().iter().map(|error| error.as_str().unwrap()).collect();
    assert!(errors[0].ends_with(" in time"), "{errors:?}");
    assert!(errors[1].ends_with("the server is not synchronised"), "{errors:?}");
    assert!(errors[2].ends_with("it has 10 bytes, not 48"), "{errors:?}");
    assert!(errors[3].contains("cannot resolve its name"), "{errors:?}");
}

#[test]
fn ipv6_literals_are_asked_with_and_without_brackets() {
    let servers = Servers::start();
    if !servers.has_ipv6() {
        crate::testing::skip("this host has no IPv6");
        return;
    }
    for host in ["::1", "[::1]"] {
        let result = ask(&json!({"drift": "5s"}), servers.port, &[host]);
        assert_eq!(result["statistics"]["ntpstats"][0]["reachable"], true, "{host}");
        assert_eq!(result["statistics"]["ntpstats"][0]["host"], host);
    }
}

#[test]
fn times_are_written_as_by_go() {
    let written =
        |text: &str, zone: &str| written_in(text.parse().unwrap(), TimeZone::get(zone).unwrap());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/go-forms.json");
    let forms: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for vector in forms["time"].as_array().unwrap() {
        let text = vector["rfc3339nano"].as_str().unwrap();
        assert_eq!(written(text, "UTC"), text);
    }
    assert_eq!(written("2020-07-02T03:04:05.5Z", "Europe/Berlin"), "2020-07-02T05:04:05.5+02:00");
}
