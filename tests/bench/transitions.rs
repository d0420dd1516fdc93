//! Durable moves of runs, relative to the system calls alone.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::home::{Home, make, write};
use crate::{Bench, Row, TIMES, median};

/// Number of runs that are moved.
const RUNS: usize = 500;
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
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let plain = plain(&home.path("plain"), template.to_string().as_bytes());
        let rate = rate(&home, &template);
        ratios.push(100.0 * rate / plain);
        rates.push(rate);
    }
    let empty = median(rates);
    for family in ["action", "command"] {
        let folder = home.path("spool").join(family).join("done");
        for number in 0..FINISHED {
            let (name, text) =
                run(&template, 1_700_000_000 + i64::try_from(number).expect("small"), true);
            write(&folder.join(name), &text);
        }
    }
    let full = median((0..TIMES).map(|_| rate(&home, &template)).collect());
    let scan = scan(&home);
    vec![
        Row::at_least(
            "durable moves: rate, relative to the same system calls alone",
            median(ratios),
            "%",
            60.0,
        )
        .with(format!("{empty:.0} a second")),
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

/// Returns the number of moves per second with the system calls alone.
fn plain(folder: &Path, bytes: &[u8]) -> f64 {
    let (from, to) = (folder.join("from"), folder.join("to"));
    make(&from);
    make(&to);
    for number in 0..RUNS {
        write(&from.join(number.to_string()), "x");
    }
    let begun = Instant::now();
    for number in 0..RUNS {
        create(&to, &number.to_string(), bytes);
        fs::remove_file(from.join(number.to_string())).expect("the file exists");
    }
    let rate = RUNS as f64 / begun.elapsed().as_secs_f64();
    fs::remove_dir_all(folder).expect("the file exists");
    rate
}

/// Returns the number of moves per second of the runner.
fn rate(home: &Home, template: &Value) -> f64 {
    static BATCH: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);
    let batch = BATCH.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    for number in 0..RUNS {
        let second = 1_750_000_000 + batch * 10_000 + i64::try_from(number).expect("small");
        let (name, text) = run(template, second, false);
        write(&home.path("spool/action/inflight").join(name), &text);
    }
    let runner = home.start();
    let moved = runner.wait_for("to: action/done", RUNS);
    runner.stop();
    (RUNS - 1) as f64 / (moved[RUNS - 1] - moved[0]).as_secs_f64()
}

/// Returns the processor time of a full scan, in seconds.
fn scan(home: &Home) -> f64 {
    home.configure("checkdirectory = 3600", "checkdirectory = 2");
    let runner = home.start();
    runner.ready();
    let cpu = runner.cpu_a_minute() / 30.0;
    runner.stop();
    cpu
}
