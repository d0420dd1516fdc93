//! Requests that any client can repeat: they do not fill the log.

use std::time::Duration;

use super::*;

/// The number of times that a client repeats a request.
const TIMES: usize = 50;

/// Sends a request many times, and again after a minute. Returns what was logged.
fn repeat(rig: &Rig, exchange: &Exchange, status: u16) -> Vec<String> {
    rig.clock.set(exchange.time);
    for _ in 0..TIMES {
        let answer = rig.send(exchange.request(), &Body::Whole(exchange.body.clone().into_bytes()));
        assert_eq!(answer.status, status, "{answer:?}");
    }
    rig.clock.pass(Duration::from_secs(60));
    rig.send(exchange.request(), &Body::Whole(exchange.body.clone().into_bytes()));
    rig.logged.take()
}

/// Checks that an event was logged when it first occurred, and a minute later with the number of
/// those in between.
fn assert_logged_twice(lines: &[String], event: &str) {
    let [first, second] = lines else { panic!("{lines:?}") };
    assert!(first.starts_with(event) && !first.contains("suppressed"), "{first}");
    let suppressed = format!("suppressed: {}", TIMES - 1);
    assert!(second.starts_with(event) && second.ends_with(&suppressed), "{second}");
    assert!(first.len() < 2000, "{} bytes", first.len());
}

#[test]
fn heartbeats_with_the_queue_of_the_local_agent_are_logged_at_intervals() {
    let rig = Rig::new();
    let exchange = Exchange::of("00-agent-heartbeat-post");
    let mut body: serde_json::Value = serde_json::from_str(&exchange.body).unwrap();
    body["queueLoc"] = rig.api.local_queue.as_str().into();
    let lines = repeat(&rig, &Exchange { body: body.to_string(), ..exchange }, 200);
    assert_logged_twice(&lines, "ignored heartbeat with the queue of this host's agent, peer: ");
}

#[test]
fn failures_without_authentication_are_logged_at_intervals_and_shortened() {
    let mut rig = Rig::new();
    rig.database.run("alter table investigators rename to away;");
    let path = format!("/api/v1/publickey/{}", "x".repeat(30_000));
    let exchange = Exchange { path, ..Exchange::of("01-publickey") };
    let lines = repeat(&rig, &exchange, 500);
    assert_logged_twice(&lines, "request failed, path: /api/v1/publickey/xxx");
}

#[test]
fn tokens_that_cannot_be_checked_are_logged_at_intervals() {
    let rig = Rig::new();
    let home = rig.folder.path().join("gnupg");
    std::fs::rename(&home, rig.folder.path().join("away")).unwrap();
    let mut lines = repeat(&rig, &Exchange::of("10-search-investigator"), 503);
    // The key that cannot be imported is logged once.
    lines.retain(|line| !line.starts_with("cannot use key, "));
    assert_logged_twice(&lines, "request failed, path: /api/v1/search, error: ");
}

#[test]
fn api_keys_that_cannot_be_looked_up_are_logged_at_intervals() {
    let mut rig = Rig::new();
    rig.database.run("alter table investigators rename to away;");
    let key = ("x-migapikey".to_owned(), "0123456789abcdefghijABCDEFGHIJKL".to_owned());
    let exchange = Exchange { headers: vec![key], ..Exchange::of("10-search-investigator") };
    let lines = repeat(&rig, &exchange, 401);
    assert_logged_twice(&lines, "cannot look up API key, error: ");
}
