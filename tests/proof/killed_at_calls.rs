//! Kills the runner at its system calls, just before the call takes effect.

use std::collections::BTreeMap;
use std::fs;

use crate::rig::process::Process;
use crate::rig::proxy::{Proxy, ProxyFault};
use crate::rig::random::{SeededRandom, full};
use crate::rig::runs::{End, KilledRuns};
use crate::rig::trace::require_strace;
use crate::rig::{Rig, wait, wait_until};

/// The calls that change files, by their effect; a system uses one or another of each group.
const CALLS: [(&str, &[&str]); 5] = [
    ("renames", &["rename", "renameat", "renameat2"]),
    ("unlinks and links", &["unlink", "unlinkat", "symlink", "symlinkat"]),
    ("fsyncs", &["fsync", "fdatasync"]),
    ("opens", &["openat"]),
    ("writes", &["write"]),
];
/// Number of calls of a kind to try, unless everything is tried.
const QUICK_POINTS: u64 = 2;
/// Maximum number of calls of a kind to try. Of more calls, a random part is tried, because most of
/// them open libraries and write the log.
const POINTS_MAX: u64 = 60;
/// The calls with which a worker writes a document.
const WORKERS_CALLS: [&str; 6] = ["renameat2", "unlink", "fsync", "symlink", "openat", "write"];
/// The text in the request for a page of results.
const PAGE: &str = "type=command&";

fn rig() -> Rig {
    let mut rig = Rig::new();
    // After a kill, a POST that was never sent has an unknown outcome too.
    rig.configure("settle = 1s");
    rig
}

/// Returns the numbers of the calls to try, in order: all of `calls`, or a random part.
fn points(calls: u64, chance: &mut SeededRandom) -> Vec<u64> {
    let wanted = if full() { POINTS_MAX } else { QUICK_POINTS };
    if calls <= wanted {
        return (1..=calls).collect();
    }
    let mut points: Vec<u64> = (0..wanted).map(|_| 1 + chance.below(calls)).collect();
    points.sort_unstable();
    points.dedup();
    points
}

/// Kills the runner at its `when`th call, if it makes that many; then another runner takes over.
fn kill_at(lives: &mut KilledRuns<'_>, call: &str, when: u64) -> End {
    let point = format!("{call} {when}");
    let run = lives.rig.trigger("job");
    let inject = format!("inject=?{call}:signal=KILL:when={when}");
    let mut runner = lives.rig.traced(&["-e", &format!("trace=?{call}"), "-e", &inject]);
    let end = lives.wait_end(&run, &mut runner);
    drop(runner);
    lives.recover(&run, &point);
    end
}

#[test]
fn runner_killed_at_a_system_call_loses_nothing_and_posts_nothing_twice() {
    require_strace();
    let (rig, mut chance) = (rig(), SeededRandom::new());
    let mut lives = KilledRuns::new(&rig);
    // An uninterrupted run counts the calls.
    let run = rig.trigger("job");
    let all: Vec<&str> = CALLS.iter().flat_map(|(_, calls)| *calls).copied().collect();
    let mut runner = rig.traced(&["-e", &format!("trace=?{}", all.join(",?"))]);
    assert_eq!(lives.wait_end(&run, &mut runner), End::RunFinished);
    drop(runner);
    lives.recover(&run, "uninterrupted");
    let counts = rig.counts();
    for (what, calls) in CALLS {
        let mut killed = 0;
        for call in calls {
            let count = counts.get(*call).copied().unwrap_or_default();
            for when in points(count, &mut chance) {
                killed += u64::from(kill_at(&mut lives, call, when) == End::RunnerDied);
            }
        }
        println!("{what}: killed at {killed}");
        assert!(killed > 0, "no {what}: {counts:?}");
    }
    lives.tally.close("SIGKILL at a system call of any thread");
}

/// Returns the threads of a process except the first, which makes all moves.
fn worker_threads(runner: &Process) -> Vec<String> {
    let first = runner.pid().as_raw_nonzero().to_string();
    let tasks = fs::read_dir(format!("/proc/{first}/task")).unwrap();
    let numbers = tasks.map(|task| task.unwrap().file_name().into_string().unwrap());
    numbers.filter(|number| *number != first).collect()
}

/// Kills the runner at the `when`th call of a thread that fetches results.
fn kill_worker_at(lives: &mut KilledRuns<'_>, proxy: &Proxy, call: &str, when: u64) -> End {
    let (rig, point) = (lives.rig, format!("{call} {when} of a worker"));
    proxy.inject(PAGE, ProxyFault::AnswerPaused);
    let mut runner = rig.runner();
    let run = rig.trigger("job");
    rig.wait_in("action/inflight", &run);
    // The results are requested, and the proxy holds the answer until all tracers are ready.
    wait("a page", || {
        if !proxy.has_paused() {
            lives.collect(&run);
        }
        proxy.has_paused().then_some(())
    });
    let tracers: Vec<Process> = worker_threads(&runner)
        .iter()
        .map(|thread| rig.trace_thread(thread, call, &format!("signal=KILL:when={when}")))
        .collect();
    wait_until("all tracers", || {
        tracers.iter().all(|tracer| tracer.messages().contains("attached"))
    });
    proxy.release();
    let end = lives.wait_end(&run, &mut runner);
    drop(tracers);
    drop(runner);
    lives.recover(&run, &point);
    end
}

#[test]
fn runner_killed_at_a_system_call_of_a_worker_loses_no_result_as_root() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can attach strace to a protected process");
        return;
    }
    require_strace();
    let (rig, mut chance) = (rig(), SeededRandom::new());
    let proxy = Proxy::start(&rig, &[]);
    rig.point_at(&proxy.address);
    let mut lives = KilledRuns::new(&rig);
    let mut killed: BTreeMap<&str, u64> = BTreeMap::new();
    for call in WORKERS_CALLS {
        // Unless everything is tried, the first or second call of each kind is tried.
        let whens: Vec<u64> =
            if full() { (1..=POINTS_MAX).collect() } else { vec![1 + chance.below(2)] };
        for when in whens {
            match kill_worker_at(&mut lives, &proxy, call, when) {
                End::RunnerDied => *killed.entry(call).or_default() += 1,
                End::RunFinished => break,
            }
        }
    }
    assert!(!killed.is_empty(), "no worker was killed");
    println!("{killed:?}");
    lives.tally.close("SIGKILL at a system call of a thread that fetches");
}
