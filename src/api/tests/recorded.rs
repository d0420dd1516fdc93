//! Tests of the client with every recorded response of the real API.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{fetch, outcome, search, settable_server, signature, signatures};
use crate::api::testing::{Exchange, recorded};
use crate::api::{Api, ApiError, Found, Scope};
use crate::names::ActionId;

/// The expected interpretation of each refusal, by the beginning of the recording's name. The first
/// match counts.
const REFUSALS: [(&str, &str); 17] = [
    ("03-invalid-sig-unknown-key", "BackOff"),
    ("03-invalid-", "Invalid"),
    // The action was inserted before its second signature was refused.
    ("03-sig-duplicated", "unknown, Request"),
    ("04-", "Invalid"),
    ("05-expired-action", "DateAnew"),
    ("06-create-double-slash", "unknown, Api"),
    ("06-create-no-slash", "BackOffAll"),
    ("07-auth-create-", "BackOffAll"),
    ("15-noauth-up-dashboard", "unknown, Request"),
    ("15-pgdown-auth-create", "BackOffAll"),
    ("15-pgdown-noauth-create", "unknown, Request"),
    ("16-", "Invalid"),
    ("fail-401-retry", "BackOffAll"),
    ("runner-failures.json[2]", "Invalid"),
    ("runner-failures.json[11]", "Invalid"),
    ("runner-failures.json[37]", "Invalid"),
    ("runner-failures.json", "DateAnew"),
];

fn body(exchange: &Exchange) -> Value {
    serde_json::from_str(&exchange.body).unwrap_or_default()
}

/// Returns the values with a name in a response.
fn values(exchange: &Exchange, name: &str) -> Vec<Value> {
    let body = body(exchange);
    let items = body["collection"]["items"].as_array().cloned().unwrap_or_default();
    let data = items.iter().flat_map(|item| item["data"].as_array().cloned().unwrap_or_default());
    data.filter(|entry| entry["name"] == name).map(|entry| entry["value"].clone()).collect()
}

fn message(exchange: &Exchange) -> String {
    body(exchange)["collection"]["error"]["message"].as_str().unwrap_or_default().to_owned()
}

/// Returns whether an error contains the status of a response and the beginning of its message.
fn shows(error: &ApiError, exchange: &Exchange) -> bool {
    let text = error.to_string();
    let message: String = message(exchange).chars().take(60).collect();
    text.contains(&exchange.status.to_string()) && text.contains(&message)
}

#[test]
fn every_response_to_a_post_is_interpreted() {
    let (_server, setter, client) = settable_server();
    let mut judged = 0;
    let posts = recorded("").into_iter().filter(|exchange| exchange.method == "POST");
    for exchange in posts.filter(|exchange| exchange.target.contains("action/create")) {
        setter.set(exchange.reply());
        let posted = exchange.posted().unwrap_or_default();
        let got = outcome(&client.post(&posted, &signatures(&posted)));
        let wanted = if exchange.status == 202 {
            let action = body(&exchange)["collection"]["items"][0]["data"][0]["value"].clone();
            format!("accepted {}", action["id"])
        } else {
            let row = REFUSALS.iter().find(|(name, _)| exchange.name.starts_with(name));
            row.unwrap_or_else(|| panic!("{} is not in the table", exchange.name)).1.to_owned()
        };
        assert_eq!(got, wanted, "{}", exchange.name);
        judged += 1;
    }
    assert!(judged >= 118, "{judged}");
}

#[test]
fn every_search_for_commands_is_processed() {
    let (_server, setter, client) = settable_server();
    let mut seen = 0;
    for exchange in recorded("").iter().filter(|exchange| exchange.is_about("GET", "search")) {
        let query = exchange.query();
        let field = |name| query.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        if field("type").is_none_or(|kind| kind != "command") {
            continue;
        }
        setter.set(exchange.reply());
        let (commands, page) = fetch(&client, 1, 0, 250);
        seen += 1;
        let wanted = values(exchange, "command");
        match page {
            Ok(page) => {
                assert!(exchange.status == 200 || message(exchange) == "no results found");
                let parsed: Vec<Value> =
                    commands.iter().map(|raw| serde_json::from_str(raw).unwrap()).collect();
                assert_eq!(parsed, wanted, "{}", exchange.name);
                assert!(commands.iter().all(|raw| exchange.body.contains(raw)), "byte for byte");
                assert_eq!(page.items, u64::try_from(wanted.len()).unwrap());
                let first = wanted.first().map(|command| &command["action"]["counters"]["sent"]);
                assert_eq!(page.sent, first.and_then(Value::as_u64), "{}", exchange.name);
            }
            // The API answers a limit that is not a number with 200 and an empty body.
            Err(error) if exchange.status == 200 => {
                assert!(exchange.body.is_empty(), "{}: {error}", exchange.name);
            }
            Err(error) => assert!(shows(&error, exchange), "{}: {error}", exchange.name),
        }
    }
    assert!(seen >= 140, "{seen}");
}

#[test]
fn every_action_query_is_processed() {
    let (_server, setter, client) = settable_server();
    let (mut seen, mut counted) = (0, 0);
    for exchange in recorded("").iter().filter(|exchange| exchange.is_about("GET", "action")) {
        setter.set(exchange.reply());
        let wanted = values(exchange, "action").pop().unwrap_or_default();
        let id = ActionId(wanted["id"].as_u64().unwrap_or(1));
        seen += 1;
        match client.action(id) {
            Ok(Some(seen)) => {
                assert_eq!(seen.status, wanted["status"].as_str().unwrap(), "{}", exchange.name);
                assert_eq!(seen.is_completed(), wanted["status"] == "completed");
                assert_eq!(seen.sent, wanted["counters"]["sent"].as_u64().unwrap_or_default());
                counted += seen.sent;
            }
            Ok(None) => assert_eq!(exchange.status, 404, "{}", exchange.name),
            Err(error) => assert!(shows(&error, exchange), "{}: {error}", exchange.name),
        }
    }
    assert!(seen >= 50 && counted > 0, "{seen} {counted}");
}

#[test]
fn actions_are_found_by_each_of_their_signatures() {
    let (_server, setter, client) = settable_server();
    let mut found = 0;
    for exchange in recorded("10-search-action").iter().filter(|exchange| exchange.status == 200) {
        setter.set(exchange.reply());
        let none = BTreeSet::new();
        for action in values(exchange, "action") {
            let ours = signatures(&action.to_string());
            let id = ActionId(action["id"].as_u64().unwrap());
            let adopted = client.find(&search("x", &ours, &none)).unwrap();
            assert!(matches!(adopted, Found::Action { id: adopted, .. } if adopted == id));
            let taken = BTreeSet::from([id]);
            let adopted = client.find(&search("x", &ours, &taken)).unwrap();
            assert!(matches!(adopted, Found::None), "another record holds it");
            found += 1;
        }
        let others = [signature("other=")];
        let adopted = client.find(&search("x", &others, &none)).unwrap();
        assert!(matches!(adopted, Found::None), "{}", exchange.name);
    }
    assert!(found >= 10, "{found}");
}

#[test]
fn responses_to_other_searches_contain_no_action() {
    let (_server, setter, client) = settable_server();
    for exchange in recorded("").iter().filter(|exchange| exchange.is_about("GET", "search")) {
        setter.set(exchange.reply());
        let (ours, none) = ([signature("other=")], BTreeSet::new());
        match client.find(&search("x", &ours, &none)) {
            Ok(Found::None) => {
                assert!(exchange.status == 200 || message(exchange) == "no results found");
            }
            Ok(other) => panic!("{}: {other:?}", exchange.name),
            Err(error) if exchange.status == 200 => assert!(exchange.body.is_empty(), "{error}"),
            Err(error) => {
                assert!(shows(&error, exchange), "{}: {error}", exchange.name);
                let wanted = if exchange.status == 401 { Scope::Api } else { Scope::Request };
                assert_eq!(error.scope(), wanted, "{}", exchange.name);
            }
        }
    }
}

#[test]
fn every_dashboard_is_parsed() {
    let (_server, setter, client) = settable_server();
    for exchange in recorded("").iter().filter(|exchange| exchange.is_about("GET", "dashboard")) {
        setter.set(exchange.reply());
        match client.dashboard() {
            Ok(dashboard) => {
                let wanted = values(exchange, "online agents").pop().unwrap();
                assert_eq!(dashboard.agents_online, wanted.as_u64());
            }
            Err(error) => assert!(shows(&error, exchange), "{}: {error}", exchange.name),
        }
    }
}
