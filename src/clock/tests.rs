//! The clock of the system, compared with what the system itself says.
#![expect(clippy::disallowed_methods, reason = "tests ask the system in other ways")]

use std::process::Command;
use std::time::Duration;

use super::{Clock as _, SystemClock};
use crate::testing::skip;

/// The name of the test that is run again where the clocks of the system differ.
const COMPARISON: &str = "clock::tests::time_passes_as_the_system_says";
/// For how long the machine of the second test is suspended, in seconds.
const SUSPENDED: &str = "864000";

/// Returns for how long the machine has been running, suspended or not.
fn uptime() -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    Duration::from_secs_f64(text.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn time_passes_as_the_system_says() {
    let (before, running, after) = (uptime(), SystemClock.running(), uptime());
    let grain = Duration::from_millis(20);
    assert!(before <= running + grain && running <= after + grain, "{before:?} {running:?}");
}

#[test]
fn time_in_which_the_machine_is_suspended_counts() {
    // A namespace whose clocks show that the machine was suspended for ten days.
    let namespace = ["--user", "--map-root-user", "--time", "--boottime", SUSPENDED, "--fork"];
    let begin = || {
        let mut command = Command::new("unshare");
        command.args(namespace);
        command
    };
    if !begin().arg("true").output().is_ok_and(|output| output.status.success()) {
        return skip("there is no namespace of times");
    }
    let uptime_there = begin().args(["cat", "/proc/uptime"]).output().unwrap().stdout;
    let uptime_there = String::from_utf8(uptime_there).unwrap();
    let seconds: f64 = uptime_there.split(' ').next().unwrap().parse().unwrap();
    assert!(Duration::from_secs_f64(seconds) > uptime() + Duration::from_secs(800_000));
    let test = std::env::current_exe().unwrap();
    let output = begin().arg(test).args(["--exact", COMPARISON]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
