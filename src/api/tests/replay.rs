//! Whole recordings played again: the client asks what the original asked, in the same order.
//!
//! An exchange is chosen by method, path and query, with times and ids set
//! aside, and forms are compared without signatures and dates: first come,
//! first served. A request that has no exchange fails the test.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{client_with, fetch, outcome, settings, signatures};
use crate::api::testing::{Exchange, Reply, Request, Server, pairs, recorded};
use crate::api::{Api, Client, Credentials};
use crate::names::ActionId;

/// What of a query changes from run to run.
const CHANGING: [&str; 3] = ["actionid", "after", "before"];

/// What identifies a request, whenever and for whichever action it is made.
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

/// Returns a server that plays `exchanges`, and the list of what it could not place.
fn replay(exchanges: Vec<Exchange>) -> (Server, Arc<Mutex<Vec<Request>>>) {
    let misplaced = Arc::new(Mutex::new(Vec::new()));
    let (mut left, missed) = (exchanges, Arc::clone(&misplaced));
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
    (server, misplaced)
}

/// Asks what a recorded request asked, if the client ever asks that; says what came of it.
fn ask(client: &Client, exchange: &Exchange) -> Option<String> {
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

/// Plays a recording; returns what came of each request.
fn play(name: &str, credentials: Credentials) -> Vec<String> {
    let exchanges = recorded(name);
    let (server, misplaced) = replay(exchanges.clone());
    let client = client_with(super::HttpSettings { credentials, ..settings(&server.url()) });
    let outcomes = exchanges.iter().filter_map(|exchange| ask(&client, exchange)).collect();
    assert!(misplaced.lock().unwrap().is_empty(), "{:?}", misplaced.lock().unwrap());
    outcomes
}

fn signer() -> Credentials {
    settings("").credentials
}

#[test]
fn a_normal_run() {
    let outcomes = play("runner-run", signer());
    assert_eq!(outcomes[..3], ["accepted 28052712325147", "1", "0"]);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.starts_with("accepted")).count(), 4);
}

#[test]
fn an_api_key() {
    let key = Credentials::ApiKey("key".to_owned().into());
    assert!(play("runner-apikey", key).iter().all(|outcome| outcome.starts_with("accepted")));
}

#[test]
fn failures_among_successes() {
    let outcomes = play("runner-failures", signer());
    let count = |wanted: &str| outcomes.iter().filter(|outcome| *outcome == wanted).count();
    assert_eq!((count("DateAnew"), count("Invalid")), (3, 3));
}

#[test]
fn a_refused_token_is_tried_once_more() {
    let exchanges = recorded("fail-401-retry");
    let (server, misplaced) = replay(exchanges.clone());
    let posted = exchanges[0].posted().unwrap();
    let client = client_with(settings(&server.url()));
    assert_eq!(outcome(&client.post(&posted, &signatures(&posted))), "BackOffAll");
    assert!(misplaced.lock().unwrap().is_empty());
    let requests = server.requests();
    let token = |request: &Request| request.header("x-pgpauthorization").unwrap().to_owned();
    assert_eq!(requests.len(), 2);
    assert_ne!(token(&requests[0]), token(&requests[1]));
    assert_eq!(requests[0].body, requests[1].body);
}

#[test]
fn the_other_recordings() {
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
        let outcomes = play(name, signer());
        assert!(!outcomes.is_empty(), "{name}");
        assert!(!outcomes.iter().any(|outcome| outcome.starts_with("unknown")), "{name}");
    }
}
