//! Jobs that are added, changed and removed, and their slots.

#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::fs::{self, OpenOptions};
use std::io::Write;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{NEVER, NOTE};
use crate::rig::process::Process;
use crate::rig::{Rig, action, make_folder, wait, wait_until, write};

/// Returns the slots of the runs of a job in the `action` folders.
fn slots(rig: &Rig, job: &str) -> Vec<Timestamp> {
    let mut slots: Vec<Timestamp> = ["new", "inflight", "done", "invalid"]
        .iter()
        .flat_map(|folder| rig.entries(&format!("action/{folder}")))
        .filter_map(|run| {
            let slot = run.strip_prefix(job)?.strip_prefix('.')?.to_owned();
            let slot = DateTime::strptime("%Y%m%dT%H%M%SZ", slot).unwrap();
            Some(slot.to_zoned(TimeZone::UTC).unwrap().timestamp())
        })
        .collect();
    slots.sort();
    // A run that moved while the folders were read is listed twice.
    slots.dedup();
    slots
}

#[test]
fn two_jobs_run_at_every_slot_and_an_invalid_job_is_reported_once() {
    let mut rig = Rig::new();
    rig.scan_every(1);
    rig.plugin("note", NOTE);
    let config = "schedule = \"*/2 * * * * * *\"\nexpiry = 3s\nplugin = note";
    rig.job("one", config);
    rig.job("two", config);
    rig.job("broken", "expiry = 3s\nschedule = \"5-1 * * * *\"");
    let runner = rig.runner();
    for job in ["one", "two"] {
        // Results are fetched although runs are launched all the time.
        wait_until("three deliveries", || {
            rig.plugin_file("notes").lines().filter(|line| line.starts_with(job)).count() >= 3
        });
        let slots = slots(&rig, job);
        assert!(slots.len() >= 4, "{slots:?}");
        for pair in slots.windows(2) {
            assert_eq!(pair[1].duration_since(pair[0]).as_secs(), 2, "{job}: {slots:?}");
        }
        assert!(slots.iter().all(|slot| slot.as_second() % 2 == 0), "{job}: {slots:?}");
    }
    let bad = runner.logged("invalid job", &[]);
    assert_eq!(bad.len(), 1, "{bad:?}");
    let error = bad[0]["error"].as_str().unwrap();
    assert!(error.contains("broken/entity.cfg:3: "), "{error}");
    // Each run was delivered once.
    let notes = rig.plugin_file("notes");
    let mut runs: Vec<&str> = notes.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
    runs.sort_unstable();
    let delivered = runs.len();
    runs.dedup();
    assert_eq!(runs.len(), delivered, "{notes}");
}

#[test]
fn job_is_added_when_its_files_are_complete() {
    let rig = Rig::new();
    let runner = rig.runner();
    let folder = rig.home("runners/job");
    make_folder(&folder);
    write(&folder.join("entity.cfg"), format!("[configuration]\n{NEVER}\n"));
    let text = action("/nonexistent").to_string();
    let (head, tail) = text.split_at(text.len() / 2);
    write(&folder.join("action.json"), head);
    let mut file = OpenOptions::new().append(true).open(folder.join("action.json")).unwrap();
    file.write_all(tail.as_bytes()).unwrap();
    drop(file);
    runner.wait_logged("job added", &[("job", "job")]);
    // A job that stays incomplete is reported once, when it no longer changes.
    let incomplete = rig.home("runners/half");
    make_folder(&incomplete);
    write(&incomplete.join("entity.cfg"), format!("[configuration]\n{NEVER}\n"));
    let report = runner.wait_logged("invalid job", &[("job", "half")]);
    assert!(report["error"].as_str().unwrap().contains("half/action.json"), "{report}");
    fs::copy(folder.join("action.json"), incomplete.join("action.json")).unwrap();
    runner.wait_logged("job added", &[("job", "half")]);
    assert_eq!(runner.logged("invalid job", &[]).len(), 1);
    assert_eq!(runner.logged("job added", &[]).len(), 2);
}

/// Waits until the job has changed `times` times.
fn wait_changes(runner: &Process, times: usize) {
    runner.wait_logged_times(times, "new job configuration installed", &[("job", "job")]);
    assert_eq!(runner.logged("new job configuration installed", &[]).len(), times);
    assert_eq!(runner.logged("old job configuration removed", &[]).len(), times);
}

#[test]
fn job_follows_changes_of_its_files() {
    let rig = Rig::new();
    let runner = rig.runner();
    rig.job("job", NEVER);
    let added = runner.wait_logged("job added", &[("job", "job")]);
    assert_eq!(added["schedule"], "0 0 1 1 *");
    let folder = rig.home("runners/job");
    // The configuration is rewritten in place, and then by a rename.
    write(&folder.join("entity.cfg"), "[configuration]\nschedule = \"0 0 2 1 *\"\n");
    wait_changes(&runner, 1);
    write(&folder.join(".entity.cfg.swp"), "[configuration]\nschedule = \"0 0 3 1 *\"\n");
    fs::rename(folder.join(".entity.cfg.swp"), folder.join("entity.cfg")).unwrap();
    wait_changes(&runner, 2);
    // Only the action changes.
    write(&folder.join("action.json"), action("/elsewhere").to_string());
    wait_changes(&runner, 3);
    let run = rig.trigger("job");
    let posted =
        wait("the new action", || rig.database().actions("mig-runner: job").first().copied());
    assert!(rig.database().operations(posted).contains("/elsewhere"), "{run}");
    // The action is rewritten with the same text.
    write(&folder.join("action.json"), action("/elsewhere").to_string());
    fs::remove_dir_all(&folder).unwrap();
    runner.wait_logged("job removed", &[("job", "job")]);
    rig.job("job", NEVER);
    runner.wait_logged_times(2, "job added", &[("job", "job")]);
    wait_changes(&runner, 3);
    assert_eq!(runner.logged("invalid job", &[]).len(), 0);
}

#[test]
fn run_of_a_removed_job_finishes_without_restoring_the_job() {
    let rig = Rig::new();
    rig.plugin("note", NOTE);
    let runner = rig.runner();
    rig.job("job", &format!("{NEVER}\nexpiry = 3s\nplugin = note"));
    let run = rig.trigger("job");
    rig.wait_in("action/inflight", &run);
    fs::remove_dir_all(rig.home("runners/job")).unwrap();
    let document = rig.wait_done(&run);
    assert_eq!(document["name"], "job");
    assert!(!rig.home("runners/job").exists());
    assert!(
        rig.plugin_file("notes").starts_with(&format!("job {run} ")),
        "{}",
        rig.plugin_file("notes")
    );
    let message = "results belong to a removed job";
    assert_eq!(runner.logged(message, &[("run", &run)]).len(), 1);
}
