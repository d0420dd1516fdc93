//! Events are lost or unavailable: scans find the changes.

#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::fs;

use rustix::process::Signal;

use crate::rig::runs::{End, KilledRuns};
use crate::rig::trace::require_strace;
use crate::rig::{Rig, action, wait_until, write};

/// The maximum number of events that the system queues for a process.
const QUEUE: &str = "/proc/sys/fs/inotify/max_queued_events";

#[test]
fn scans_find_everything_without_watches() {
    require_strace();
    let mut rig = Rig::new();
    rig.scan_every(1);
    let mut lives = KilledRuns::new(&rig);
    let refuse = "inject=inotify_init1:error=EMFILE";
    let mut runner = rig.traced(&["-e", "trace=inotify_init1", "-e", refuse]);
    let said = runner.wait_logged("cannot watch for changes; relying on periodic scans", &[]);
    assert!(said["error"].as_str().unwrap().contains("max_user_instances"), "{said}");
    runner.wait_logged("ready", &[]);
    let run = rig.trigger("job");
    assert_eq!(lives.wait_end(&run, &mut runner), End::RunFinished);
    assert_eq!(runner.logged("cannot watch for changes; relying on periodic scans", &[]).len(), 1);
    drop(runner);
    lives.recover(&run, "unwatched");
    lives.tally.close("no watches");
}

#[test]
fn change_during_lost_events_is_found() {
    let rig = Rig::new();
    // Scans are an hour apart: only the report of lost events can lead to the change.
    let runner = rig.runner();
    let kept: usize = fs::read_to_string(QUEUE).unwrap().trim().parse().unwrap();
    runner.signal(Signal::STOP);
    let (one, other) = (rig.home("spool/action/new/.one"), rig.home("spool/action/new/.other"));
    write(&one, "");
    // Each rename is two events.
    for _ in 0..kept / 4 + 1 {
        fs::rename(&one, &other).unwrap();
        fs::rename(&other, &one).unwrap();
    }
    write(&rig.path("late.json"), action("/nonexistent").to_string());
    fs::rename(rig.path("late.json"), rig.home("spool/action/new/late.json")).unwrap();
    runner.signal(Signal::CONT);
    wait_until("the action of the file", || rig.database().names() == ["a test"]);
    runner.stop(Signal::TERM);
}
