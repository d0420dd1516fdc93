//! Answers that do not show whether the platform has the action. In the end, the platform has it
//! once, the runner knows its id, and its results are delivered.

#![cfg(test)]

mod forty_runs;

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use crate::rig::proxy::{Proxy, ProxyFault};
use crate::rig::{Rig, wait_until};

/// The configured time during which an unanswered POST may still take effect.
const SETTLE: &str = "settle = 5s";
/// A delay longer than the time limit for an answer, and shorter than the settle time.
const LATE: Duration = Duration::from_secs(3);
/// A delay much longer than the time limit for an answer.
const HELD: Duration = Duration::from_secs(20);
/// The configuration of a job whose action can still be sent after the settle time.
const JOB: &str = "schedule = \"0 0 1 1 *\"\nexpiry = 40s\nearlyresults = on\nplugin = note";

/// How the proxy treats the POST of each job.
const TRICKS: [(&str, ProxyFault); 9] = [
    (
        "created",
        ProxyFault::Refused("Failed to store signature: 'pq: the database is shutting down'"),
    ),
    ("panicked", ProxyFault::Refused("runtime error: invalid memory address")),
    ("unsigned", ProxyFault::RefusedUnsigned("mig-runner: unsigned")),
    ("answer-lost", ProxyFault::AnswerLost),
    ("answer-cut", ProxyFault::AnswerCut),
    ("answer-held", ProxyFault::AnswerDelayed(HELD)),
    ("late", ProxyFault::RequestDelayedAnswerLost(LATE)),
    ("request-cut", ProxyFault::RequestCut),
    ("bad-gateway", ProxyFault::BadGateway),
];

fn rig() -> Rig {
    let rig = Rig::new();
    rig.plugin("note", "cat > /dev/null; echo $MIG_JOB $MIG_ACTION_ID >> notes");
    rig
}

/// Starts a proxy in front of the platform that plays these tricks on the POSTs of these jobs.
fn start_proxy(rig: &Rig, tricks: &[(&str, ProxyFault)]) -> Proxy {
    // The name of the action in the encoding of a form.
    let texts: Vec<(String, ProxyFault)> =
        tricks.iter().map(|(job, trick)| (format!("mig-runner%3A+{job}%22"), *trick)).collect();
    let tricks: Vec<(&str, ProxyFault)> =
        texts.iter().map(|(text, trick)| (text.as_str(), *trick)).collect();
    let proxy = Proxy::start(rig, &tricks);
    rig.point_at(&proxy.address);
    proxy
}

/// Checks that the platform has one action of the job and that its results were delivered once.
fn check_once(rig: &Rig, job: &str, run: &str) {
    let document = rig.wait_done(run);
    let actions = rig.database().actions(&format!("mig-runner: {job}"));
    assert_eq!(actions.len(), 1, "{job}: {actions:?}");
    assert_eq!(document["action"]["id"], actions[0], "{job}");
    assert_eq!(document["commands"].as_array().unwrap().len(), 1, "{job}: {document}");
    let note = format!("{job} {}", actions[0]);
    let notes = rig.plugin_file("notes");
    assert_eq!(notes.lines().filter(|line| **line == note).count(), 1, "{job}: {notes}");
}

#[test]
fn platform_has_one_action_whatever_the_answer() {
    let mut rig = rig();
    rig.configure(SETTLE);
    rig.configure("timeout = 2s");
    rig.configure("parallel = 4");
    let _proxy = start_proxy(&rig, &TRICKS);
    let runner = rig.runner();
    for (job, _) in TRICKS {
        rig.job(job, JOB);
    }
    let runs = TRICKS.map(|(job, _)| rig.trigger(job));
    for ((job, _), run) in TRICKS.iter().zip(&runs) {
        check_once(&rig, job, run);
        // Without an unknown outcome, this test would show nothing.
        runner.wait_logged("action not accepted yet", &[("run", run), ("fate", "unknown")]);
    }
}

#[test]
fn runner_killed_before_the_answer_finds_its_action() {
    let mut rig = rig();
    rig.configure(SETTLE);
    let _proxy = start_proxy(
        &rig,
        &[
            ("held", ProxyFault::AnswerDelayed(HELD)),
            ("late", ProxyFault::RequestDelayedAnswerLost(LATE)),
        ],
    );
    let runner = rig.runner();
    for job in ["held", "late"] {
        rig.job(job, JOB);
    }
    let (held, late) = (rig.trigger("held"), rig.trigger("late"));
    wait_until("an action without an answer", || {
        rig.database().names().contains(&"mig-runner: held".to_owned())
    });
    runner.wait_logged("action not accepted yet", &[("run", &late), ("fate", "unknown")]);
    runner.kill();
    assert_eq!(rig.wait_in("action/new", &held)["request"]["fate"], "unknown");
    let _runner = rig.runner();
    check_once(&rig, "held", &held);
    check_once(&rig, "late", &late);
}

#[test]
fn run_moved_away_and_back_during_its_post_is_posted_once() {
    let mut rig = rig();
    rig.configure("settle = 1s");
    rig.job("job", JOB);
    let proxy = start_proxy(&rig, &[("job", ProxyFault::RequestDelayed(LATE))]);
    let runner = rig.runner();
    let run = rig.trigger("job");
    proxy.wait_applied();
    rig.mv(&run, "action/new", "action/invalid");
    runner.wait_logged("entry was moved by another process", &[("run", &run)]);
    rig.mv(&run, "action/invalid", "action/new");
    rig.finish_early(&run, "mig-runner: job");
    check_once(&rig, "job", &run);
    // Moved away permanently: an accepted action continues nevertheless.
    rig.job("gone", JOB);
    let proxy = start_proxy(&rig, &[("gone", ProxyFault::RequestDelayed(LATE))]);
    runner.stop(Signal::TERM);
    let runner = rig.runner();
    let run = rig.trigger("gone");
    proxy.wait_applied();
    rig.mv(&run, "action/new", "action/invalid");
    let warning = "action was accepted although its entry was moved";
    runner.wait_logged(warning, &[("run", &run)]);
    rig.finish_early(&run, "mig-runner: gone");
    check_once(&rig, "gone", &run);
    assert_eq!(rig.entries("action/invalid"), [""; 0]);
}

#[test]
fn failed_search_does_not_count_as_an_answer() {
    let mut rig = rig();
    rig.configure("timeout = 2s");
    rig.job("job", JOB);
    let search = "type=action&";
    let tricks = [
        // The search has a longer time limit of its own.
        (search, ProxyFault::BadGateway),
        (search, ProxyFault::Refused("Error while searching for actions: 'EOF'")),
        (search, ProxyFault::AnswerCut),
        ("mig-runner%3A+job%22", ProxyFault::AnswerLost),
    ];
    let proxy = Proxy::start(&rig, &tricks);
    rig.point_at(&proxy.address);
    let _runner = rig.runner();
    check_once(&rig, "job", &rig.trigger("job"));
}

#[test]
fn broken_results_are_fetched_again() {
    let rig = rig();
    rig.job("job", JOB);
    let page = "type=command&";
    let tricks = [
        (page, ProxyFault::AnswerCut),
        (page, ProxyFault::Refused("runtime error: invalid memory address")),
        (page, ProxyFault::AnswerLost),
    ];
    let proxy = Proxy::start(&rig, &tricks);
    rig.point_at(&proxy.address);
    let runner = rig.runner();
    let run = rig.trigger("job");
    check_once(&rig, "job", &run);
    assert!(runner.logged("results not fetched yet", &[("run", &run)]).len() >= 3);
    runner.stop(Signal::TERM);
    rig.check_clean();
}

#[test]
fn interrupted_fetch_continues_with_the_next_page() {
    let mut rig = rig();
    rig.configure("pagesize = 5\npages = 1");
    rig.job("job", &JOB.replace("earlyresults = on\n", ""));
    // The runner is killed while the third page is on its way.
    let proxy = Proxy::start(&rig, &[("offset=10", ProxyFault::AnswerDelayed(HELD))]);
    rig.point_at(&proxy.address);
    let runner = rig.runner();
    let run = rig.trigger("job");
    let name = "mig-runner: job";
    wait_until("the agent's answer", || rig.database().is_completed(name));
    rig.database().insert_answers(rig.database().actions(name)[0], 20);
    rig.finish_early(&run, name);
    proxy.wait_applied();
    runner.kill();
    let _runner = rig.runner();
    let document = rig.wait_done(&run);
    let commands = document["commands"].as_array().unwrap();
    let ids: BTreeSet<i64> =
        commands.iter().map(|command| command["id"].as_i64().unwrap()).collect();
    assert_eq!((commands.len(), ids.len()), (21, 21));
    let asked = proxy.requests("type=command&");
    let offset = |line: &String| {
        let (_, rest) = line.split_once("offset=").unwrap();
        rest.split(['&', ' ']).next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(asked.iter().map(offset).collect::<Vec<_>>(), [0, 5, 10, 10, 15, 20], "{asked:?}");
}
