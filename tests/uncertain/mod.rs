//! Answers that leave open whether the platform has the action: in the end it has it once,
//! the runner knows which one it is, and its results are delivered.

#![cfg(test)]

/// Forty runs of one job within seconds.
mod many;

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use crate::rig::proxy::{Proxy, ProxyFault};
use crate::rig::{Rig, wait_until};

/// How long an unanswered POST may take effect, for the runners here.
const SETTLE: &str = "settle = 5s";
/// Later than an answer may be, and earlier than the runner stops to wait for its effect.
const LATE: Duration = Duration::from_secs(3);
/// Much later than an answer may be.
const HELD: Duration = Duration::from_secs(20);
/// Long enough for an action to be sent after the platform had settled.
const JOB: &str = "schedule = \"0 0 1 1 *\"\nexpiry = 40s\nearlyresults = on\nplugin = note";

/// What happens to the POST of each job.
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

/// Puts a proxy in front of the platform that plays these tricks on the POSTs of these jobs.
fn tricked(rig: &Rig, tricks: &[(&str, ProxyFault)]) -> Proxy {
    // The action's name, as a form has it.
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
fn whatever_is_answered_the_platform_has_one_action() {
    let mut rig = rig();
    rig.configure(SETTLE);
    rig.configure("timeout = 2s");
    rig.configure("parallel = 4");
    let _proxy = tricked(&rig, &TRICKS);
    let runner = rig.runner();
    for (job, _) in TRICKS {
        rig.job(job, JOB);
    }
    let runs = TRICKS.map(|(job, _)| rig.trigger(job));
    for ((job, _), run) in TRICKS.iter().zip(&runs) {
        check_once(&rig, job, run);
        // It was uncertain: else this test shows nothing.
        runner.wait_logged("action not sent yet", &[("run", run), ("fate", "unknown")]);
    }
}

#[test]
fn a_runner_that_was_killed_before_the_answer_finds_its_action() {
    let mut rig = rig();
    rig.configure(SETTLE);
    let _proxy = tricked(
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
    runner.wait_logged("action not sent yet", &[("run", &late), ("fate", "unknown")]);
    runner.kill();
    assert_eq!(rig.wait_in("action/new", &held)["request"]["fate"], "unknown");
    let _runner = rig.runner();
    check_once(&rig, "held", &held);
    check_once(&rig, "late", &late);
}

#[test]
fn a_run_that_is_taken_away_and_put_back_while_it_is_posted_is_posted_once() {
    let mut rig = rig();
    rig.configure("settle = 1s");
    rig.job("job", JOB);
    let proxy = tricked(&rig, &[("job", ProxyFault::RequestDelayed(LATE))]);
    let runner = rig.runner();
    let run = rig.trigger("job");
    proxy.wait_applied();
    rig.mv(&run, "action/new", "action/invalid");
    runner.wait_logged("entry was moved away by hand", &[("run", &run)]);
    rig.mv(&run, "action/invalid", "action/new");
    rig.finish_early(&run, "mig-runner: job");
    check_once(&rig, "job", &run);
    // Taken away for good: what was accepted goes on all the same.
    rig.job("gone", JOB);
    let proxy = tricked(&rig, &[("gone", ProxyFault::RequestDelayed(LATE))]);
    runner.stop(Signal::TERM);
    let runner = rig.runner();
    let run = rig.trigger("gone");
    proxy.wait_applied();
    rig.mv(&run, "action/new", "action/invalid");
    let warning = "action was accepted though its entry was moved away";
    runner.wait_logged(warning, &[("run", &run)]);
    rig.finish_early(&run, "mig-runner: gone");
    check_once(&rig, "gone", &run);
    assert_eq!(rig.entries("action/invalid"), [""; 0]);
}

#[test]
fn a_search_that_fails_says_nothing_about_the_action() {
    let mut rig = rig();
    rig.configure("timeout = 2s");
    rig.job("job", JOB);
    let search = "type=action&";
    let tricks = [
        // The page of the search has a time limit of its own, which is longer.
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
fn results_that_arrive_broken_are_fetched_again() {
    let rig = rig();
    rig.job("job", &JOB.replace("40s", "2s"));
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
fn a_fetch_that_is_killed_half_way_goes_on_without_what_it_has() {
    let mut rig = rig();
    rig.configure("pagesize = 5\npages = 1");
    rig.job("job", &JOB.replace("earlyresults = on\n", ""));
    // The third page is on its way when the runner dies.
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
