//! Fetches and launches that compete: neither delays the other without limit.

use std::time::Instant;

use jiff::SignedDuration;

use crate::backlog::NEVER;
use crate::dispatch::{moment, only};
use crate::home::{Home, Key};
use crate::{Bench, Row, median};

/// Number of runs whose results are due at the same time.
const RESULTS: usize = 1000;
/// Number of jobs that are due in each second from then on, and the number of seconds.
const LAUNCHES: (usize, usize) = (50, 10);
/// Number of measurements, each of which takes a minute.
const TIMES: usize = 3;
/// Time from the start of the runner until they are due, in seconds.
const AHEAD: i64 = 10;

/// Measures results and launches together, relative to each of them alone.
pub(crate) fn rivals(bench: &Bench) -> Vec<Row> {
    // A key without a passphrase: unlocking one for each signature takes longer than 20 ms.
    let key = Key::new("");
    let mut times: [Vec<f64>; 4] = Default::default();
    let mut ratios: [Vec<f64>; 2] = Default::default();
    for _ in 0..TIMES {
        let (fetched_alone, _) = run(bench, &key, RESULTS, 0);
        let (_, launched_alone) = run(bench, &key, 0, LAUNCHES.1);
        let (fetched, launched) = run(bench, &key, RESULTS, LAUNCHES.1);
        let all = [fetched_alone, fetched, launched_alone, launched];
        times.iter_mut().zip(all).for_each(|(times, time)| times.push(time));
        ratios[0].push(fetched / fetched_alone);
        ratios[1].push(launched / launched_alone);
    }
    let [fetched_alone, fetched, launched_alone, launched] = times.map(median);
    let [fetch, launch] = ratios.map(median);
    // Each of them has half of the processors and of the disk.
    vec![
        Row::at_most(
            "1,000 results beside 50 launches a second: time, relative to alone",
            fetch,
            "×",
            2.0,
        )
        .with(format!("{fetched:.1} s, alone {fetched_alone:.1} s")),
        Row::at_most(
            "50 launches a second beside 1,000 results: time, relative to alone",
            launch,
            "×",
            2.0,
        )
        .with(format!("{launched:.1} s, alone {launched_alone:.1} s")),
    ]
}

/// Runs a runner with `results` runs whose results are due when `seconds` of launches begin. Returns the
/// time until the last result was stored, and until the last action was accepted, in seconds.
fn run(bench: &Bench, key: &Key, results: usize, seconds: usize) -> (f64, f64) {
    let home = Home::new(key, bench.server.port, 3600, "parallel = 2\n");
    {
        let mut state = bench.server.state();
        (state.commands, state.status) = (1, "completed");
    }
    let (begin, first) = moment(AHEAD);
    if results > 0 {
        // The server's commands belong to this job's action.
        home.job("job", NEVER);
        home.inflight("job", 1_000_000..1_000_000 + u64::try_from(results).expect("small"), first);
    }
    for second in 0..seconds {
        let slot = first + SignedDuration::from_secs(i64::try_from(second).expect("small"));
        for number in 0..LAUNCHES.0 {
            home.job(&format!("launch{second}-{number}"), &only(slot));
        }
    }
    let runner = home.start();
    let ready = runner.ready();
    assert!(Instant::now() < begin, "the runner was not ready until {ready:?} after its start");
    let ends = runner
        .wait_for_all(&[("results stored", results), ("action accepted", seconds * LAUNCHES.0)]);
    runner.stop();
    (ends[0].duration_since(begin).as_secs_f64(), ends[1].duration_since(begin).as_secs_f64())
}
