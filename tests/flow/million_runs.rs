//! The cost of a million finished runs: two years of a job that runs each minute.

#![expect(clippy::disallowed_methods, reason = "tests write the files of earlier runners")]

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};

use super::NEVER;
use crate::rig::process::Process;
use crate::rig::{Rig, pause, random, wait_until};

/// Number of finished runs.
const MANY: usize = 1_000_000;
/// Number of hard links that a file may have on every file system.
const NAMES_MAX: usize = 30_000;
/// Maximum additional memory of the runner. The names of the runs alone take more than 60 MiB.
const MORE_KIB_MAX: u64 = 16 * 1024;
/// Maximum processor time, in hundredths of a second, that an idle runner uses in [`SAMPLE_SPAN`]
/// while it scans each second. Listing the names once takes longer than that.
const IDLE_MAX: u64 = 10;
const SAMPLE_SPAN: Duration = Duration::from_secs(3);

/// Returns the peak memory of a process, in KiB.
fn peak_memory(runner: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", runner.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Returns the processor time that a process has used, in hundredths of a second.
fn processor_time(runner: &Process) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", runner.pid())).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// Waits until the runner only scans.
fn wait_until_idle(runner: &Process) {
    wait_until("an idle runner", || {
        let before = processor_time(runner);
        pause(SAMPLE_SPAN);
        processor_time(runner) - before <= IDLE_MAX
    });
}

#[test]
fn million_finished_runs_cost_neither_memory_nor_time() {
    if !random::full() {
        return;
    }
    let mut rig = Rig::new();
    rig.scan_every(1);
    rig.job("job", &format!("{NEVER}\nexpiry = 2s"));
    let runner = rig.runner();
    rig.wait_done(&rig.trigger("job"));
    wait_until_idle(&runner);
    let without = peak_memory(&runner);
    runner.kill();

    let (done, finished) = (rig.home("spool/action/done"), rig.home("spool/command/done"));
    let first: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
    let mut model = fs::read_dir(&done).unwrap().next().unwrap().unwrap().path();
    for number in 0..MANY {
        let slot = first + i64::try_from(number).unwrap().minutes();
        let name = format!("job.{}.json", slot.strftime("%Y%m%dT%H%M%SZ"));
        let linked = if number % NAMES_MAX == 0 {
            fs::copy(&model, done.join(&name)).map(|_| model = done.join(&name))
        } else {
            fs::hard_link(&model, done.join(&name))
        };
        match linked.and_then(|()| fs::hard_link(&model, finished.join(&name))) {
            // A tmpfs counts each name as a file, and may not have room for a million.
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                eprintln!("skipped: the disk has no room for a million files");
                return;
            }
            linked => linked.unwrap(),
        }
    }

    let runner = rig.runner();
    wait_until_idle(&runner);
    rig.wait_done(&rig.trigger("job"));
    wait_until_idle(&runner);
    let with = peak_memory(&runner);
    println!("at most {without} KiB without them, {with} KiB with them");
    assert!(with < without + MORE_KIB_MAX, "{with} KiB, and {without} KiB without them");
    runner.kill();
}
