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

/// Number of results.
const COMMANDS: u64 = 100_000;
/// Number of results that the runner requests at once.
const PAGE: u64 = 250;
/// Time between the start of an idle runner and the measurement of its memory.
const REST: Duration = Duration::from_secs(2);

/// Measures the memory and the time that the runner needs for many results.
pub(crate) fn fetch(bench: &Bench) -> Vec<Row> {
    let (mut times, mut plain, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    bench.server.state().commands = COMMANDS;
    let idle = idle_memory(bench);
    for _ in 0..TIMES {
        let home = Home::new(&bench.key, bench.server.port, 30, "");
        plain.push(download(bench.server.port, &home.path("plain")).as_secs_f64());
        std::fs::remove_file(home.path("plain")).expect("the file exists");
        bench.server.forget();
        home.job("job", "schedule = \"0 0 1 1 * 2099\"");
        home.inflight("job", 7..8, Timestamp::now() - SignedDuration::from_mins(5));
        let runner = home.start();
        let end = runner.wait_for("results stored", 1)[0];
        let begin = bench.server.state().pages[0];
        times.push((end - begin).as_secs_f64());
        peaks.push(runner.memory("VmHWM") - idle);
        runner.stop();
    }
    let pages = bench.server.state().pages.len();
    let ratios = times.iter().zip(&plain).map(|(time, plain)| time / plain).collect();
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
            1.3,
        )
        .with(seen),
    ]
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

/// Downloads the same pages one after the other, writes them to a file, and syncs it.
fn download(port: u16, path: &Path) -> Duration {
    let begun = Instant::now();
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server");
    stream.set_nodelay(true).expect("a socket");
    let (mut writer, mut reader) = (&stream, BufReader::with_capacity(64 << 10, &stream));
    let mut file = File::create(path).expect("a file");
    for offset in (0..COMMANDS).step_by(usize::try_from(PAGE).expect("small")) {
        let target = format!("/api/v1/search?type=command&limit={PAGE}&offset={offset}&actionid=7");
        writer.write_all(format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes()).expect("a request");
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("an answer");
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                if line.trim_end().is_empty() { break } else { continue }
            };
            if name == "Content-Length" {
                length = value.parse().expect("a length");
            }
        }
        let copied = std::io::copy(&mut (&mut reader).take(length), &mut file).expect("a body");
        assert_eq!(copied, length);
    }
    file.sync_all().expect("a disk");
    begun.elapsed()
}
