//! The module in a network for tests, if one can be created, and on the loopback.

#![expect(clippy::disallowed_methods, reason = "tests change the settings of their own network")]

use std::net::{TcpListener, UdpSocket};

use serde_json::{Value, json};

use super::super::namespace::Network;
use super::super::testing::{self, reword};
use super::*;

fn run_with(parameters: &Value) -> Value {
    let parameters: Box<RawValue> = serde_json::from_str(&parameters.to_string()).unwrap();
    serde_json::to_value(run(&parameters).unwrap()).unwrap()
}

fn recordings() -> Vec<(String, Value)> {
    let mut recordings = testing::recordings("ping");
    for (_, recording) in &mut recordings {
        let text = recording.to_string();
        // A name with a NUL is invalid, so no resolver is queried.
        let text = text.replace("no-such-host.invalid", "no-such-host\\u0000");
        *recording = serde_json::from_str(&text).unwrap();
    }
    recordings
}

/// Replaces each latency, which differs between runs, by the word "ms", and removes the reason of
/// the resolver.
fn comparable(mut result: Value) -> Value {
    for error in result["errors"].as_array_mut().into_iter().flatten() {
        if let Some((text, _)) = error.as_str().unwrap().split_once("\": ")
            && text.starts_with("cannot resolve")
        {
            *error = json!(format!("{text}\""));
        }
    }
    let latencies = result["elements"].get_mut("latencies").and_then(Value::as_array_mut);
    for latency in latencies.into_iter().flatten() {
        if latency.as_f64().is_some_and(|ms| ms > 0.0 && ms < 5000.0) {
            *latency = json!("ms");
        }
    }
    result
}

/// Corrects a recorded result where the original has a defect, and replaces the wording of errors.
fn correct(case: &str, expected: &mut Value) {
    let pinged = |found: bool, host: &str, protocol: &str, latencies: Value| {
        json!({"foundanything": found, "success": true, "statistics": null, "errors": null,
            "elements": {"latencies": latencies, "protocol": protocol, "resolvedhost": host,
                "failures": null}})
    };
    match case {
        // A refused connection is a result like others.
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
        // The default port is 80.
        "tcp-no-port" => {
            *expected = pinged(false, "127.0.0.1:80 (127.0.0.1)", "tcp", json!([-1]));
        }
        // IPv6 addresses are in brackets before a port.
        "tcp-ipv6-literal" => {
            *expected = pinged(true, "[::1]:7002 (::1)", "tcp", json!(["ms"]));
        }
        "udp-ipv6-literal" => {
            *expected = pinged(true, "[::1]:7006 (::1)", "udp", json!(["ms"]));
        }
        _ => {}
    }
    reword("ping", case, &mut expected["errors"]);
    if let Some(failures) = expected["elements"].get_mut("failures") {
        reword("ping failures", case, failures);
    }
}

#[test]
fn results_equal_the_recordings_as_root() {
    let Some(network) = Network::new() else { return };
    // The port that was open during the recording.
    let recorded = "51664";
    let recordings = recordings();
    for (case, recording) in &recordings {
        let mut recording: Value = recording.clone();
        if case == "api-tcp-open" {
            recording =
                serde_json::from_str(&recording.to_string().replace(recorded, "7001")).unwrap();
        }
        let mut expected = recording["results"][0].clone();
        correct(case, &mut expected);
        let found = network.enter(|| run_with(&recording["parameters"]));
        assert_eq!(comparable(found), comparable(expected), "{case}");
    }
    assert_eq!(recordings.len(), 29);
}

#[test]
fn echo_sockets_are_used_if_the_system_allows_them_as_root() {
    let Some(network) = Network::new() else { return };
    network.enter(|| {
        std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647").unwrap();
        for (destination, found) in [("127.0.0.1", true), ("::1", true), ("198.51.100.7", false)] {
            let result = run_with(&json!({"destination": destination, "protocol": "icmp",
                "count": 1, "timeout": 1}));
            assert_eq!(result["foundanything"], found, "{result}");
            assert_eq!(result["elements"]["failures"], Value::Null, "{result}");
        }
    });
}

#[test]
fn invalid_parameters_are_rejected_as_in_the_recordings() {
    let mut rejected = 0;
    for (case, recording) in recordings() {
        if case.contains("err-") {
            let mut expected = recording["results"][0].clone();
            correct(&case, &mut expected);
            assert_eq!(comparable(run_with(&recording["parameters"])), expected, "{case}");
            rejected += 1;
        }
    }
    assert_eq!(rejected, 8);
}

#[test]
fn answers_refusals_and_silence_are_distinguished() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap().port();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut parameters = json!({"destination": "127.0.0.1", "protocol": "tcp",
        "destinationport": open, "count": 2, "timeout": 1});
    let result = comparable(run_with(&parameters));
    assert_eq!(result["elements"]["latencies"], json!(["ms", "ms"]));
    drop(listener);
    let result = refused(&parameters);
    assert_eq!(result["elements"]["latencies"], json!([-1, -1]));
    assert_eq!(result["foundanything"], false);
    parameters["protocol"] = json!("udp");
    parameters["count"] = json!(1);
    parameters["destinationport"] = json!(silent.local_addr().unwrap().port());
    let result = run_with(&parameters);
    assert_eq!(result["elements"]["latencies"], json!([9_999_999]));
    assert_eq!(result["foundanything"], true);
    let mut packet = [0; 100];
    let (size, client) = silent.recv_from(&mut packet).unwrap();
    assert_eq!(&packet[..size], PAYLOAD);
    drop(silent);
    assert!(client.ip().is_loopback());
    assert_eq!(refused(&parameters)["elements"]["latencies"], json!([-1]));
}

/// Pings a port that this test has closed, until it is closed in all processes: one that another
/// test has just forked keeps it open until it executes its program.
fn refused(parameters: &Value) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let result = run_with(parameters);
        let latencies = result["elements"]["latencies"].as_array().unwrap();
        if latencies.iter().all(|latency| *latency == -1) || begun.elapsed().as_secs() > 30 {
            return result;
        }
    }
}

#[test]
fn loopback_answers_echoes_if_the_system_allows_them() {
    let result = run_with(&json!({"destination": "127.0.0.1", "protocol": "icmp", "count": 2}));
    match result["elements"]["failures"][0].as_str() {
        None => {
            assert_eq!(comparable(result)["elements"]["latencies"], json!(["ms", "ms"]));
        }
        // Unprivileged users may have access to neither kind of socket.
        Some(failure) => {
            assert!(failure.starts_with("ping 1: cannot open socket: "), "{failure}");
            assert!(!rustix::process::geteuid().is_root());
        }
    }
}

#[test]
fn negative_timeout_expires_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let result = run_with(&json!({"destination": "127.0.0.1", "protocol": "tcp",
        "destinationport": port, "count": 1, "timeout": -1}));
    assert_eq!(result["elements"]["latencies"], json!([9_999_999]));
}
