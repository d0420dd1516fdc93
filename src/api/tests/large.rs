//! Tests with commands and pages beyond their limits.

use std::io::{self, Read};

use serde_json::{Value, json};

use crate::action::Command;
use crate::api::feed::WireError;
use crate::api::limit::{Limits, Meter};
use crate::api::wanted::Wanted;
use crate::api::wire::{Document, walk};

const LIMITS: Limits =
    Limits { answer_bytes_max: 1 << 20, item_bytes_max: 1 << 10, replaces_large: true };

/// Returns an item with the command of an agent whose results have `bytes` bytes.
fn item(id: u64, bytes: usize) -> String {
    let results = "\\\"]}".repeat(bytes / 4);
    format!(
        r#"{{"href":"x","data":[{{"name":"command","value":{{"id":{id},"action":{{"name":"a"}},"agent":{{"name":"agent {id}"}},"status":"success","results":[{{"elements":"{results}"}}],"starttime":"t"}}}}]}}"#
    )
}

fn page(items: &[String]) -> String {
    format!(r#"{{"collection":{{"items":[{}]}}}}"#, items.join(" , "))
}

/// Walks a response; returns its commands as well.
fn read(body: impl Read, limits: Limits) -> (Vec<Command>, Result<Document, WireError>) {
    let mut commands = Vec::new();
    let read = walk(body, &Meter::new(limits), Wanted::Commands, &mut |value| {
        commands.push(Command::parse(value.text).unwrap());
        Ok(())
    });
    (commands, read)
}

/// Returns id, agent and size of each placeholder, and only the id of other commands.
fn outline(commands: &[Command]) -> Vec<Value> {
    let outline = |command: &Command| match &command.too_large {
        Some(answer) => json!([command.id, answer.agent, answer.bytes]),
        None => json!(command.id),
    };
    commands.iter().map(outline).collect()
}

#[test]
fn large_command_is_replaced_wherever_the_response_is_split() {
    let items = [item(1, 8), item(2, 4000), item(3, 8), item(4, 1 << 16)];
    let text = page(&items);
    let expected = [
        json!(1),
        json!([2, "agent 2", items[1].len()]),
        json!(3),
        json!([4, "agent 4", items[3].len()]),
    ];
    for at in (0..4500).chain([text.len()]) {
        let (first, second) = text.as_bytes().split_at(at);
        let (commands, read) = read(first.chain(second), LIMITS);
        assert_eq!(outline(&commands), expected, "split at byte {at}");
        assert_eq!(read.unwrap().values, 4);
    }
}

#[test]
fn large_item_without_a_command_is_not_counted() {
    let other = item(1, 4000).replace("\"command\"", "\"pagination\"");
    let (commands, read) = read(page(&[other, item(2, 8)]).as_bytes(), LIMITS);
    assert_eq!((outline(&commands), read.unwrap().values), (vec![json!(2)], 1));
}

#[test]
fn large_command_of_unknown_id_is_counted_but_not_replaced() {
    // The results come first, so that nothing before them is known.
    let results = "x".repeat(4000);
    let odd =
        format!(r#"{{"data":[{{"name":"command","value":{{"results":"{results}","id":1}}}}]}}"#);
    let (commands, read) = read(page(&[odd, item(2, 8)]).as_bytes(), LIMITS);
    assert_eq!((outline(&commands), read.unwrap().values), (vec![json!(2)], 2));
}

#[test]
fn command_beyond_the_limit_of_the_response_is_replaced_before_the_error() {
    let items = [item(1, 8), item(2, 2 << 20), item(3, 8)];
    let text = page(&items);
    let (commands, read) = read(text.as_bytes(), LIMITS);
    assert!(
        matches!(read, Err(WireError::Read(error)) if error.kind() == io::ErrorKind::FileTooLarge)
    );
    let outline = outline(&commands);
    assert_eq!((outline.len(), &outline[0]), (2, &json!(1)));
    let bytes = outline[1][2].as_u64().unwrap();
    assert!(bytes > LIMITS.item_bytes_max && bytes <= LIMITS.answer_bytes_max, "{bytes}");
}

#[test]
fn other_responses_refuse_a_large_item() {
    let limits = Limits { replaces_large: false, ..LIMITS };
    let (commands, read) = read(page(&[item(1, 8), item(2, 4000)]).as_bytes(), limits);
    assert!(matches!(read, Err(WireError::Read(_))), "{read:?}");
    assert_eq!(outline(&commands), [json!(1)]);
}

/// Fails as a connection does at its time limit.
struct TimedOut;

impl Read for TimedOut {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::TimedOut.into())
    }
}

#[test]
fn command_that_does_not_end_in_time_is_replaced_before_the_error() {
    let text = page(&[item(1, 8), item(2, 4000)]);
    let begin = text.as_bytes()[..3000].chain(TimedOut);
    let (commands, read) = read(begin, LIMITS);
    assert!(matches!(read, Err(WireError::Read(error)) if error.kind() == io::ErrorKind::TimedOut));
    let outline = outline(&commands);
    assert_eq!((outline.len(), &outline[0], &outline[1][0]), (2, &json!(1), &json!(2)));
}
