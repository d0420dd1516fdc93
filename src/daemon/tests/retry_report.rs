//! What is told of what is tried again: only while something waits for it.
#![expect(clippy::disallowed_methods, reason = "tests look behind the runner's back")]

use std::os::unix::fs::MetadataExt;

use jiff::Timestamp;

use super::{ID, rig};
use crate::clock::Clock;
use crate::daemon::testing::{Mood, Rig};
use crate::spool::{Folder, RetryReport};

const FILE: &str = "spool/.retries";

fn told(rig: &Rig) -> Option<RetryReport> {
    rig.engine().parts.spool.view().retry_report().unwrap()
}

fn at(time: &str) -> Timestamp {
    format!("2026-11-22T{time}Z").parse().unwrap()
}

/// Tells whether a runner shows that its disk is in trouble.
fn is_degraded(rig: &Rig) -> bool {
    let spool = &rig.engine().parts.spool;
    spool.disk().lock_holder(&spool.layout().scratch()).unwrap().is_some()
}

#[test]
fn an_api_that_is_away_is_told_until_it_serves_again() {
    let mut rig = rig("");
    std::fs::write(rig.path(FILE), "left by one that was killed").unwrap();
    rig.at("2026-11-22T12:00:50Z");
    assert_eq!(rig.tell(), None);
    assert!(!rig.path(FILE).exists());
    rig.platform.expect(&[Mood::Away, Mood::Away]);
    rig.at("2026-11-22T12:01:00Z");
    rig.tell();
    let api = told(&rig).unwrap().api.unwrap();
    assert_eq!(api.failures, 1);
    assert_eq!(api.next_attempt, at("12:01:01"));
    assert_eq!(told(&rig).unwrap().attempts, []);
    // It fails again too soon to be told at once.
    rig.at("2026-11-22T12:01:01Z");
    assert_eq!(rig.tell(), Some(at("12:01:02")));
    assert_eq!(told(&rig).unwrap().api, Some(api));
    rig.clock_to("2026-11-22T12:01:02Z");
    assert_eq!(rig.tell(), None);
    let again = told(&rig).unwrap();
    assert_eq!(again.api.unwrap().next_attempt, at("12:01:02"));
    rig.at("2026-11-22T12:01:09Z");
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
    assert_eq!(rig.tell(), None);
    assert!(!rig.path(FILE).exists());
}

#[test]
fn a_plugin_that_fails_is_told_once_for_each_attempt() {
    let mut rig = rig("plugin = fails\nplugin = works");
    rig.plugin("fails", "exit 1");
    rig.plugin("works", "cat > /dev/null");
    rig.platform.answer(1, true);
    rig.at("2026-11-22T12:01:00Z");
    rig.tell();
    assert!(!rig.path(FILE).exists());
    rig.job("job", "schedule = \"0 0 1 1 *\"");
    rig.at("2026-11-22T12:01:20Z");
    rig.tell();
    let first = told(&rig).unwrap();
    let [attempt] = &first.attempts[..] else { panic!("{first:?}") };
    assert_eq!((attempt.folder, attempt.run.as_str()), (Folder::Returned, ID));
    assert_eq!(attempt.plugin.as_ref().unwrap().as_str(), "fails");
    assert_eq!((attempt.again.failures, attempt.again.next_attempt), (1, at("12:01:21")));
    assert_eq!((first.api, first.more, first.process), (None, 0, std::process::id()));
    // What has not changed is not written.
    let inode = |rig: &Rig| rig.path(FILE).metadata().unwrap().ino();
    let old = inode(&rig);
    for second in 20..25 {
        rig.clock_to(&format!("2026-11-22T12:01:{second}Z"));
        rig.tell();
    }
    assert_eq!(inode(&rig), old);
    rig.at("2026-11-22T12:01:30Z");
    rig.tell();
    assert_eq!(told(&rig).unwrap().attempts[0].again.failures, 2);
    rig.plugin("fails", "exit 0");
    rig.at("2026-11-22T12:01:40Z");
    rig.tell();
    assert_eq!(rig.spool(), [format!("action/done {ID}"), format!("command/done {ID}")]);
    assert!(!rig.path(FILE).exists());
}

#[test]
fn nothing_is_told_any_more_after_an_ordered_stop() {
    let mut rig = rig("");
    rig.platform.expect(&[Mood::Drop]);
    rig.at("2026-11-22T12:01:00Z");
    rig.tell();
    let [attempt] = &told(&rig).unwrap().attempts[..] else { panic!() };
    assert_eq!((attempt.folder, attempt.again.failures), (Folder::New, 1));
    rig.stop();
    assert!(!rig.path(FILE).exists());
}

#[test]
fn a_disk_that_does_not_take_it_is_in_trouble_until_it_does() {
    let mut rig = rig("");
    rig.at("2026-11-22T12:00:59Z");
    assert_eq!(rig.tell(), None);
    std::fs::create_dir(rig.path(FILE)).unwrap();
    rig.platform.expect(&[Mood::Away]);
    rig.at("2026-11-22T12:01:00Z");
    rig.clock_to("2026-11-22T12:01:01Z");
    assert_eq!(rig.tell(), Some(at("12:01:31")));
    assert!(is_degraded(&rig));
    std::fs::remove_dir(rig.path(FILE)).unwrap();
    rig.clock_to("2026-11-22T12:01:30Z");
    assert_eq!(rig.tell(), Some(at("12:01:31")));
    // Not even a clock that was set back puts it off.
    rig.clock_to("2026-11-22T11:00:00Z");
    assert_eq!(rig.tell(), None);
    assert_eq!(told(&rig).unwrap().api.unwrap().failures, 1);
    assert!(!is_degraded(&rig));
    assert_eq!(rig.clock.now(), at("11:00:00"));
}
