//! Moves and removals by the operator while the runner is running, found by its watches.

#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::fs;

use rustix::process::Signal;

use super::{NEVER, NOTE};
use crate::rig::{Rig, wait_until};

/// Returns a rig whose job has a plugin and this expiry.
fn rig(expiry: &str) -> Rig {
    let rig = Rig::new();
    rig.plugin("note", NOTE);
    rig.job("job", &format!("{NEVER}\nexpiry = {expiry}\nplugin = note"));
    rig
}

#[test]
fn run_taken_out_of_new_is_not_sent_until_it_is_put_back() {
    let mut rig = rig("2s");
    // If the run is taken out during its POST, a search finds out whether it was received.
    rig.configure("settle = 1s");
    rig.kill_platform();
    let runner = rig.runner();
    let runs = [rig.trigger("job"), rig.trigger("job")];
    runner.wait_logged("action not accepted yet", &[("fate", "refused")]);
    rig.mv(&runs[0], "action/new", "action/invalid");
    fs::remove_file(rig.entry("action/new", &runs[1])).unwrap();
    rig.start_platform();
    runner.signal(Signal::HUP);
    let sent = rig.trigger("job");
    rig.wait_done(&sent);
    assert_eq!(rig.database().names().len(), 1);
    rig.mv(&runs[0], "action/invalid", "action/new");
    rig.wait_done(&runs[0]);
    assert_eq!(rig.database().names().len(), 2);
    assert_eq!(rig.plugin_file("notes").lines().count(), 2);
}

#[test]
fn results_of_a_run_moved_to_done_are_fetched_now() {
    let rig = rig("1h");
    let runner = rig.runner();
    let run = rig.trigger("job");
    rig.finish_early(&run, "mig-runner: job");
    let document = rig.wait_done(&run);
    assert_eq!(document["commands"].as_array().unwrap().len(), 1);
    rig.wait_only_finished(&run);
    // Fetched again, into a new document, and delivered to every plugin again.
    rig.mv(&run, "command/done", "command/ready");
    wait_until("another delivery", || rig.plugin_file("notes").lines().count() == 2);
    rig.wait_only_finished(&run);
    let first = rig.home(&format!("results/{}.json", document["action"]["id"]));
    let first = fs::canonicalize(first).unwrap();
    let folder = fs::read_dir(first.parent().unwrap()).unwrap();
    assert_eq!(folder.count(), 2);
    // Removed: the run is not repeated.
    fs::remove_file(rig.entry("command/done", &run)).unwrap();
    fs::remove_file(rig.entry("action/done", &run)).unwrap();
    runner.stop(Signal::TERM);
    let runner = rig.runner();
    assert_eq!(rig.spool(), [""; 0]);
    assert_eq!(rig.database().names().len(), 1);
    runner.stop(Signal::TERM);
    rig.check_clean();
}

#[test]
fn run_in_the_wrong_folder_is_rejected_with_a_remedy() {
    let rig = rig("2s");
    let runner = rig.runner();
    let run = rig.trigger("job");
    rig.wait_done(&run);
    rig.wait_only_finished(&run);
    rig.mv(&run, "command/done", "command/returned");
    // No delivery is owed: the run is finished again.
    rig.wait_in("command/done", &run);
    // A run that was never accepted.
    rig.job("paused", &format!("{NEVER}\npaused = true"));
    runner.wait_logged("job added", &[("job", "paused")]);
    let paused = rig.trigger("paused");
    rig.wait_in("action/new", &paused);
    rig.mv(&paused, "action/new", "action/inflight");
    let rejected = rig.wait_in("action/invalid", &paused);
    assert!(rejected["reason"].as_str().unwrap().contains("action/new"), "{rejected}");
    assert_eq!(rig.plugin_file("notes").lines().count(), 1);
    assert_eq!(rig.database().names(), ["mig-runner: job"]);
}

#[test]
fn copy_of_a_run_is_rejected() {
    let rig = rig("1h");
    let runner = rig.runner();
    let run = rig.trigger("job");
    rig.wait_in("action/inflight", &run);
    runner.wait_logged("action accepted", &[("run", &run)]);
    let copy = "job.20200101T000000Z";
    fs::copy(rig.entry("action/inflight", &run), rig.path("copy")).unwrap();
    fs::rename(rig.path("copy"), rig.entry("action/inflight", copy)).unwrap();
    let reason = rig.home(&format!("spool/action/invalid/{copy}.json.reason"));
    wait_until("its reason", || {
        fs::read_to_string(&reason).is_ok_and(|text| text.contains(&format!("a copy of {run}")))
    });
    // The reason is written before the copy is moved.
    wait_until("only the run", || rig.entries("action/inflight") == [run.as_str()]);
    assert_eq!(rig.database().names(), ["mig-runner: job"]);
}
