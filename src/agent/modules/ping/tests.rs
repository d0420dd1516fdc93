//! The module over a network of its own where that can be made, and over the loopback.

#![expect(clippy::disallowed_methods, reason = "tests read files of their own")]

use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use serde_json::{Value, json};

use super::super::namespace::Network;
use super::*;

fn ask(parameters: &Value) -> Value {
    let parameters: Box<RawValue> = serde_json::from_str(&parameters.to_string()).unwrap();
    serde_json::to_value(run(&parameters).unwrap()).unwrap()
}

fn recordings() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/modules/ping");
    let read = |path| {
        let text = std::fs::read_to_string(path).unwrap();
        // No resolver is asked for a name with a NUL.
        let text = text.replace("no-such-host.invalid", "no-such-host\\u0000");
        let recording: Value = serde_json::from_str(&text).unwrap();
        (recording["case"].as_str().unwrap().to_owned(), recording)
    };
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| read(entry.unwrap().path())).collect()
}

/// Puts the word "ms" for each time, for it is another one at each run.
fn comparable(mut result: Value) -> Value {
    let latencies = result["elements"].get_mut("latencies").and_then(Value::as_array_mut);
    for latency in latencies.into_iter().flatten() {
        if latency.as_f64().is_some_and(|ms| ms > 0.0 && ms < 5000.0) {
            *latency = json!("ms");
        }
    }
    result
}

/// Turns what the original answers into what is sane.
fn mend(case: &str, expected: &mut Value) {
    let pinged = |found: bool, host: &str, protocol: &str, latencies: Value| {
        json!({"foundanything": found, "success": true, "statistics": null, "errors": null,
            "elements": {"latencies": latencies, "protocol": protocol, "resolvedhost": host,
                "failures": null}})
    };
    match case {
        // A connection that is not made is an answer like others.
        "tcp-refused" => {
            *expected = pinged(false, "127.0.0.1:9 (127.0.0.1)", "tcp", json!([-1, -1]));
        }
        "api-tcp-refused" => {
            *expected = pinged(false, "127.0.0.1:9 (127.0.0.1)", "tcp", json!([-1]));
        }
        "tcp-timeout" => {
            let host = "198.51.100.7:80 (198.51.100.7)";
            *expected = pinged(false, host, "tcp", json!([9_999_999]));
        }
        // Without a port it is 80.
        "tcp-no-port" => {
            *expected = pinged(false, "127.0.0.1:80 (127.0.0.1)", "tcp", json!([-1]));
        }
        // Addresses of IPv6 are written in brackets before a port.
        "tcp-ipv6-literal" => {
            *expected = pinged(true, "[::1]:7002 (::1)", "tcp", json!(["ms"]));
        }
        "udp-ipv6-literal" => {
            *expected = pinged(true, "[::1]:7006 (::1)", "udp", json!(["ms"]));
        }
        _ => {}
    }
}

#[test]
fn every_recording_is_answered_alike_as_root() {
    let Some(network) = Network::new() else { return };
    // It was recorded with this port open.
    let recorded = "51664";
    let recordings = recordings();
    for (case, recording) in &recordings {
        let mut recording: Value = recording.clone();
        if case == "api-tcp-open" {
            recording =
                serde_json::from_str(&recording.to_string().replace(recorded, "7001")).unwrap();
        }
        let mut expected = recording["results"][0].clone();
        mend(case, &mut expected);
        let found = network.enter(|| ask(&recording["parameters"]));
        assert_eq!(comparable(found), comparable(expected), "{case}");
    }
    assert_eq!(recordings.len(), 29);
}

#[test]
fn echoes_need_no_raw_socket_where_the_system_allows_it_as_root() {
    let Some(network) = Network::new() else { return };
    network.enter(|| {
        std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647").unwrap();
        for (destination, found) in [("127.0.0.1", true), ("::1", true), ("198.51.100.7", false)] {
            let result = ask(&json!({"destination": destination, "protocol": "icmp",
                "count": 1, "timeout": 1}));
            assert_eq!(result["foundanything"], found, "{result}");
            assert_eq!(result["elements"]["failures"], Value::Null, "{result}");
        }
    });
}

/// What of the recordings needs no network but the loopback.
#[test]
fn bad_parameters_are_refused_in_the_words_of_the_original() {
    let mut refused = 0;
    for (case, recording) in recordings() {
        if case.contains("err-") {
            assert_eq!(ask(&recording["parameters"]), recording["results"][0], "{case}");
            refused += 1;
        }
    }
    assert_eq!(refused, 8);
}

#[test]
fn a_port_answers_refuses_or_keeps_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap().port();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut parameters = json!({"destination": "127.0.0.1", "protocol": "tcp",
        "destinationport": open, "count": 2, "timeout": 1});
    let result = comparable(ask(&parameters));
    assert_eq!(result["elements"]["latencies"], json!(["ms", "ms"]));
    drop(listener);
    let result = refused(&parameters);
    assert_eq!(result["elements"]["latencies"], json!([-1, -1]));
    assert_eq!(result["foundanything"], false);
    parameters["protocol"] = json!("udp");
    parameters["count"] = json!(1);
    parameters["destinationport"] = json!(silent.local_addr().unwrap().port());
    let result = ask(&parameters);
    assert_eq!(result["elements"]["latencies"], json!([9_999_999]));
    assert_eq!(result["foundanything"], true);
    let mut packet = [0; 100];
    let (size, client) = silent.recv_from(&mut packet).unwrap();
    assert_eq!(&packet[..size], PAYLOAD);
    drop(silent);
    assert!(client.ip().is_loopback());
    assert_eq!(refused(&parameters)["elements"]["latencies"], json!([-1]));
}

/// Pings a port that was closed until it is: a process that another test has just forked
/// holds it open too, until it becomes a program.
fn refused(parameters: &Value) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let result = ask(parameters);
        let latencies = result["elements"]["latencies"].as_array().unwrap();
        if latencies.iter().all(|latency| *latency == -1) || begun.elapsed().as_secs() > 30 {
            return result;
        }
    }
}

#[test]
fn an_echo_is_answered_where_echoes_are_allowed() {
    let result = ask(&json!({"destination": "127.0.0.1", "protocol": "icmp", "count": 2}));
    match result["elements"]["failures"][0].as_str() {
        None => {
            assert_eq!(comparable(result)["elements"]["latencies"], json!(["ms", "ms"]));
        }
        // Neither of the two ways is open to everybody.
        Some(failure) => {
            let denied =
                "ping #1 failed with error: Dial failed: dial ip4:icmp 127.0.0.1: socket: ";
            assert!(failure.starts_with(denied), "{failure}");
            assert!(!rustix::process::geteuid().is_root());
        }
    }
}

#[test]
fn a_negative_timeout_is_over_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let result = ask(&json!({"destination": "127.0.0.1", "protocol": "tcp",
        "destinationport": port, "count": 1, "timeout": -1}));
    assert_eq!(result["elements"]["latencies"], json!([9_999_999]));
}
