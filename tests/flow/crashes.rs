//! Crashes, and in-flight actions of the original runner: nothing is lost, nothing is done twice.

#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::fs;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{NEVER, NOTE};
use crate::rig::{Rig, make_folder, wait_until, write};

#[test]
fn runner_killed_with_an_action_in_flight_delivers_its_results_once() {
    let rig = Rig::new();
    rig.plugin("note", NOTE);
    rig.job("job", &format!("{NEVER}\nexpiry = 30s\nearlyresults = on\nplugin = note"));
    let runner = rig.runner();
    let run = rig.trigger("job");
    rig.wait_in("action/inflight", &run);
    runner.kill();
    let _runner = rig.runner();
    let document = rig.wait_done(&run);
    assert_eq!(document["commands"].as_array().unwrap().len(), 1, "{document}");
    assert_eq!(rig.database().names(), ["mig-runner: job"]);
    assert_eq!(rig.plugin_file("notes").lines().count(), 1, "{}", rig.plugin_file("notes"));
    rig.wait_only_finished(&run);
}

#[test]
fn plugin_interrupted_by_a_crash_is_run_again() {
    let rig = Rig::new();
    // The first run of the plugin does not end by itself.
    rig.plugin("slow", &format!("{NOTE}\nif mkdir first; then sleep 600; fi"));
    rig.job("job", &format!("{NEVER}\nexpiry = 2s\nplugin = slow"));
    let runner = rig.runner();
    let run = rig.trigger("job");
    wait_until("the plugin", || rig.home("plugins/first").exists());
    runner.kill();
    let _runner = rig.runner();
    rig.wait_done(&run);
    assert_eq!(rig.plugin_file("notes").lines().count(), 2, "{}", rig.plugin_file("notes"));
}

#[test]
fn repeatedly_killed_runners_lose_nothing_and_repeat_no_action() {
    let mut rig = Rig::new();
    // After a kill, a POST that was never sent has an unknown outcome too.
    rig.configure("settle = 2s");
    rig.plugin("note", NOTE);
    let jobs = ["a", "b", "c", "d"];
    for job in jobs {
        rig.job(job, &format!("{NEVER}\nexpiry = 5s\nplugin = note"));
    }
    let mut runs = Vec::new();
    for job in jobs {
        let runner = rig.runner();
        let run = rig.trigger(job);
        // The runner is killed in any state of this run and of the earlier ones.
        runner.wait_logged("task finished", &[("run", &run)]);
        runner.kill();
        runs.push(run);
    }
    let _runner = rig.runner();
    for (job, run) in jobs.iter().zip(&runs) {
        let document = rig.wait_done(run);
        let actions = rig.database().actions(&format!("mig-runner: {job}"));
        assert_eq!(actions, [document["action"]["id"].as_i64().unwrap()], "{job}");
    }
}

/// Returns an in-flight file of the original whose action has expired, and the id of its run.
fn original(now: Timestamp) -> (Value, String) {
    let text = include_str!("../data/runner/inflight-sample.json");
    let mut file: Value = serde_json::from_str(text).unwrap();
    let valid_from = now - SignedDuration::from_secs(300);
    file["action"]["validfrom"] = json!(valid_from);
    file["action"]["expireafter"] = json!(now - SignedDuration::from_secs(235));
    let slot = valid_from + SignedDuration::from_secs(60);
    let run = format!("job.{}-{}", slot.strftime("%Y%m%dT%H%M%SZ"), file["action"]["id"]);
    (file, run)
}

#[test]
fn in_flight_action_of_the_original_is_fetched_once() {
    let rig = Rig::new();
    let (file, run) = original(Timestamp::now());
    let id = file["action"]["id"].as_i64().unwrap();
    rig.database().insert_finished(&file["action"]);
    rig.job("job", NEVER);
    let inflight = rig.home("runners/job/inflight");
    make_folder(&inflight);
    write(&inflight.join(format!("{id}.json")), file.to_string());
    write(&inflight.join("1.json"), "{\"action\":{\"id\":");
    let runner = rig.runner();
    runner.wait_logged("adopted in-flight action of the original runner", &[("run", &run)]);
    let document = rig.wait_done(&run);
    assert_eq!(document["action"]["id"], id);
    assert_eq!(document["commands"].as_array().unwrap().len(), 1);
    assert_eq!(fs::read_dir(&inflight).unwrap().count(), 0);
    assert_eq!(rig.entries("action/invalid"), ["job.1", "job.1.json.reason"]);
    let link = rig.home(&format!("results/{id}.json"));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(serde_json::from_slice::<Value>(&fs::read(link).unwrap()).unwrap(), document);
}
