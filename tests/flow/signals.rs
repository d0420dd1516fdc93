//! Signals: an ordered stop from every state, and a reload.

#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use super::{NEVER, NOTE};
use crate::rig::proxy::{Proxy, Trick};
use crate::rig::{Rig, wait_until};

/// Much longer than a stop may take.
const HELD: Duration = Duration::from_secs(30);

#[test]
fn a_runner_that_waits_stops_at_once() {
    let mut rig = Rig::new();
    rig.job("job", &format!("{NEVER}\nexpiry = 10m"));
    for signal in [Signal::TERM, Signal::INT] {
        rig.runner().stop(signal);
    }
    // An action runs on the fleet.
    let runner = rig.runner();
    let inflight = rig.trigger("job");
    rig.wait_in("action/inflight", &inflight);
    runner.stop(Signal::TERM);
    // Nobody listens: it backs off.
    rig.kill_platform();
    let runner = rig.runner();
    let waiting = rig.trigger("job");
    runner.wait_said("action not sent yet", &[("run", &waiting), ("fate", "refused")]);
    runner.stop(Signal::INT);
    let left = [format!("action/new {waiting}"), format!("action/inflight {inflight}")];
    assert_eq!(rig.spool(), left);
}

#[test]
fn a_plugin_that_does_not_want_to_end_holds_no_stop_up() {
    let rig = Rig::new();
    rig.plugin("slow", "if mkdir first; then trap '' TERM; echo $$ > pid; sleep 600; fi");
    rig.job("job", &format!("{NEVER}\nexpiry = 2s\nplugin = slow"));
    let runner = rig.runner();
    let run = rig.trigger("job");
    wait_until("the plugin", || !rig.left("pid").is_empty());
    runner.stop(Signal::TERM);
    let pid = rig.left("pid").trim().to_owned();
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
    assert_eq!(rig.spool(), [format!("action/done {run}"), format!("command/returned {run}")]);
    let _runner = rig.runner();
    rig.wait_done(&run);
}

#[test]
fn a_request_without_an_answer_holds_no_stop_up() {
    let rig = Rig::new();
    rig.plugin("note", NOTE);
    rig.job("job", &format!("{NEVER}\nplugin = note"));
    let proxy = Proxy::start(&rig, &[("action/create/", Trick::AnswerHeld(HELD))]);
    rig.point_at(&proxy.address);
    let runner = rig.runner();
    let run = rig.trigger("job");
    wait_until("an action without an answer", || {
        !rig.database().actions("mig-runner: job").is_empty()
    });
    runner.stop(Signal::INT);
    let runner = rig.runner();
    rig.hurry(&run, "mig-runner: job");
    rig.wait_done(&run);
    runner.stop(Signal::INT);
    assert_eq!(rig.database().actions("mig-runner: job").len(), 1);
    assert_eq!(rig.left("notes").lines().count(), 1);
    rig.check_clean();
}

#[test]
fn a_hangup_tries_at_once_what_waits_and_opens_the_log_anew() {
    let mut rig = Rig::new();
    rig.plugin("note", NOTE);
    rig.job("job", &format!("{NEVER}\nexpiry = 2s\nplugin = note"));
    let log = rig.path("runner.log");
    rig.log_to_file(&log);
    let runner = rig.start_runner("runner.cfg");
    wait_until("a log", || fs::read_to_string(&log).is_ok_and(|text| text.contains("ready")));
    rig.kill_platform();
    let run = rig.trigger("job");
    // By now the next attempt is seconds away.
    wait_until("some attempts", || {
        fs::read_to_string(&log).unwrap().matches("action not sent yet").count() >= 3
    });
    rig.start_platform();
    fs::rename(&log, rig.path("runner.log.1")).unwrap();
    runner.signal(Signal::HUP);
    rig.wait_done(&run);
    wait_until("a new log", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("plugin ended"))
    });
    let old = fs::read_to_string(rig.path("runner.log.1")).unwrap();
    assert!(!old.contains("plugin ended"), "{old}");
    assert_eq!(rig.left("notes").lines().count(), 1);
    runner.stop(Signal::TERM);
}
