//! Things that are asked for by their number. No recording has one, but the original makes each of the same
//! row as an entry of a search, which was recorded, and leaves out other fields. So what is expected
//! is a recorded entry with these differences, field by field; any other difference fails.

use serde_json::{Value, json};

use super::recording::Exchange;
use super::replay::Replay;
use crate::data::testing::{DatabaseKind as Kind, on_each_database};
use crate::data::{AgentRow, Id};

/// How many recorded searches are gone through.
const SEARCHES: usize = 12;
/// A time that is not known, as the platform writes it.
const ZERO: &str = "0001-01-01T00:00:00Z";

on_each_database!(
    a_command_by_itself_is_as_the_original_shows_it,
    an_agent_by_itself_is_as_the_original_shows_it,
    an_investigator_by_itself_is_as_the_original_shows_it
);

/// Returns the recorded searches of a type that found something, with their places.
fn searches<'a>(exchanges: &'a [Exchange], kind: &str) -> Vec<(usize, &'a Exchange)> {
    let wanted = format!("type={kind}&");
    let found = |exchange: &Exchange| exchange.status == 200 && exchange.path.contains(&wanted);
    let all = exchanges.iter().enumerate().filter(|(_, exchange)| found(exchange));
    all.take(SEARCHES).collect()
}

/// Asks for a thing by its number, with the token of a recorded request; returns the entry.
fn alone(replay: &Replay, exchange: &Exchange, kind: &str, id: i64) -> Value {
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

fn a_command_by_itself_is_as_the_original_shows_it(kind: Kind) {
    let exchanges = Exchange::all();
    let mut replay = Replay::new(kind, &exchanges);
    let mut compared = 0;
    for (place, exchange) in searches(&exchanges, "command") {
        replay.world.seed(place, exchange, &mut replay.rig.ground);
        for (_, value) in exchange.values().iter().filter(|(name, _)| name == "command") {
            let mut command: Value = serde_json::from_str(value.get()).unwrap();
            let (id, action) = (command["id"].as_i64(), command["action"]["id"].as_i64());
            let (id, action) = (id.unwrap(), action.unwrap());
            // Its action comes without counters and signers.
            command["action"]["counters"] = json!({});
            command["action"].as_object_mut().unwrap().remove("investigators");
            // Its agent comes with other columns.
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
            assert_eq!(alone(&replay, exchange, "command", id), expected, "{}", exchange.label);
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
}

fn an_agent_by_itself_is_as_the_original_shows_it(kind: Kind) {
    let exchanges = Exchange::all();
    let mut replay = Replay::new(kind, &exchanges);
    let mut compared = 0;
    for (place, exchange) in searches(&exchanges, "agent") {
        replay.world.seed(place, exchange, &mut replay.rig.ground);
        for (_, value) in exchange.values().iter().filter(|(name, _)| name == "agent") {
            let mut agent: Value = serde_json::from_str(value.get()).unwrap();
            let id = agent["id"].as_i64().unwrap();
            // When it was destroyed is not told, and when it was refreshed is, by a search not always.
            agent["destructiontime"] = ZERO.into();
            let refreshed = agent_of(&replay, id).refreshtime;
            agent["refreshts"] = crate::go::time::Time::from(refreshed).to_string().into();
            assert_ne!(agent["refreshts"], ZERO);
            let expected =
                json!({"href": link("agent", id), "data": [{"name": "agent", "value": agent}]});
            assert_eq!(alone(&replay, exchange, "agent", id), expected, "{}", exchange.label);
            compared += 1;
        }
    }
    assert!(compared > 1, "{compared}");
}

fn an_investigator_by_itself_is_as_the_original_shows_it(kind: Kind) {
    let exchanges = Exchange::all();
    let mut replay = Replay::new(kind, &exchanges);
    replay.rig.ground.run("update investigators set permissions = 65599 where id = 1;");
    let exchange = Exchange::of("08-action-found");
    let action = exchange.values().into_iter().find(|(name, _)| name == "action").unwrap().1;
    let action: Value = serde_json::from_str(action.get()).unwrap();
    let mut investigator = action["investigators"][0].clone();
    assert_eq!(investigator["id"], 1);
    // An action comes with its signers, without their keys.
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
    assert_eq!(alone(&replay, &exchange, "investigator", 1), expected);
}
