//! Compares the system clock with `/proc/uptime`.
#![expect(clippy::disallowed_methods, reason = "tests read the time in other ways")]

use std::process::Command;
use std::time::Duration;

use super::{Clock as _, SystemClock};
use crate::testing::{copy_of_this_program, private_folder, skip};

/// The name of the test that is run again in a namespace with other clocks.
const COMPARISON: &str = "clock::tests::running_time_equals_the_uptime";
/// The time for which the machine appears to have been suspended, in seconds.
const SUSPENDED: &str = "864000";

/// Returns the time since the boot, including suspended time.
fn uptime() -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    Duration::from_secs_f64(text.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn running_time_equals_the_uptime() {
    let (before, running, after) = (uptime(), SystemClock.running(), uptime());
    let grain = Duration::from_millis(20);
    assert!(before <= running + grain && running <= after + grain, "{before:?} {running:?}");
}

#[test]
fn suspended_time_counts() {
    // In this time namespace the machine appears to have been suspended for ten days.
    let namespace = ["--user", "--map-root-user", "--time", "--boottime", SUSPENDED, "--fork"];
    let begin = || {
        let mut command = Command::new("unshare");
        command.args(namespace);
        command
    };
    if !begin().arg("true").output().is_ok_and(|output| output.status.success()) {
        return skip("time namespaces are not available");
    }
    let uptime_there = begin().args(["cat", "/proc/uptime"]).output().unwrap().stdout;
    let uptime_there = String::from_utf8(uptime_there).unwrap();
    let seconds: f64 = uptime_there.split(' ').next().unwrap().parse().unwrap();
    assert!(Duration::from_secs_f64(seconds) > uptime() + Duration::from_secs(800_000));
    let folder = private_folder();
    let test = copy_of_this_program(folder.path());
    let output = begin().arg(test).args(["--exact", COMPARISON]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}
