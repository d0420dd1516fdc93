//! The retry report, which exists only while a retry is waiting.
#![expect(clippy::disallowed_methods, reason = "tests inspect and replace the file")]

use std::os::unix::fs::MetadataExt;

use jiff::Timestamp;

use super::{ID, rig};
use crate::clock::Clock;
use crate::daemon::testing::{PostReply, Rig};
use crate::spool::{Folder, RetryReport};

const FILE: &str = "spool/.retries";

fn report(rig: &Rig) -> Option<RetryReport> {
    rig.engine().parts().spool.view().retry_report().unwrap()
}

fn at(time: &str) -> Timestamp {
    format!("2026-11-22T{time}Z").parse().unwrap()
}

/// Returns whether the engine shows `status` that its disk fails.
fn is_degraded(rig: &Rig) -> bool {
    let spool = &rig.engine().parts().spool;
    spool.disk().lock_holder(&spool.layout().degraded()).unwrap().is_some()
}

#[test]
fn unavailable_api_is_reported_until_it_is_available_again() {
    let mut rig = rig("");
    std::fs::write(rig.path(FILE), "left by a runner that was killed").unwrap();
    rig.run_at("2026-11-22T12:00:50Z");
    assert_eq!(rig.write_retry_report(), None);
    assert!(!rig.path(FILE).exists());
    rig.platform.script_replies(&[PostReply::Unavailable, PostReply::Unavailable]);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_retry_report();
    let api = report(&rig).unwrap().api.unwrap();
    assert_eq!(api.failures, 1);
    assert_eq!(api.next_attempt, at("12:01:01"));
    assert_eq!(report(&rig).unwrap().attempts, []);
    // The next failure is too soon for an update.
    rig.run_at("2026-11-22T12:01:01Z");
    assert_eq!(rig.write_retry_report(), Some(at("12:01:02")));
    assert_eq!(report(&rig).unwrap().api, Some(api));
    rig.set_clock("2026-11-22T12:01:02Z");
    assert_eq!(rig.write_retry_report(), None);
    let again = report(&rig).unwrap();
    assert_eq!(again.api.unwrap().next_attempt, at("12:01:02"));
    rig.run_at("2026-11-22T12:01:09Z");
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
    assert_eq!(rig.write_retry_report(), None);
    assert!(!rig.path(FILE).exists());
}

#[test]
fn failing_plugin_is_reported_once_for_each_attempt() {
    let mut rig = rig("plugin = fails\nplugin = works");
    rig.write_plugin("fails", "exit 1");
    rig.write_plugin("works", "cat > /dev/null");
    rig.platform.set_agents(1, true);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_retry_report();
    assert!(!rig.path(FILE).exists());
    rig.write_job("job", "schedule = \"0 0 1 1 *\"");
    rig.run_at("2026-11-22T12:01:20Z");
    rig.write_retry_report();
    let first = report(&rig).unwrap();
    let [attempt] = &first.attempts[..] else { panic!("{first:?}") };
    assert_eq!((attempt.folder, attempt.run.as_str()), (Folder::Returned, ID));
    assert_eq!(attempt.plugin.as_ref().unwrap().as_str(), "fails");
    assert_eq!((attempt.retry.failures, attempt.retry.next_attempt), (1, at("12:01:21")));
    assert_eq!((first.api, first.more, first.process), (None, 0, std::process::id()));
    // An unchanged report is not written again.
    let inode = |rig: &Rig| rig.path(FILE).metadata().unwrap().ino();
    let old = inode(&rig);
    for second in 20..25 {
        rig.set_clock(&format!("2026-11-22T12:01:{second}Z"));
        rig.write_retry_report();
    }
    assert_eq!(inode(&rig), old);
    rig.run_at("2026-11-22T12:01:30Z");
    rig.write_retry_report();
    assert_eq!(report(&rig).unwrap().attempts[0].retry.failures, 2);
    rig.write_plugin("fails", "exit 0");
    rig.run_at("2026-11-22T12:01:40Z");
    rig.write_retry_report();
    assert_eq!(rig.spool(), [format!("action/done {ID}"), format!("command/done {ID}")]);
    assert!(!rig.path(FILE).exists());
}

#[test]
fn retry_report_is_removed_on_stop() {
    let mut rig = rig("");
    rig.platform.script_replies(&[PostReply::DropConnection]);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_retry_report();
    let [attempt] = &report(&rig).unwrap().attempts[..] else { panic!() };
    assert_eq!((attempt.folder, attempt.retry.failures), (Folder::New, 1));
    rig.stop();
    assert!(!rig.path(FILE).exists());
}

#[test]
fn report_that_cannot_be_written_is_a_disk_error_until_it_is_written() {
    let mut rig = rig("");
    rig.run_at("2026-11-22T12:00:59Z");
    assert_eq!(rig.write_retry_report(), None);
    std::fs::create_dir(rig.path(FILE)).unwrap();
    // Another user who can open the folders of the spool locks them.
    let hostile = ["spool", "spool/.tmp"].map(|name| std::fs::File::open(rig.path(name)).unwrap());
    hostile.iter().for_each(|folder| fs2::FileExt::try_lock_exclusive(folder).unwrap());
    rig.platform.script_replies(&[PostReply::Unavailable]);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.set_clock("2026-11-22T12:01:01Z");
    assert_eq!(rig.write_retry_report(), Some(at("12:01:31")));
    assert!(is_degraded(&rig));
    assert_eq!(rig.path("spool/.degraded").metadata().unwrap().mode() & 0o777, 0o600);
    std::fs::remove_dir(rig.path(FILE)).unwrap();
    rig.set_clock("2026-11-22T12:01:30Z");
    assert_eq!(rig.write_retry_report(), Some(at("12:01:31")));
    // A clock that was set back does not delay it.
    rig.set_clock("2026-11-22T11:00:00Z");
    assert_eq!(rig.write_retry_report(), None);
    assert_eq!(report(&rig).unwrap().api.unwrap().failures, 1);
    assert!(!is_degraded(&rig));
    assert_eq!(rig.clock.now(), at("11:00:00"));
}
