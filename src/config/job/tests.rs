//! Tests of every key of `entity.cfg`, and of invalid files.

use proptest::prelude::*;

use super::super::testing::{any_file, is_reported, read_all};
use super::*;

/// Parses a file without interpreting its schedule.
fn read(text: &[u8], file: &Path) -> Result<(JobConfig, Timing), ConfigError> {
    JobConfig::parse(text, file, Ok)
}

fn parse(text: &str) -> (JobConfig, Timing) {
    read(text.as_bytes(), Path::new("FILE")).unwrap()
}

fn located(value: &str, line: u32) -> Located<String> {
    Located { value: value.to_owned(), line }
}

#[test]
fn sample_files_are_accepted_or_rejected() {
    read_all("job", read);
}

#[test]
fn only_schedule_is_required() {
    let expected = JobConfig {
        has_timezone: false,
        plugins: Vec::new(),
        expiry: Duration::from_secs(300),
        send_only: false,
        splay: Duration::ZERO,
        missed: Missed::Skip,
        overlap: Overlap::Allow,
        paused: false,
        deadline: None,
        early_results: None,
        delay_results: None,
        plugin_timeout: None,
        keep_results: None,
    };
    let timing = Timing { schedule: located("0 * * * *", 2), timezone: None };
    assert_eq!(parse("[configuration]\nschedule = 0 * * * *\n"), (expected, timing));
}

#[test]
fn every_key_is_read() {
    let (config, timing) = parse(include_str!("../../../tests/data/config/job/good-all.cfg"));
    let names: Vec<_> = config.plugins.iter().map(PluginName::as_str).collect();
    assert_eq!(names, ["mozdef.py", "report to people"]);
    let plugins = config.plugins.clone();
    let expected = JobConfig {
        has_timezone: true,
        plugins,
        expiry: Duration::from_secs(3600),
        send_only: false,
        splay: Duration::from_secs(600),
        missed: Missed::Once,
        overlap: Overlap::Skip,
        paused: false,
        deadline: Some(Duration::from_secs(7200)),
        early_results: Some(true),
        delay_results: Some(Duration::from_secs(30)),
        plugin_timeout: Some(Duration::from_secs(3600)),
        keep_results: Some(Keep::For(Duration::from_secs(90 * 86_400))),
    };
    assert_eq!(config, expected);
    let timezone = Some(located("Europe/Berlin", 3));
    assert_eq!(timing, Timing { schedule: located("0 30 2 * * * *", 2), timezone });
}

const WORDS: &str = "[configuration] schedule timezone plugin expiry sendonly splay missed overlap \
     paused deadline earlyresults keepresults";

proptest! {
    #[test]
    fn any_file_is_accepted_or_rejected_with_a_reason(text in any_file(WORDS)) {
        prop_assert!(is_reported(&read(text.as_bytes(), Path::new("FILE"))));
    }
}
