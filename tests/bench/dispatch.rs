//! Delays: from a slot to the platform, from a new folder to its schedule, from a status to a plugin.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::home::Home;
use crate::{Bench, Row, TIMES, median, percentile};

/// Returns the same time on both clocks: a whole second, `ahead` seconds from now.
pub(crate) fn moment(ahead: i64) -> (Instant, Timestamp) {
    let (now, wall) = (Instant::now(), Timestamp::now());
    let slot = Timestamp::from_second(wall.as_second() + ahead).expect("a time");
    let left = Duration::try_from(slot.duration_since(wall)).expect("ahead");
    (now + left, slot)
}

/// Returns a configuration whose schedule contains only this second.
pub(crate) fn only(slot: Timestamp) -> String {
    format!("{}\ntimezone = UTC\nexpiry = 1h", schedule_of(slot, &TimeZone::UTC))
}

/// Returns the schedule that contains only this second, in a time zone.
pub(crate) fn schedule_of(slot: Timestamp, zone: &TimeZone) -> String {
    let at = slot.to_zoned(zone.clone());
    format!(
        "schedule = \"{} {} {} {} {} * {}\"",
        at.second(),
        at.minute(),
        at.hour(),
        at.day(),
        at.month(),
        at.year()
    )
}

/// Measures the delay of single runs from their slot to the POST, without their signatures.
pub(crate) fn one(bench: &Bench) -> Vec<Row> {
    const RUNS: usize = 150;
    let home = Home::new(&bench.key, bench.server.port, 3600, "");
    // At this level, the log contains the duration of each task.
    home.configure("level = info", "level = debug");
    let writes = durable_writes(&home.path("writes")) * 1e3;
    let (first, slot) = moment(5);
    for number in 0..RUNS {
        let slot = slot + SignedDuration::from_secs(i64::try_from(number).expect("small"));
        home.job(&format!("job{number}"), &only(slot));
    }
    bench.server.forget();
    let runner = home.start();
    let signed = runner.logged("task: sign", RUNS);
    runner.wait_for("action accepted", 1);
    let posts: Vec<Instant> = bench.server.state().posts.iter().map(|(came, _)| *came).collect();
    runner.stop();
    let (mut all, mut signing, mut beyond) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (came, (_, line))) in posts.iter().zip(&signed).enumerate() {
        let slot = first + Duration::from_secs(u64::try_from(number).expect("small"));
        let late = came.saturating_duration_since(slot).as_secs_f64() * 1e3;
        let (_, took) = line.split_once("took_ms: ").expect("a time");
        let took: f64 =
            took.split([',', ' ']).next().and_then(|ms| ms.parse().ok()).expect("a time");
        all.push(late);
        signing.push(took);
        // Three durable writes precede the POST: the entry, the stamp and the signed request.
        beyond.push(late - took - 3.0 * writes);
    }
    let seen = format!(
        "total: median {:.0} ms, 99 % {:.0} ms; signature: {:.0} and {:.0} ms; durable write: {writes:.1} ms",
        median(all.clone()),
        percentile(all, 99),
        median(signing.clone()),
        percentile(signing, 99),
    );
    let what = "one run due: slot to POST, beyond signature and writes (99 %)";
    vec![Row::at_most(what, percentile(beyond, 99), "ms", 30.0).with(seen)]
}

/// Returns the duration of a durable write in a folder, in seconds: file and folder are synced.
fn durable_writes(folder: &Path) -> f64 {
    crate::home::make(folder);
    let times = (0..50).map(|number| {
        let begun = Instant::now();
        crate::transitions::create(folder, &number.to_string(), &[b'x'; 2048]);
        begun.elapsed().as_secs_f64()
    });
    median(times.collect())
}

/// Measures the delay until a new job folder is scheduled.
pub(crate) fn moved_in(bench: &Bench) -> Vec<Row> {
    const JOBS: usize = 50;
    let home = Home::new(&bench.key, bench.server.port, 3600, "");
    let runner = home.start();
    runner.ready();
    let mut times = Vec::new();
    for number in 0..JOBS {
        let name = format!("job{number}");
        home.job_at(&home.path(&name), "schedule = \"0 0 1 1 * 2099\"");
        let begun = Instant::now();
        std::fs::rename(home.path(&name), home.path("runners").join(&name)).expect("a move");
        times.push((runner.wait_for("job added", 1)[0] - begun).as_secs_f64() * 1e3);
    }
    runner.stop();
    let middle = median(times.clone());
    vec![
        Row::at_most("a new job folder: scheduled after (99 %)", percentile(times, 99), "ms", 50.0)
            .with(format!("median {middle:.1} ms")),
    ]
}

/// Measures the delay from an action's status `completed` to the start of the plugin.
pub(crate) fn early(bench: &Bench) -> Vec<Row> {
    let mut times = Vec::new();
    for seconds in 3..3 + 2 * u64::try_from(TIMES).expect("small") {
        bench.server.forget();
        {
            let mut state = bench.server.state();
            (state.commands, state.status) = (1, "inflight");
        }
        let home = Home::new(&bench.key, bench.server.port, 3600, "");
        let plugin = home.path("plugins/p");
        crate::home::write(&plugin, "#!/bin/sh\ndate +%s.%N > started\ncat > /dev/null\n");
        std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o700)).expect("a mode");
        let (_, slot) = moment(3);
        home.job("job", &format!("{}\nearlyresults = true\nplugin = p", only(slot)));
        let runner = home.start();
        runner.wait_for("action accepted", 1);
        thread::sleep(Duration::from_secs(seconds));
        let completed = Timestamp::now();
        bench.server.state().status = "completed";
        runner.wait_for("plugin finished", 1);
        let started =
            std::fs::read_to_string(home.path("plugins/started")).expect("the plugin has started");
        let started: f64 = started.trim().parse().expect("a time");
        times.push(started - completed.as_nanosecond() as f64 / 1e9);
        runner.stop();
    }
    bench.server.state().status = "completed";
    let worst = percentile(times.clone(), 100);
    vec![
        Row::at_most("`completed` on the platform: plugin started after", median(times), "s", 2.0)
            .with(format!("longest {worst:.1} s")),
    ]
}
