//! Many jobs, and many unfinished runs.

use jiff::{SignedDuration, Timestamp};

use crate::home::Home;
use crate::{Bench, Row, TIMES, median};

/// Number of jobs to which the runs of a backlog belong.
const JOBS: u64 = 20;
/// The schedule of jobs that are never due.
pub(crate) const NEVER: &str = "schedule = \"0 0 1 1 * 2099\"";

/// Measures how fast the runner fetches the results of many runs that have none.
pub(crate) fn no_results(bench: &Bench) -> Vec<Row> {
    const RUNS: u64 = 1000;
    bench.server.state().commands = 0;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let home = Home::new(&bench.key, bench.server.port, 30, "");
        backlog(&home, RUNS, Timestamp::now() - SignedDuration::from_mins(5));
        let runner = home.start();
        runner.ready();
        bench.server.forget();
        let begin = std::time::Instant::now();
        let stored = runner.wait_for("results stored", usize::try_from(RUNS).expect("small"));
        times.push((stored[stored.len() - 1] - begin).as_secs_f64());
        runner.stop();
    }
    vec![Row::at_most("1,000 runs whose results are due, without results", median(times), "s", 2.0)]
}

/// Measures a start with many runs in flight, and the idle time after it.
pub(crate) fn in_flight(bench: &Bench) -> Vec<Row> {
    const RUNS: u64 = 10_000;
    let home = Home::new(&bench.key, bench.server.port, 30, "");
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
            cpu = runner.cpu_a_minute();
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

/// Measures the idle time of a runner with many jobs.
pub(crate) fn idle(bench: &Bench) -> Vec<Row> {
    const IDLE_JOBS: u64 = 10_000;
    let home = Home::new(&bench.key, bench.server.port, 30, "");
    for number in 0..IDLE_JOBS {
        home.job(&format!("job{number}"), NEVER);
    }
    let first = home.start();
    let first_ready = first.ready().as_secs_f64();
    first.stop();
    let runner = home.start();
    let ready = runner.ready().as_secs_f64();
    let cpu = runner.cpu_a_minute();
    let memory = runner.memory("VmRSS");
    runner.stop();
    vec![
        Row::at_most("10,000 jobs, nothing due: processor time per minute (once)", cpu, "s", 0.3)
            .with(format!("ready after {ready:.2} s, the first time {first_ready:.2} s")),
        Row::at_most("10,000 jobs, nothing due: memory (once)", memory, "MiB", 40.0),
    ]
}

/// Creates runs in flight that expire at `expiry`.
fn backlog(home: &Home, runs: u64, expiry: Timestamp) {
    for job in 0..JOBS {
        let (name, each) = (format!("job{job}"), runs / JOBS);
        home.job(&name, NEVER);
        let first = 1_000_000 + job * each;
        home.inflight(&name, first..first + each, expiry);
    }
}
