//! What a record looks like in the end.

use std::sync::Mutex;

use slog::{error, info, trace, warn};

use super::*;
use crate::clock::testing::TestClock;

/// Keeps lines, or loses them.
#[derive(Debug, Default)]
struct Kept {
    lines: Mutex<Vec<String>>,
    broken: bool,
}

impl Sink for Kept {
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

/// Returns the lines, text first, that `write` makes.
fn lines(times: &Times, write: impl Fn(&Logger)) -> [String; 2] {
    [LogFormat::Text, LogFormat::Json].map(|format| {
        let kept = Arc::new(Kept::default());
        let sink: Arc<dyn Sink> = kept.clone();
        let log = match format {
            LogFormat::Text => root(text::drain(sink, times.clone()), Level::Debug),
            LogFormat::Json => root(json::Json::new(sink, times.clone()), Level::Debug),
        };
        write(&log);
        let lines = kept.lines.lock().unwrap();
        assert!(lines.iter().all(|line| !line.contains('\n')), "{lines:?}");
        lines.join("\n")
    })
}

#[test]
fn a_record_is_a_phrase_with_its_keys_in_order() {
    let [text, json] = lines(&Times::Written(clock()), |log| {
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
fn where_the_log_has_its_own_time_none_is_written() {
    let [text, json] = lines(&Times::Left, |log| warn!(log, "disk is full"));
    assert_eq!(text, "WARNING disk is full");
    assert_eq!(json, r#"{"level":"warning","message":"disk is full"}"#);
}

#[test]
fn what_a_value_holds_cannot_forge_a_line_or_a_key_or_steer_a_terminal() {
    let evil = "a\nERROR b\u{1b}[2J\u{9b}\u{202e}, job: \"x\"";
    let [text, json] = lines(&Times::Left, |log| error!(log, "said"; "output" => evil));
    assert_eq!(text, r#"ERROR said, output: "a\nERROR b\u{1b}[2J\u{9b}\u{202e}, job: \"x\"""#);
    assert!(!json.chars().any(crate::chain::is_unsafe), "{json}");
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["output"], evil, "escaped, and still the same");
}

#[test]
fn a_key_cannot_pass_for_one_of_ours_and_the_nearest_one_counts() {
    let [_, json] = lines(&Times::Left, |log| {
        let log = log.new(o!("job" => "outer"));
        info!(log, "true"; "message" => "false", "level" => "none", "job" => "inner");
    });
    assert_eq!(json, r#"{"level":"info","message":"true","job":"inner"}"#);
}

#[test]
fn values_are_bounded_and_an_empty_one_is_seen() {
    let long = "é".repeat(VALUE_BYTES_MAX);
    let [text, json] =
        lines(&Times::Left, |log| info!(log, "said"; "output" => &long, "none" => ""));
    assert!(text.ends_with("…, none: \"\""));
    assert!(text.len() < VALUE_BYTES_MAX + 100 && json.len() < VALUE_BYTES_MAX + 100);
}

#[test]
fn the_level_decides_what_is_written() {
    let [text, json] = lines(&Times::Left, |log| trace!(log, "seen"));
    assert_eq!((text.as_str(), json.as_str()), ("", ""));
}

#[test]
fn a_line_that_cannot_be_written_stops_nobody() {
    let broken = Arc::new(Kept { broken: true, ..Kept::default() });
    info!(root(text::drain(broken.clone(), Times::Left), Level::Info), "lost");
    info!(root(json::Json::new(broken, Times::Left), Level::Info), "lost");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests look behind the disk's back")]
fn a_log_to_a_file_is_set_up_written_and_opened_anew() {
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
    info!(log.root, "written on all the same");
}
