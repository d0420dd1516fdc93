//! Durable moves of runs, relative to the system calls alone.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::home::{Home, await_free_inodes, make, write};
use crate::{Bench, Row, TIMES, median};

/// Number of runs that are moved at once.
const RUNS: usize = 1000;
/// Number of runs that are moved one after the other.
const SINGLE_RUNS: usize = 200;
/// Number of syncs that the plain system calls keep in flight.
pub(crate) const SYNCS: usize = 16;
/// Maximum time of a single move: the runner also notices the file, reads it and logs the move.
const SINGLE_RATIO: f64 = 2.0;
/// Number of finished runs in the spool.
const FINISHED: usize = 100_000;

/// Creates a file durably, as the runner creates the file of a run.
pub(crate) fn create(folder: &Path, name: &str, bytes: &[u8]) {
    let temporary = folder.join(format!(".{name}.new"));
    let mut file = File::create(&temporary).expect("a file");
    file.write_all(bytes).and_then(|()| file.sync_all()).expect("a disk");
    fs::rename(&temporary, folder.join(name)).expect("a name");
    File::open(folder).and_then(|folder| folder.sync_all()).expect("a disk");
}

/// Measures durable moves without and with many finished runs, and a scan with many finished runs.
pub(crate) fn transitions(bench: &Bench) -> Vec<Row> {
    let home = Home::new(&bench.key, bench.server.port, 3600, "");
    let template = template(&home);
    let (mut ratios, mut rates, mut plains) = (Vec::new(), Vec::new(), Vec::new());
    let (mut single_ratios, mut singles) = (Vec::new(), Vec::new());
    for time in 0..TIMES {
        await_free_inodes();
        let text = template.to_string();
        let plain = |name: &str, syncs, moves| {
            let folder = home.path(&format!("plain-{name}-{time}"));
            plain(&folder, text.as_bytes(), syncs, moves)
        };
        // Whatever is measured first has fewer deleted files behind it, so it is each in turn.
        let (together, rate) = if time % 2 == 0 {
            (plain("together", SYNCS, RUNS), rate(&home, &template))
        } else {
            let rate = rate(&home, &template);
            (plain("together", SYNCS, RUNS), rate)
        };
        let (alone, single) = (plain("alone", 1, SINGLE_RUNS), single(&home, &template));
        ratios.push(100.0 * rate / together);
        single_ratios.push(single * alone);
        rates.push(rate);
        plains.push(together);
        singles.push(1e3 * single);
    }
    let (empty, plain, single) = (median(rates), median(plains), median(singles));
    for family in ["action", "command"] {
        let folder = home.path("spool").join(family).join("done");
        for number in 0..FINISHED {
            let (name, text) =
                run(&template, 1_700_000_000 + i64::try_from(number).expect("small"), true);
            write(&folder.join(name), &text);
        }
    }
    await_free_inodes();
    let full = median((0..TIMES).map(|_| rate(&home, &template)).collect());
    let scan = scan(&home);
    vec![
        Row::at_least(
            "durable moves: rate, relative to the same calls, 16 syncs in flight",
            median(ratios),
            "%",
            90.0,
        )
        .with(format!("{empty:.0} a second, the calls {plain:.0}")),
        Row::at_most(
            "a single move: time from its file, relative to the same calls",
            median(single_ratios),
            "×",
            SINGLE_RATIO,
        )
        .with(format!("{single:.2} ms")),
        Row::at_least(
            "the same with 100,000 finished runs: rate, relative to none",
            100.0 * full / empty,
            "%",
            90.0,
        )
        .with(format!("{full:.0} a second")),
        Row::at_most("a full scan with 100,000 finished runs: processor time", scan, "s", 0.5),
    ]
}

/// Returns the record of a run, as the runner writes it.
fn template(home: &Home) -> Value {
    home.job("job", "schedule = \"0 0 1 1 * 2099\"");
    home.inflight("job", 7..8, Timestamp::now() + SignedDuration::from_hours(24));
    let runner = home.start();
    runner.ready();
    runner.stop();
    let folder = home.path("spool/action/inflight");
    let entry = fs::read_dir(&folder).expect("a folder").next().expect("a run").expect("a run");
    let text = fs::read_to_string(entry.path()).expect("a record");
    fs::remove_file(entry.path()).expect("the file exists");
    let mut record: Value = serde_json::from_str(&text).expect("JSON");
    record["settings"]["sendonly"] = json!(true);
    record
}

/// Returns the file name and the content of the run whose slot is this second.
fn run(template: &Value, second: i64, is_collected: bool) -> (String, String) {
    let slot = Timestamp::from_second(second).expect("a time");
    let id = format!("job.{}-{second}", slot.strftime("%Y%m%dT%H%M%SZ"));
    let mut record = template.clone();
    record["id"] = json!(id);
    record["slot"] = json!(slot.to_string());
    record["actionid"] = json!(second);
    if is_collected {
        record["collected"] = json!(slot.to_string());
    }
    // The version must be the first field.
    let fields = record.as_object().expect("an object");
    let rest = fields.iter().filter(|(name, _)| *name != "version");
    let rest: Vec<String> = rest.map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    (format!("{id}.json"), format!("{{\"version\":1,{}}}\n", rest.join(",")))
}

/// Returns the number of moves per second with the system calls alone, of which `syncs` are in flight
/// at once.
fn plain(folder: &Path, bytes: &[u8], syncs: usize, moves: usize) -> f64 {
    let (from, to) = (folder.join("from"), folder.join("to"));
    make(&from);
    make(&to);
    for number in 0..moves {
        write(&from.join(number.to_string()), "x");
    }
    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..syncs {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= moves {
                        break;
                    }
                    create(&to, &number.to_string(), bytes);
                    fs::remove_file(from.join(number.to_string())).expect("the file exists");
                }
            });
        }
    });
    moves as f64 / begun.elapsed().as_secs_f64()
}

/// Returns the number of moves per second of the runner.
fn rate(home: &Home, template: &Value) -> f64 {
    for _ in 0..RUNS {
        let (name, text) = run(template, next_second(), false);
        write(&home.path("spool/action/inflight").join(name), &text);
    }
    let runner = home.start();
    // The first turn after the start begins to move the runs that the start has found.
    let begun = runner.wait_for("ready", 1)[0];
    let moved = runner.wait_for("to: action/done", RUNS);
    runner.stop();
    RUNS as f64 / (moved[RUNS - 1] - begun).as_secs_f64()
}

/// Returns the time from the arrival of the file of a run until the run has been moved, in seconds: the
/// median of runs that arrive one after the other.
fn single(home: &Home, template: &Value) -> f64 {
    let runner = home.start();
    runner.ready();
    let times = (0..SINGLE_RUNS).map(|_| {
        let (name, text) = run(template, next_second(), false);
        let arriving = home.path("arriving");
        write(&arriving, &text);
        let begun = Instant::now();
        fs::rename(&arriving, home.path("spool/action/inflight").join(name)).expect("a move");
        (runner.wait_for("to: action/done", 1)[0] - begun).as_secs_f64()
    });
    let time = median(times.collect());
    runner.stop();
    time
}

/// Returns the slot of another run, in seconds since 1970.
fn next_second() -> i64 {
    static NEXT: AtomicI64 = AtomicI64::new(1_750_000_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Returns the processor time of a full scan, in seconds.
fn scan(home: &Home) -> f64 {
    home.configure("checkdirectory = 3600", "checkdirectory = 2");
    let runner = home.start();
    runner.ready();
    let cpu = runner.cpu_a_minute(2) / 30.0;
    runner.stop();
    cpu
}
