//! Resources that are requested by id.
//!
//! No recording contains such a request. But the original builds the response from the same row as
//! an item of a search, which was recorded, and leaves out other fields. So the expected response
//! is a recorded item with these differences, field by field. Any other difference fails the test.

use serde_json::{Value, json};

use super::recording::Exchange;
use super::replay::Replay;
use crate::data::testing::{DatabaseKind as Kind, on_each_database};
use crate::data::{AgentRow, Id};

/// Number of recorded searches that are used.
const SEARCHES: usize = 12;
/// An unknown time, as the original writes it.
const ZERO: &str = "0001-01-01T00:00:00Z";

on_each_database!(
    single_command_has_the_original_form,
    single_agent_has_the_original_form,
    single_investigator_has_the_original_form
);

/// Returns the recorded searches of a type that found something, with their indices.
fn searches<'a>(exchanges: &'a [Exchange], kind: &str) -> Vec<(usize, &'a Exchange)> {
    let wanted = format!("type={kind}&");
    let found = |exchange: &Exchange| exchange.status == 200 && exchange.path.contains(&wanted);
    let all = exchanges.iter().enumerate().filter(|(_, exchange)| found(exchange));
    all.take(SEARCHES).collect()
}

/// Requests a resource by id, with the token of a recorded request; returns the item.
fn request_by_id(replay: &Replay, exchange: &Exchange, kind: &str, id: i64) -> Value {
    let path = format!("/api/v1/{kind}?{kind}id={id}");
    let answer = replay.rig.answer(&Exchange { path, ..exchange.clone() });
    assert_eq!(answer.status, 200, "{}: {}", exchange.label, answer.body);
    let mut answer: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(answer["collection"]["items"].as_array().unwrap().len(), 1);
    answer["collection"]["items"][0].take()
}

fn link(kind: &str, id: i64) -> String {
    format!("http://127.0.0.1:51664/api/v1/{kind}?{kind}id={id}")
}

fn agent_of(replay: &Replay, id: i64) -> AgentRow {
    replay.rig.api.store.agent(Id::new(id)).unwrap().unwrap()
}

fn single_command_has_the_original_form(kind: Kind) {
    let exchanges = Exchange::all();
    let mut replay = Replay::new(kind, &exchanges);
    let mut compared = 0;
    for (index, exchange) in searches(&exchanges, "command") {
        replay.state.seed(index, exchange, &mut replay.rig.database);
        for (_, value) in exchange.values().iter().filter(|(name, _)| name == "command") {
            let mut command: Value = serde_json::from_str(value.get()).unwrap();
            let (id, action) = (command["id"].as_i64(), command["action"]["id"].as_i64());
            let (id, action) = (id.unwrap(), action.unwrap());
            // The action has no counters and signers.
            command["action"]["counters"] = json!({});
            command["action"].as_object_mut().unwrap().remove("investigators");
            // The agent has other columns.
            let row = agent_of(&replay, command["agent"]["id"].as_i64().unwrap());
            assert!(!row.queueloc.is_empty() && !row.mode.is_empty());
            command["agent"]["queueloc"] = row.queueloc.into();
            command["agent"]["mode"] = row.mode.into();
            command["agent"]["environment"] = json!({"isproxied": false, "aws": {}});
            command["agent"].as_object_mut().unwrap().remove("tags");
            let expected = json!({
                "href": link("command", id),
                "data": [{"name": "command", "value": command}],
                "links": [{"rel": "action", "href": link("action", action)}],
            });
            assert_eq!(
                request_by_id(&replay, exchange, "command", id),
                expected,
                "{}",
                exchange.label
            );
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
}

fn single_agent_has_the_original_form(kind: Kind) {
    let exchanges = Exchange::all();
    let mut replay = Replay::new(kind, &exchanges);
    let mut compared = 0;
    for (index, exchange) in searches(&exchanges, "agent") {
        replay.state.seed(index, exchange, &mut replay.rig.database);
        for (_, value) in exchange.values().iter().filter(|(name, _)| name == "agent") {
            let mut agent: Value = serde_json::from_str(value.get()).unwrap();
            let id = agent["id"].as_i64().unwrap();
            // The response contains no destruction time, and the refresh time, which a search may
            // omit.
            agent["destructiontime"] = ZERO.into();
            let refreshed = agent_of(&replay, id).refreshtime;
            agent["refreshts"] = crate::go::time::Time::from(refreshed).to_string().into();
            assert_ne!(agent["refreshts"], ZERO);
            let expected =
                json!({"href": link("agent", id), "data": [{"name": "agent", "value": agent}]});
            assert_eq!(
                request_by_id(&replay, exchange, "agent", id),
                expected,
                "{}",
                exchange.label
            );
            compared += 1;
        }
    }
    assert!(compared > 1, "{compared}");
}

fn single_investigator_has_the_original_form(kind: Kind) {
    let exchanges = Exchange::all();
    let mut replay = Replay::new(kind, &exchanges);
    replay.rig.database.run("update investigators set permissions = 65599 where id = 1;");
    let exchange = Exchange::of("08-action-found");
    let action = exchange.values().into_iter().find(|(name, _)| name == "action").unwrap().1;
    let action: Value = serde_json::from_str(action.get()).unwrap();
    let mut investigator = action["investigators"][0].clone();
    assert_eq!(investigator["id"], 1);
    // An action contains its signers without their keys.
    use base64::Engine;
    let key = Exchange::of("01-publickey").answer;
    investigator["publickey"] = base64::engine::general_purpose::STANDARD.encode(key).into();
    investigator["permissions"]["investigator"] = true.into();
    let history =
        "http://127.0.0.1:51664/api/v1/search?type=action&investigatorid=1&limit=100".to_owned();
    let expected = json!({
        "href": link("investigator", 1),
        "data": [{"name": "investigator", "value": investigator}],
        "links": [{"rel": "investigator history", "href": history}],
    });
    assert_eq!(request_by_id(&replay, &exchange, "investigator", 1), expected);
}
