//! The lines that records are written as.

use std::sync::Mutex;

use slog::{error, info, trace, warn};

use super::*;
use crate::clock::testing::TestClock;

/// Stores lines, or fails to write them.
#[derive(Debug, Default)]
struct TestSink {
    lines: Mutex<Vec<String>>,
    broken: bool,
}

impl Sink for TestSink {
    fn write(&self, _: Level, line: &str) -> io::Result<()> {
        if self.broken {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.lines.lock().unwrap().push(line.to_owned());
        Ok(())
    }
}

fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::new("2026-11-22T12:00:10.1239Z".parse().unwrap()))
}

/// Returns the lines that `write` logs, in the text format and in JSON.
fn lines(times: &TimeStamps, write: impl Fn(&Logger)) -> [String; 2] {
    [LogFormat::Text, LogFormat::Json].map(|format| {
        let sink = Arc::new(TestSink::default());
        let dyn_sink: Arc<dyn Sink> = sink.clone();
        let log = match format {
            LogFormat::Text => root(text::drain(dyn_sink, times.clone()), Level::Debug),
            LogFormat::Json => root(json::Json::new(dyn_sink, times.clone()), Level::Debug),
        };
        write(&log);
        let lines = sink.lines.lock().unwrap();
        assert!(lines.iter().all(|line| !line.contains('\n')), "{lines:?}");
        lines.join("\n")
    })
}

#[test]
fn record_is_a_phrase_with_its_keys_in_order() {
    let [text, json] = lines(&TimeStamps::Written(clock()), |log| {
        let log = log.new(o!("stage" => "submit"));
        info!(log, "action accepted"; "job" => "setuid", "action" => 42_u64, "late" => false);
    });
    assert_eq!(
        text,
        "2026-11-22T12:00:10.123Z INFO action accepted, stage: submit, job: setuid, action: 42, late: false"
    );
    assert_eq!(
        json,
        r#"{"time":"2026-11-22T12:00:10.123Z","level":"info","message":"action accepted","stage":"submit","job":"setuid","action":42,"late":false}"#
    );
}

#[test]
fn no_time_is_written_if_the_receiver_adds_it() {
    let [text, json] = lines(&TimeStamps::Omitted, |log| warn!(log, "disk is full"));
    assert_eq!(text, "WARNING disk is full");
    assert_eq!(json, r#"{"level":"warning","message":"disk is full"}"#);
}

#[test]
fn value_cannot_forge_a_line_or_a_key_or_control_a_terminal() {
    let evil = "a\nERROR b\u{1b}[2J\u{9b}\u{202e}, job: \"x\"";
    let [text, json] = lines(&TimeStamps::Omitted, |log| error!(log, "said"; "output" => evil));
    assert_eq!(text, r#"ERROR said, output: "a\nERROR b\u{1b}[2J\u{9b}\u{202e}, job: \"x\"""#);
    assert!(!json.chars().any(crate::chain::is_unsafe), "{json}");
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["output"], evil, "the escapes preserve the value");
}

#[test]
fn record_cannot_override_own_keys_and_overrides_its_logger() {
    let [_, json] = lines(&TimeStamps::Omitted, |log| {
        let log = log.new(o!("job" => "outer"));
        info!(log, "true"; "message" => "false", "level" => "none", "job" => "inner");
    });
    assert_eq!(json, r#"{"level":"info","message":"true","job":"inner"}"#);
}

#[test]
fn values_are_truncated_and_empty_ones_are_quoted() {
    let long = "é".repeat(VALUE_BYTES_MAX);
    let [text, json] =
        lines(&TimeStamps::Omitted, |log| info!(log, "said"; "output" => &long, "none" => ""));
    assert!(text.ends_with("…, none: \"\""));
    assert!(text.len() < VALUE_BYTES_MAX + 100 && json.len() < VALUE_BYTES_MAX + 100);
}

#[test]
fn records_below_the_level_are_not_written() {
    let [text, json] = lines(&TimeStamps::Omitted, |log| trace!(log, "seen"));
    assert_eq!((text.as_str(), json.as_str()), ("", ""));
}

#[test]
fn line_that_cannot_be_written_is_lost_without_an_error() {
    let broken = Arc::new(TestSink { broken: true, ..TestSink::default() });
    info!(root(text::drain(broken.clone(), TimeStamps::Omitted), Level::Info), "lost");
    info!(root(json::Json::new(broken, TimeStamps::Omitted), Level::Info), "lost");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests access files directly")]
fn log_file_is_created_written_and_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let config = LoggingConfig {
        target: LogTarget::File { path: path.clone(), bytes_max: None },
        level: Level::Info,
        format: LogFormat::Text,
    };
    let log = Log::start(&config, "mig-runner", None, clock()).unwrap();
    info!(log.root, "one");
    slog::debug!(log.root, "not one");
    std::fs::rename(&path, folder.path().join("old")).unwrap();
    log.reopen().unwrap();
    info!(log.root, "two");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "2026-11-22T12:00:10.123Z INFO two\n");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = log.reopen().unwrap_err();
    assert_eq!(error.to_string(), format!("cannot open log file {}", path.display()));
    info!(log.root, "goes to stderr");
}
