//! An action with many results.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::home::Home;
use crate::server::COMMAND_BYTES;
use crate::{Bench, Row, TIMES, median};

/// Number of results of a large action.
const COMMANDS: u64 = 100_000;
/// Number of results that the runner requests at once.
const PAGE: u64 = 250;
/// Number of pages that the runner requests at once.
const PAGES_AT_ONCE: usize = 2;
/// Time between the start of an idle runner and the measurement of its memory.
const REST: Duration = Duration::from_secs(2);
/// Size in bytes of a usual result.
const USUAL_BYTES: usize = 2560;
/// Time that the original platform takes to compute a page of an action with 1,000 commands. With more
/// commands it takes longer.
const PAGE_SPAN: Duration = Duration::from_millis(250);

/// Measures the memory and the time that the runner needs for many results.
pub(crate) fn fetch(bench: &Bench) -> Vec<Row> {
    bench.server.state().commands = COMMANDS;
    let idle = idle_memory(bench);
    let (Fetches { times, plain, peaks }, pages) =
        (fetches(bench, 1), bench.server.state().pages.len());
    let peaks = peaks.into_iter().map(|peak| peak - idle).collect();
    let ratios = ratios(&times, &plain);
    let bytes = COMMANDS as f64 * COMMAND_BYTES as f64 / 1e6;
    let (time, plain) = (median(times), median(plain));
    let seen = format!("{bytes:.0} MB in {time:.2} s, plain {plain:.2} s, {pages} pages");
    vec![
        Row::at_most("100,000 results of 4 KB: peak memory above idle", median(peaks), "MiB", 32.0)
            .with(format!("idle {idle:.1} MiB")),
        Row::at_most(
            "100,000 results of 4 KB: time, relative to a plain download",
            median(ratios),
            "×",
            1.15,
        )
        .with(seen),
    ]
}

/// Measures the time for results that the platform needs time to compute, relative to the same requests
/// alone.
pub(crate) fn usual(bench: &Bench) -> Vec<Row> {
    let mut rows = Vec::new();
    for (commands, number) in [(1000, "1,000"), (10_000, "10,000")] {
        {
            let mut state = bench.server.state();
            (state.commands, state.command_bytes, state.page_span) =
                (commands, USUAL_BYTES, PAGE_SPAN);
        }
        let Fetches { times, plain, peaks } = fetches(bench, PAGES_AT_ONCE);
        let what = format!("{number} results of 2.5 KB: time, relative to the same requests alone");
        let ratio = median(ratios(&times, &plain));
        let (time, plain, peak) = (median(times), median(plain), median(peaks));
        let seen = format!("{time:.2} s, plain {plain:.2} s, {peak:.1} MiB");
        rows.push(Row::at_most(&what, ratio, "×", 1.1).with(seen));
    }
    let mut state = bench.server.state();
    (state.command_bytes, state.page_span) = (COMMAND_BYTES, Duration::ZERO);
    rows
}

/// Several fetches of the same results.
struct Fetches {
    /// The time of each, in seconds.
    times: Vec<f64>,
    /// The time of a plain download before each.
    plain: Vec<f64>,
    /// The peak memory of the runner, in MiB.
    peaks: Vec<f64>,
}

/// Fetches the server's results several times, each time after a plain download over `connections`.
fn fetches(bench: &Bench, connections: usize) -> Fetches {
    let mut fetches = Fetches { times: Vec::new(), plain: Vec::new(), peaks: Vec::new() };
    for _ in 0..TIMES {
        let home = Home::new(&bench.key, bench.server.port, 30, "");
        fetches.plain.push(download(bench, &home, connections).as_secs_f64());
        bench.server.forget();
        home.job("job", "schedule = \"0 0 1 1 * 2099\"");
        home.inflight("job", 7..8, Timestamp::now() - SignedDuration::from_mins(5));
        let runner = home.start();
        let end = runner.wait_for("results stored", 1)[0];
        let begin = bench.server.state().pages[0];
        fetches.times.push((end - begin).as_secs_f64());
        fetches.peaks.push(runner.memory("VmHWM"));
        runner.stop();
        home.discard();
    }
    fetches
}

fn ratios(times: &[f64], plain: &[f64]) -> Vec<f64> {
    times.iter().zip(plain).map(|(time, plain)| time / plain).collect()
}

fn idle_memory(bench: &Bench) -> f64 {
    let home = Home::new(&bench.key, bench.server.port, 30, "");
    let runner = home.start();
    runner.ready();
    std::thread::sleep(REST);
    let idle = runner.memory("VmRSS");
    runner.stop();
    idle
}

/// Downloads the same pages over several connections, each of which writes its pages to a file and syncs
/// it. Only the first page says how many there are, so it is requested before the others.
fn download(bench: &Bench, home: &Home, connections: usize) -> Duration {
    let commands = bench.server.state().commands;
    let offsets: Vec<u64> = (0..commands).step_by(usize::try_from(PAGE).expect("small")).collect();
    let port = bench.server.port;
    let paths: Vec<_> =
        (0..connections).map(|number| home.path(&format!("plain{number}"))).collect();
    let begun = Instant::now();
    let mut first = Connection::new(port, &paths[0]);
    first.page(offsets[0]);
    std::thread::scope(|scope| {
        for (number, path) in paths.iter().enumerate().skip(1) {
            let own = offsets.iter().skip(1 + number).step_by(connections);
            scope.spawn(move || {
                let mut connection = Connection::new(port, path);
                own.for_each(|offset| connection.page(*offset));
                connection.end();
            });
        }
        offsets.iter().skip(1).step_by(connections).for_each(|offset| first.page(*offset));
        first.end();
    });
    let took = begun.elapsed();
    paths.iter().for_each(|path| std::fs::remove_file(path).expect("the file exists"));
    took
}

/// A connection to the server, and the file for what it answers.
struct Connection {
    reader: BufReader<TcpStream>,
    file: File,
}

impl Connection {
    fn new(port: u16, path: &Path) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server");
        stream.set_nodelay(true).expect("a socket");
        let reader = BufReader::with_capacity(64 << 10, stream);
        Connection { reader, file: File::create(path).expect("a file") }
    }

    /// Downloads the page at `offset`.
    fn page(&mut self, offset: u64) {
        let target = format!("/api/v1/search?type=command&limit={PAGE}&offset={offset}&actionid=7");
        let request = format!("GET {target} HTTP/1.1\r\n\r\n");
        self.reader.get_mut().write_all(request.as_bytes()).expect("a request");
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).expect("an answer");
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                if line.trim_end().is_empty() { break } else { continue }
            };
            if name == "Content-Length" {
                length = value.parse().expect("a length");
            }
        }
        let mut body = (&mut self.reader).take(length);
        assert_eq!(std::io::copy(&mut body, &mut self.file).expect("a body"), length);
    }

    fn end(&self) {
        self.file.sync_all().expect("a disk");
    }
}
