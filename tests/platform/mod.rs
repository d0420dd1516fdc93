//! The platform without a runner: killed at any moment, it loses nothing that it has acknowledged.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the tests do what operators and clients do")]

mod connections;
mod gnupg;
mod hostile;
mod measure;
mod shortage;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::rig::random::{SeededRandom, full};
use crate::rig::{Rig, wait_until};

/// Number of times that the platform is killed.
const KILLS: u32 = 30;
/// The same number for the full test.
const KILLS_FULL: u32 = 300;
/// Maximum time from sending an action to the kill, in milliseconds: longer than it takes to
/// accept, run and answer the action.
const KILL_DELAY_MS_MAX: u64 = 2500;

/// Returns a form with a signed action that finds nothing.
fn signed_form(rig: &Rig, name: &str) -> String {
    let operations = r#"[{"module":"file","parameters":{"searches":{"s":{"names":["x"],"paths":["/nonexistent"]}}}}]"#;
    signed_form_with(rig, name, operations)
}

/// Returns a form with a signed action of these operations.
fn signed_form_with(rig: &Rig, name: &str, operations: &str) -> String {
    let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap();
    let begin = whole(Timestamp::now() - SignedDuration::from_secs(60));
    let end = whole(Timestamp::now() + SignedDuration::from_hours(2));
    let target = "status='online' OR status='idle'";
    let signature = rig.key.sign(&format!(
        "name={name};target={target};validfrom={};expireafter=%!s(int64={});operations={operations};",
        begin.as_second(),
        end.as_second()
    ));
    let action = format!(
        r#"{{"name":"{name}","target":"{target}","validfrom":"{begin}","expireafter":"{end}","operations":{operations},"pgpsignatures":["{signature}"],"syntaxversion":2}}"#
    );
    let escaped: String = action.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("action={escaped}")
}

fn token(rig: &Rig) -> String {
    let head = format!("1;{};7", Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ"));
    format!("{head};{}", rig.key.sign(&format!("{head}\n")))
}

/// Sends a request on a connection of its own; returns the whole response.
fn request(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Sends an action; returns its id if it was acknowledged. The platform may be killed meanwhile.
fn post(address: &str, token: &str, form: &str) -> Option<i64> {
    let mut stream = TcpStream::connect(address).ok()?;
    let request = format!(
        "POST /api/v1/action/create/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nX-PGPAUTHORIZATION: {token}\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 202 "), "{answer}");
    // An incomplete response is not an acknowledgement.
    let body: Value = serde_json::from_str(body).ok()?;
    body["collection"]["items"][0]["data"][0]["value"]["id"].as_i64()
}

#[test]
fn platform_killed_at_any_moment_loses_nothing_acknowledged() {
    let mut chance = SeededRandom::new();
    let mut rig = Rig::new();
    let kills = if full() { KILLS_FULL } else { KILLS };
    let mut acknowledged = Vec::new();
    for kill in 0..kills {
        let (address, token) = (rig.address.clone(), token(&rig));
        let form = signed_form(&rig, &format!("kill {kill}"));
        let sender = std::thread::spawn(move || post(&address, &token, &form));
        // Half of the kills come while the action is being sent or accepted.
        let limit = if chance.below(2) == 0 { KILL_DELAY_MS_MAX / 20 } else { KILL_DELAY_MS_MAX };
        std::thread::sleep(Duration::from_millis(chance.below(limit)));
        rig.kill_platform();
        acknowledged.extend(sender.join().unwrap());
        rig.start_platform();
    }
    println!("{kills} kills, {} actions acknowledged", acknowledged.len());
    assert!(!acknowledged.is_empty());
    let database = rig.database();
    wait_until("the end of every action", || database.unfinished() == 0);
    for id in acknowledged {
        let (status, commands) = database.outcome(id);
        assert_eq!((status.as_str(), commands), ("completed", vec!["success".to_owned()]), "{id}");
    }
    // An action that was not acknowledged may have been accepted, and then it has ended too.
    wait_until("an empty spool", || {
        let folders = [
            "action/new",
            "action/inflight",
            "command/ready",
            "command/inflight",
            "command/returned",
        ];
        let count = |folder: &&str| rig.path("p/spool").join(folder).read_dir().unwrap().count();
        folders.iter().map(count).sum::<usize>() == 0
    });
}
