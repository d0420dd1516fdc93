//! Many results and many launches at once: neither starves the other.

use std::time::Instant;

use jiff::SignedDuration;

use crate::backlog::NEVER;
use crate::dispatch::{moment, only};
use crate::home::{Home, Key};
use crate::{Bench, Row, median};

/// How many results are due at one instant.
const RESULTS: usize = 1000;
/// How many jobs are launched in each second from then on, and for how many seconds.
const LAUNCHES: (usize, usize) = (50, 10);
/// How often it is measured: it takes a minute each time.
const TIMES: usize = 3;
/// How far ahead that instant is when the runner starts, in seconds.
const AHEAD: i64 = 10;

/// Measures how much longer results and launches take together than each of them alone.
pub(crate) fn rivals(bench: &Bench) -> Vec<Row> {
    // To unlock a key at every signature takes longer than a fiftieth of a second.
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
    // Two that compete for the same processors and disk have half of them each.
    vec![
        Row::at_most("1,000 results beside 50 launches a second: time to alone", fetch, "×", 2.0)
            .with(format!("{fetched:.1} s, alone {fetched_alone:.1} s")),
        Row::at_most("50 launches a second beside 1,000 results: time to alone", launch, "×", 2.0)
            .with(format!("{launched:.1} s, alone {launched_alone:.1} s")),
    ]
}

/// Lets so many results be due at the instant at which so many seconds of launches begin; returns how
/// many seconds later the last result was stored and the last action accepted.
fn run(bench: &Bench, key: &Key, results: usize, seconds: usize) -> (f64, f64) {
    let home = Home::new(key, bench.server.port, 3600, "parallel = 2\n");
    {
        let mut state = bench.server.state();
        (state.commands, state.status) = (1, "completed");
    }
    let (begin, first) = moment(AHEAD);
    if results > 0 {
        // The server's commands are of this job's action.
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
    assert!(Instant::now() < begin, "it was ready after {ready:?} only");
    let ends = runner
        .wait_for_all(&[("results stored", results), ("action accepted", seconds * LAUNCHES.0)]);
    runner.stop();
    (ends[0].duration_since(begin).as_secs_f64(), ends[1].duration_since(begin).as_secs_f64())
}
