//! The platform runs out of file descriptors temporarily. What it could not check then, it checks
//! later.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};
use serde_json::Value;

use super::{signed_form, token};
use crate::rig::runs::NOTE;
use crate::rig::{Rig, pause, wait_until};

/// Duration of each shortage.
const SHORTAGE_TIME: Duration = Duration::from_millis(700);
/// Maximum number of descriptors that a request needs beyond those that are always open.
const SPARE_MAX: u64 = 12;

/// Returns whether the open files of the platform are visible, which protects its memory.
fn can_see_open_files() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: only root can count the open files of a protected process");
    }
    is_root
}

/// Limits the platform to `spare` descriptors beyond those that are open; `None` removes the limit.
fn limit(rig: &Rig, spare: Option<u64>) {
    let pid = rig.platform_pid();
    let maximum = getrlimit(Resource::Nofile).maximum;
    let open = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).unwrap().count() as u64;
    let current = spare.map_or(maximum, |spare| Some(open + spare));
    prlimit(Some(pid), Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

/// Sends an action; returns status and response.
fn post(address: &str, token: &str, form: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "POST /api/v1/action/create/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nX-PGPAUTHORIZATION: {token}\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

fn id(answer: &Value) -> i64 {
    answer["collection"]["items"][0]["data"][0]["value"]["id"].as_i64().unwrap()
}

#[test]
fn action_that_could_not_be_checked_is_not_refused_as_root() {
    if !can_see_open_files() {
        return;
    }
    let mut rig = Rig::new();
    let (mut refused, mut accepted) = (0, Vec::new());
    for spare in 1..=SPARE_MAX {
        // The first request of a platform imports the key, which takes more descriptors.
        rig.kill_platform();
        rig.start_platform();
        let (address, token) = (rig.address.clone(), token(&rig));
        let form = signed_form(&rig, &format!("spare {spare}"));
        limit(&rig, Some(spare));
        let sender = {
            let (address, token, form) = (address.clone(), token.clone(), form.clone());
            std::thread::spawn(move || post(&address, &token, &form))
        };
        pause(SHORTAGE_TIME);
        limit(&rig, None);
        let (mut status, mut answer) = sender.join().unwrap();
        if status != 202 {
            let message = answer["collection"]["error"]["message"].as_str().unwrap();
            assert_eq!(status, 503, "{message}");
            assert!(message.starts_with("the request was not judged: "), "{message}");
            refused += 1;
            (status, answer) = post(&address, &token, &form);
        }
        assert_eq!(status, 202, "{answer}");
        accepted.push(id(&answer));
    }
    assert!(refused > 0, "no request met the limit");
    wait_until("the end of every action", || rig.database().unfinished() == 0);
    for id in accepted {
        let outcome = rig.database().outcome(id);
        assert_eq!(outcome, ("completed".to_owned(), vec!["success".to_owned()]), "{id}");
    }
}

#[test]
fn command_whose_module_could_not_be_started_is_run_later_as_root() {
    if !can_see_open_files() {
        return;
    }
    let rig = Rig::new();
    let (address, token) = (rig.address.clone(), token(&rig));
    let mut accepted = Vec::new();
    for spare in 0..SPARE_MAX {
        let form = signed_form(&rig, &format!("spare {spare}"));
        let (status, answer) = post(&address, &token, &form);
        assert_eq!(status, 202, "{answer}");
        limit(&rig, Some(spare / 2));
        pause(2 * SHORTAGE_TIME);
        limit(&rig, None);
        accepted.push(id(&answer));
    }
    wait_until("the end of every action", || rig.database().unfinished() == 0);
    let failed: Vec<_> = accepted
        .iter()
        .map(|id| rig.database().outcome(*id))
        .filter(|(_, commands)| *commands != ["success"])
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn shortage_of_the_platform_makes_no_dead_letters_as_root() {
    if !can_see_open_files() {
        return;
    }
    let mut rig = Rig::new();
    let runner = rig.runner();
    rig.plugin("note", NOTE);
    let jobs = ["a", "b", "c", "d", "e"];
    for job in jobs {
        rig.job(job, "schedule = \"0 0 1 1 *\"\nexpiry = 10s\nplugin = note");
    }
    // The platform has not imported the key yet.
    rig.kill_platform();
    rig.start_platform();
    limit(&rig, Some(3));
    let runs = jobs.map(|job| rig.trigger(job));
    runner.wait_for("a request that was not checked", |log| {
        log.contains("the request was not judged: ").then_some(())
    });
    pause(SHORTAGE_TIME);
    limit(&rig, None);
    wait_until("the delivery of every run", || {
        assert_eq!(rig.entries("action/invalid"), [""; 0]);
        let notes = rig.plugin_file("notes");
        runs.iter().all(|run| notes.contains(run))
    });
    for id in rig.database().ids() {
        assert_eq!(rig.database().outcome(id).1, ["success"], "{id}");
    }
    runner.stop(Signal::TERM);
}
