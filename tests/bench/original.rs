//! This runner beside the original, Mozilla's runner in Go.
//!
//! `MIG_ORIGINAL` is the path of the original's program; any other runner with the same directory and
//! configuration will do. Both programs are measured in turn, against the same platform, in
//! installations with the same content. What they log differs, so only the platform and the files
//! count: requests, in-flight files and results.
//!
//! What is particular to the original: it reads a key ring of the old form, knows no `timezone`, and
//! waits five seconds after its start before it looks at actions in flight.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};

use crate::backlog::{NEVER, backlog, distinct_jobs};
use crate::burst::{JOBS, PASSPHRASE_JOBS, POST_WORK, due};
use crate::home::{Home, Key, Program, Runner};
use crate::server::COMMAND_BYTES;
use crate::{Bench, Row, median};

/// The environment variable with the path of the original.
const VARIABLE: &str = "MIG_ORIGINAL";
/// Number of measurements of each program.
const TIMES: usize = 3;
/// Size of each result in bytes.
const RESULT_BYTES: usize = 2500;
/// Time between two looks at the results.
const LOOK_SPAN: Duration = Duration::from_millis(5);
/// Time limit for results.
const PATIENCE: Duration = Duration::from_secs(900);
/// The end of a complete file of results of a job without a plugin.
const END: &[u8] = br#""plugin":""}"#;
/// Time from the start until a program with many jobs is idle.
const REST: Duration = Duration::from_secs(30);

/// Measures both programs, if the original is given.
pub(crate) fn original(bench: &Bench) -> Vec<Row> {
    let Some(path) = std::env::var_os(VARIABLE) else {
        println!(
            "original: skipped, because {VARIABLE} is not set: it is the path of the original's program"
        );
        return Vec::new();
    };
    let programs = [Program::runner(), Program { path: program(&path), is_original: true }];
    let key = Key::new("");
    let burst = |program: &Program, key: &Key, jobs| {
        due(program, &bench.server, key, jobs, POST_WORK).seconds
    };
    let mut rows = vec![
        compare("200 jobs due at once: last accepted", TIMES, &programs, |program| {
            burst(program, &key, JOBS)
        }),
        compare("60 jobs due at once, passphrase: last accepted", TIMES, &programs, |program| {
            burst(program, &bench.key, PASSPHRASE_JOBS)
        }),
        compare("1,000 runs without results: start to last result", TIMES, &programs, |program| {
            no_results(bench, program, &key)
        }),
    ];
    for (commands, times) in [(1000, TIMES), (10_000, 1)] {
        let what = format!("{commands} results of 2.5 KB: first request to file");
        rows.push(compare(&what, times, &programs, |program| {
            fetch(bench, program, &key, commands)
        }));
    }
    rows.extend(idle(bench, &programs, &key));
    rows
}

/// Returns the absolute path of the original.
fn program(path: &OsStr) -> PathBuf {
    let found = fs::canonicalize(path);
    found.unwrap_or_else(|error| panic!("{VARIABLE} = {}: {error}", path.display()))
}

/// Measures both programs in turn; returns their ratio.
fn compare(
    what: &str,
    times: usize,
    programs: &[Program; 2],
    measure: impl Fn(&Program) -> f64,
) -> Row {
    let mut figures: [Vec<f64>; 2] = Default::default();
    for _ in 0..times {
        for (figures, program) in figures.iter_mut().zip(programs) {
            figures.push(measure(program));
        }
    }
    let [ours, theirs] = figures.map(median);
    row(what, ours, theirs, "s")
}

/// Returns the row of a figure of both programs, relative to the original.
fn row(what: &str, ours: f64, theirs: f64, unit: &str) -> Row {
    let seen = format!("{ours:.2} {unit}, original {theirs:.2} {unit}");
    Row::at_most(&format!("original: {what}"), ours / theirs, "×", 1.0).with(seen)
}

/// Returns an installation for a program.
fn installation(bench: &Bench, program: &Program, key: &Key) -> Home {
    let home = Home::new(key, bench.server.port, 30, "");
    program.prepare(&home, key);
    home
}

/// Returns the time from the start of a program until it has stored the results of many runs, of
/// which the platform has none, in seconds.
fn no_results(bench: &Bench, program: &Program, key: &Key) -> f64 {
    const RUNS: u64 = 1000;
    bench.server.state().commands = 0;
    let home = installation(bench, program, key);
    backlog(&home, RUNS, Timestamp::now() - SignedDuration::from_mins(5));
    let begun = SystemTime::now();
    let runner = home.start_program(program);
    let files = stored(&home, usize::try_from(RUNS).expect("small"));
    runner.stop();
    since(begun, &files)
}

/// Returns the time from the first request for results until they are in a file, in seconds.
fn fetch(bench: &Bench, program: &Program, key: &Key, commands: u64) -> f64 {
    bench.server.forget();
    {
        let mut state = bench.server.state();
        (state.commands, state.command_bytes) = (commands, RESULT_BYTES);
    }
    let home = installation(bench, program, key);
    home.job("job", NEVER);
    home.inflight("job", 7..8, Timestamp::now() - SignedDuration::from_mins(5));
    let runner = home.start_program(program);
    bench.server.wait(|state| !state.pages.is_empty());
    let first = bench.server.state().pages[0];
    let begun = SystemTime::now() - first.elapsed();
    let files = stored(&home, 1);
    runner.stop();
    bench.server.state().command_bytes = COMMAND_BYTES;
    since(begun, &files)
}

/// Measures both programs with many jobs of which none is due.
fn idle(bench: &Bench, programs: &[Program; 2], key: &Key) -> [Row; 2] {
    let measured = programs.each_ref().map(|program| {
        let home = installation(bench, program, key);
        distinct_jobs(&home);
        let runner: Runner = home.start_program(program);
        thread::sleep(REST);
        let cpu = runner.cpu_a_minute(30);
        let memory = runner.memory("VmRSS");
        runner.stop();
        (cpu, memory)
    });
    let [(cpu, memory), (their_cpu, their_memory)] = measured;
    [
        row("10,000 idle jobs: processor time per minute (once)", cpu, their_cpu, "s"),
        row("10,000 idle jobs: memory (once)", memory, their_memory, "MiB"),
    ]
}

/// Waits until there are as many complete files of results; returns them.
fn stored(home: &Home, count: usize) -> Vec<PathBuf> {
    let begun = Instant::now();
    loop {
        let files = results(home);
        if files.len() >= count && files.iter().all(|file| is_complete(file)) {
            return files;
        }
        assert!(begun.elapsed() < PATIENCE, "{} of {count} results", files.len());
        thread::sleep(LOOK_SPAN);
    }
}

/// Returns the files of all results in an installation: `runners/JOB/results/DAY/ACTIONID.json`.
fn results(home: &Home) -> Vec<PathBuf> {
    let listed = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let jobs = listed(&home.path("runners")).into_iter();
    let days = jobs.flat_map(|job| listed(&job.join("results")));
    let files = days.flat_map(|day| listed(&day));
    files.filter(|file| is_result(file)).collect()
}

/// Returns whether a path is named `ACTIONID.json`. A file that is still being written may have another
/// name.
fn is_result(path: &Path) -> bool {
    let is_id = |stem: &OsStr| stem.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    path.extension().is_some_and(|suffix| suffix == "json") && path.file_stem().is_some_and(is_id)
}

/// Returns whether a file of results has been written to its end: the original writes it in place.
fn is_complete(file: &Path) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.ends_with(END))
}

/// Returns the time until the last of the files was written, in seconds.
fn since(begun: SystemTime, files: &[PathBuf]) -> f64 {
    let written = |file: &PathBuf| fs::metadata(file).and_then(|meta| meta.modified()).ok();
    let last = files.iter().filter_map(written).max().expect("results");
    last.duration_since(begun).expect("results after the start").as_secs_f64()
}
