//! The disk of the spool is full for a while: a real disk, which is too small.

#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::fs;
use std::io::Write;

use rustix::process::Signal;
use serde_json::Value;

use crate::rig::disk::{FILLER, SmallDisk};
use crate::rig::process::Process;
use crate::rig::runs::{JOB, NOTE};
use crate::rig::{Rig, make_folder, wait, wait_until};

/// The message if no disk can be mounted here.
const REMEDY: &str = "not tried: the spool on a full disk. This must mount a disk: run as root, or allow user \
                      namespaces (in a container --cap-add=SYS_ADMIN)";

/// Returns the report of `status --json`.
fn status(rig: &Rig, disk: &SmallDisk) -> Value {
    let output = disk.within(&rig.mig_runner("runner.cfg", &["status", "--json"])).output();
    serde_json::from_slice(&output.unwrap().stdout).unwrap()
}

#[test]
fn spool_on_a_full_disk_loses_nothing_and_catches_up() {
    let mut rig = Rig::new();
    rig.scan_every(1);
    make_folder(&rig.home("spool"));
    rig.plugin("note", NOTE);
    rig.job("job", JOB);
    let Some(disk) = SmallDisk::mount(&rig, rig.home("spool"), "size=1m") else {
        // Shown even if the test runner captures the output of tests.
        return writeln!(std::io::stderr(), "{REMEDY}").unwrap();
    };
    let command = disk.within(&rig.mig_runner("runner.cfg", &[]));
    let runner = Process::start(command, &rig.path("logs"), "runner");
    runner.wait_logged("ready", &[]);
    let trigger = || disk.within(&rig.mig_runner("runner.cfg", &["trigger", "job"])).output();
    let triggered = trigger().unwrap();
    assert!(triggered.status.success(), "{triggered:?}");
    let file = format!("{}.json", String::from_utf8(triggered.stdout).unwrap().trim());
    let is_in = |folder: &str| disk.entries(folder).contains(&file);
    wait_until("an action in flight", || is_in("action/inflight"));
    wait_until("the agent's answer", || rig.database().is_completed("mig-runner: job"));
    assert_eq!(status(&rig, &disk)["degraded"], false);

    disk.fill();
    let place = |folder: &str| disk.path(folder).join(&file);
    fs::rename(place("action/inflight"), place("action/done")).unwrap();
    let failed = runner.wait_logged("cannot process entry", &[("error", "No space left")]);
    assert!(failed["entry"].as_str().unwrap().contains(&file), "{failed}");
    let report = wait("a degraded runner", || {
        Some(status(&rig, &disk)).filter(|report| report["degraded"] == true)
    });
    let attention = report["attention"].to_string();
    assert!(attention.contains("degraded") && attention.contains("nearly full"), "{attention}");
    // Work that cannot be recorded does not begin.
    assert!(!trigger().unwrap().status.success());
    assert!(is_in("action/done") && disk.entries("command/ready").is_empty());

    fs::remove_file(disk.path(FILLER)).unwrap();
    wait_until("the end of the run", || is_in("command/done"));
    runner.wait_logged("disk errors cleared", &[]);
    wait_until("a runner without errors", || status(&rig, &disk)["degraded"] == false);
    // The runner scans every second, and logs the error at most every half minute.
    assert!(runner.logged("cannot process entry", &[]).len() <= 3);
    runner.stop(Signal::TERM);
    assert_eq!(disk.entries(".tmp"), [""; 0]);
    assert_eq!(rig.database().names(), ["mig-runner: job"]);
    assert_eq!(rig.plugin_file("notes").lines().count(), 1);
}
