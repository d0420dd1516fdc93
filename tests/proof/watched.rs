//! Events are lost, or cannot be had: what they would have told is found all the same.

#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

use std::fs;

use rustix::process::Signal;

use crate::rig::runs::{End, KilledRuns};
use crate::rig::trace::require_strace;
use crate::rig::{Rig, action, wait_until, write};

/// Where the system says how many events it keeps for somebody who does not listen.
const QUEUE: &str = "/proc/sys/fs/inotify/max_queued_events";

#[test]
fn where_nothing_can_be_watched_scans_alone_carry_on() {
    require_strace();
    let mut rig = Rig::new();
    rig.scan_every(1);
    let mut lives = KilledRuns::new(&rig);
    let refuse = "inject=inotify_init1:error=EMFILE";
    let mut runner = rig.traced(&["-e", "trace=inotify_init1", "-e", refuse]);
    let said = runner.wait_logged("cannot watch, changes are found by scans alone", &[]);
    assert!(said["error"].as_str().unwrap().contains("max_user_instances"), "{said}");
    runner.wait_logged("ready", &[]);
    let run = rig.trigger("job");
    assert_eq!(lives.wait_end(&run, &mut runner), End::RunFinished);
    assert_eq!(runner.logged("cannot watch, changes are found by scans alone", &[]).len(), 1);
    drop(runner);
    lives.recover(&run, "unwatched");
    lives.tally.close("no watches");
}

#[test]
fn what_happened_while_events_were_lost_is_found() {
    let rig = Rig::new();
    // Nothing but the lost events can lead there: it scans once an hour.
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
