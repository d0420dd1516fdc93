//! Replays whole recordings: the client sends the requests of the original, in the same order.
//!
//! An exchange is selected by method, path and query, ignoring times and ids; forms are compared
//! without signatures and dates. Of several matches, the first is used. A request without a
//! matching exchange fails the test.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{client_with, fetch, outcome, settings, signatures};
use crate::api::testing::{Exchange, ReceivedRequest, Reply, Server, pairs, recorded};
use crate::api::{Api, Client, Credentials};
use crate::names::ActionId;

/// Query parameters that differ between runs.
const CHANGING: [&str; 3] = ["actionid", "after", "before"];

/// Returns what identifies a request, independent of its time and its action.
fn key(method: &str, target: &str, form: &str) -> (String, String, Vec<(String, String)>, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut query = pairs(query);
    query.retain(|(name, _)| !CHANGING.contains(&name.as_str()));
    query.sort();
    let action = pairs(form).into_iter().find(|(name, _)| name == "action");
    let mut action: Value =
        action.and_then(|(_, json)| serde_json::from_str(&json).ok()).unwrap_or_default();
    if let Value::Object(fields) = &mut action {
        fields.retain(|name, _| !["validfrom", "expireafter", "pgpsignatures"].contains(&&**name));
    }
    (method.to_owned(), path.to_owned(), query, action)
}

/// Returns a server that replays `exchanges`, and the list of requests without a matching exchange.
fn replay(exchanges: Vec<Exchange>) -> (Server, Arc<Mutex<Vec<ReceivedRequest>>>) {
    let unmatched = Arc::new(Mutex::new(Vec::new()));
    let (mut left, missed) = (exchanges, Arc::clone(&unmatched));
    let server = Server::start(move |request| {
        let wanted = key(&request.method, &request.target, &request.body);
        let place = left
            .iter()
            .position(|exchange| key(&exchange.method, &exchange.target, &exchange.form) == wanted);
        match place {
            Some(place) => left.remove(place).reply(),
            None => {
                missed.lock().unwrap().push(request.clone());
                Reply::json(501, "{}")
            }
        }
    });
    (server, unmatched)
}

/// Repeats a recorded request if it is one that the client sends; returns the result.
fn repeat(client: &Client, exchange: &Exchange) -> Option<String> {
    let query = exchange.query();
    let field = |name| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let number = |name| field(name).and_then(|text| text.parse::<u64>().ok());
    if exchange.is_about("POST", "action/create/") {
        let posted = exchange.posted()?;
        return Some(outcome(&client.post(&posted, &signatures(&posted))));
    }
    if exchange.is_about("GET", "action") {
        let seen = client.action(ActionId(number("actionid")?));
        return Some(seen.unwrap().map_or("none".to_owned(), |seen| seen.status));
    }
    let is_page = exchange.is_about("GET", "search") && field("type") == Some("command");
    if !is_page || query.len() != 4 {
        return None;
    }
    let limit = u32::try_from(number("limit")?).ok()?;
    let (_, page) = fetch(client, number("actionid")?, number("offset")?, limit);
    Some(page.map_or_else(|error| format!("{:?}", error.scope()), |page| page.items.to_string()))
}

/// Replays a recording; returns the result of each request.
fn replay_recording(name: &str, credentials: Credentials) -> Vec<String> {
    let exchanges = recorded(name);
    let (server, unmatched) = replay(exchanges.clone());
    let client = client_with(super::HttpSettings { credentials, ..settings(&server.url()) });
    let outcomes = exchanges.iter().filter_map(|exchange| repeat(&client, exchange)).collect();
    assert!(unmatched.lock().unwrap().is_empty(), "{:?}", unmatched.lock().unwrap());
    outcomes
}

fn signer() -> Credentials {
    settings("").credentials
}

#[test]
fn normal_run_is_replayed() {
    let outcomes = replay_recording("runner-run", signer());
    assert_eq!(outcomes[..3], ["accepted 28052712325147", "1", "0"]);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.starts_with("accepted")).count(), 4);
}

#[test]
fn api_key_run_is_replayed() {
    let key = Credentials::ApiKey("key".to_owned().into());
    assert!(
        replay_recording("runner-apikey", key)
            .iter()
            .all(|outcome| outcome.starts_with("accepted"))
    );
}

#[test]
fn run_with_failures_is_replayed() {
    let outcomes = replay_recording("runner-failures", signer());
    let count = |wanted: &str| outcomes.iter().filter(|outcome| *outcome == wanted).count();
    assert_eq!((count("DateAnew"), count("Invalid")), (3, 3));
}

#[test]
fn refused_token_is_renewed_once() {
    let exchanges = recorded("fail-401-retry");
    let (server, unmatched) = replay(exchanges.clone());
    let posted = exchanges[0].posted().unwrap();
    let client = client_with(settings(&server.url()));
    assert_eq!(outcome(&client.post(&posted, &signatures(&posted))), "BackOffAll");
    assert!(unmatched.lock().unwrap().is_empty());
    let requests = server.requests();
    let token =
        |request: &ReceivedRequest| request.header("x-pgpauthorization").unwrap().to_owned();
    assert_eq!(requests.len(), 2);
    assert_ne!(token(&requests[0]), token(&requests[1]));
    assert_eq!(requests[0].body, requests[1].body);
}

#[test]
fn other_recordings_are_replayed() {
    for name in [
        "02-",
        "09-multi-agent-action-poll",
        "12-",
        "13-",
        "14-agent-goes-offline-action",
        "fail-fetchdown",
        "fail-firedown",
        "fail-flood",
        "fail-kill9",
        "fail-resume",
        "runner-compressed",
    ] {
        let outcomes = replay_recording(name, signer());
        assert!(!outcomes.is_empty(), "{name}");
        assert!(!outcomes.iter().any(|outcome| outcome.starts_with("unknown")), "{name}");
    }
}
