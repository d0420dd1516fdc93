//! Many jobs, and many unfinished runs.

use jiff::{SignedDuration, Timestamp};

use crate::home::{Home, await_free_inodes};
use crate::{Bench, Row, TIMES, median};

/// Number of jobs to which the runs of a backlog belong.
const JOBS: u64 = 20;
/// Number of jobs of which none is due.
const IDLE_JOBS: u64 = 10_000;
/// Number of measurements of runs without results.
const EMPTY_TIMES: usize = 3;
/// Time between two scans, in seconds.
const CHECK: u32 = 30;
/// The schedule of jobs that are never due.
pub(crate) const NEVER: &str = "schedule = \"0 0 1 1 * 2099\"";

/// Measures how fast the runner fetches the results of many runs that have none.
pub(crate) fn no_results(bench: &Bench) -> Vec<Row> {
    const RUNS: u64 = 1000;
    {
        let mut state = bench.server.state();
        // As the platform reports an action that it has sent to no agent.
        (state.commands, state.status) = (0, "invalid");
    }
    let mut times = Vec::new();
    for _ in 0..EMPTY_TIMES {
        await_free_inodes();
        let home = Home::new(&bench.key, bench.server.port, CHECK, "");
        backlog(&home, RUNS, Timestamp::now() - SignedDuration::from_mins(5));
        let runner = home.start();
        runner.ready();
        bench.server.forget();
        let begin = std::time::Instant::now();
        let stored = runner.wait_for("results stored", usize::try_from(RUNS).expect("small"));
        times.push((stored[stored.len() - 1] - begin).as_secs_f64());
        runner.stop();
    }
    bench.server.state().status = "completed";
    vec![Row::at_most("1,000 runs whose results are due, without results", median(times), "s", 2.0)]
}

/// Measures a start with many runs in flight, and the idle time after it.
pub(crate) fn in_flight(bench: &Bench) -> Vec<Row> {
    const RUNS: u64 = 10_000;
    let home = Home::new(&bench.key, bench.server.port, CHECK, "");
    backlog(&home, RUNS, Timestamp::now() + SignedDuration::from_hours(24));
    let adopting = home.start();
    let adopted = adopting.ready().as_secs_f64();
    adopting.stop();
    let mut times = Vec::new();
    let mut cpu = 0.0;
    let mut memory = 0.0;
    for time in 0..TIMES {
        let runner = home.start();
        times.push(runner.ready().as_secs_f64());
        if time + 1 == TIMES {
            cpu = runner.cpu_a_minute(CHECK);
            memory = runner.memory("VmRSS");
        }
        runner.stop();
    }
    vec![
        Row::at_most("10,000 runs in flight at the start: ready after", median(times), "s", 1.0)
            .with(format!("adopted from the original in {adopted:.1} s")),
        Row::at_most("10,000 runs in flight: processor time per minute (once)", cpu, "s", 0.5)
            .with(format!("{memory:.1} MiB")),
    ]
}

/// Measures the start of a runner with many new jobs, and its idle time.
pub(crate) fn idle(bench: &Bench) -> Vec<Row> {
    let empty = Home::new(&bench.key, bench.server.port, CHECK, "");
    let without = empty.start();
    without.ready();
    let base = without.settled_memory();
    without.stop();
    let home = Home::new(&bench.key, bench.server.port, CHECK, "");
    distinct_jobs(&home);
    // Without a spool, all jobs are new. The old one is kept: after a removal, ext4 looks for unused
    // inodes much longer.
    let first = (0..TIMES).map(|time| {
        if time > 0 {
            std::fs::rename(home.path("spool"), home.path(&format!("spool{time}")))
                .expect("a move");
        }
        let runner = home.start();
        // The last slot of each job is durable when the runner is ready.
        let ready = runner.ready().as_secs_f64();
        runner.stop();
        ready
    });
    let first = median(first.collect());
    let runner = home.start();
    let ready = runner.ready().as_secs_f64();
    let cpu = runner.cpu_a_minute(CHECK);
    let memory = runner.memory("VmRSS");
    runner.stop();
    let per_job = (memory - base) * 1024.0 / IDLE_JOBS as f64;
    vec![
        Row::at_most("start: 10,000 new jobs ready", first, "s", 3.0)
            .with(format!("known jobs {ready:.2} s (once)")),
        Row::at_most("10,000 jobs, nothing due: processor time per minute (once)", cpu, "s", 0.2),
        Row::at_most("10,000 jobs, nothing due: memory (once)", memory, "MiB", 30.0)
            .with(format!("without jobs {base:.1} MiB")),
        Row::at_most("the same: memory per job (once)", per_job, "KiB", 1.5),
    ]
}

/// Creates many jobs that are never due. Each has a schedule and an action of its own.
pub(crate) fn distinct_jobs(home: &Home) {
    for number in 0..IDLE_JOBS {
        let (minute, hour, day) = (number % 60, number / 60 % 24, 1 + number / 1440);
        let schedule = format!("schedule = \"{minute} {hour} {day} 1 * 2099\"");
        home.job(&format!("job{number}"), &schedule);
    }
}

/// Creates runs in flight that expire at `expiry`.
pub(crate) fn backlog(home: &Home, runs: u64, expiry: Timestamp) {
    for job in 0..JOBS {
        let (name, each) = (format!("job{job}"), runs / JOBS);
        home.job(&name, NEVER);
        let first = 1_000_000 + job * each;
        home.inflight(&name, first..first + each, expiry);
    }
}
