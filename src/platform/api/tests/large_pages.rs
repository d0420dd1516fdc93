//! Searches whose results are too large for one response.

use serde_json::Value;

use super::*;
use crate::data::tests::{action, agent};

/// Returns the values of a page of results with this name, and the offset of the next page.
fn page(rig: &Rig, query: &str, name: &str) -> (Vec<Value>, Option<String>) {
    let path = format!("/api/v1/search?{query}");
    let exchange = Exchange { path, ..Exchange::of("10-search-investigator") };
    let answer = rig.answer(&exchange);
    assert_eq!(answer.status, 200, "{:.300}", answer.body);
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    let items = answer["collection"]["items"].as_array().unwrap();
    let (mut values, mut next) = (Vec::new(), None);
    for datum in items.iter().map(|item| &item["data"][0]) {
        if datum["name"] == "pagination" {
            let link = datum["value"]["next"].as_str().unwrap();
            next = link.rsplit_once("&offset=").map(|(_, offset)| offset.to_owned());
        } else if datum["name"] == name {
            values.push(datum["value"].clone());
        }
    }
    (values, next)
}

fn ids(values: &[Value]) -> Vec<i64> {
    values.iter().map(|value| value["id"].as_i64().unwrap()).collect()
}

#[test]
fn page_of_commands_ends_after_64_mib() {
    let rig = Rig::new();
    let store = &rig.api.store;
    store.upsert_agent(&agent(5)).unwrap();
    store.insert_action(&action(10), &[]).unwrap();
    let commands = [20, 21, 22, 23].map(|number| (Id::new(number), Id::new(5)));
    // Each character that has a meaning in HTML is sent as six.
    let results = format!("[\"{}\"]", "<".repeat(6 << 20));
    store.begin_action(Id::new(10), &commands, &results, rig.clock.now()).unwrap();
    let (first, _) = page(&rig, "type=command&limit=10", "command");
    assert_eq!(ids(&first), [23, 22]);
    let (second, next) = page(&rig, "type=command&limit=10&offset=1", "command");
    assert_eq!((ids(&second), next.as_deref()), (vec![22, 21], Some("3")));
    let (last, next) = page(&rig, "type=command&limit=10&offset=3", "command");
    assert_eq!((ids(&last), next.as_deref()), (vec![20], Some("13")));
}

#[test]
fn page_of_actions_ends_after_64_mib() {
    let rig = Rig::new();
    for id in 1..=6 {
        let description = format!("{{\"author\":\"{}\"}}", "x".repeat(15 << 20));
        let action = crate::data::ActionRow { description, ..action(id) };
        rig.api.store.insert_action(&action, &[]).unwrap();
    }
    assert_eq!(ids(&page(&rig, "type=action&limit=10", "action").0), [6, 5, 4, 3, 2]);
    assert_eq!(ids(&page(&rig, "type=action&limit=10&offset=5", "action").0), [1]);
    assert_eq!(ids(&page(&rig, "type=action&limit=2", "action").0), [6, 5]);
}
