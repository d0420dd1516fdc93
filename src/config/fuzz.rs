//! Fuzz target for the configuration files.

use std::fmt::Debug;
use std::path::Path;

use super::client::ClientConfig;
use super::fault::ConfigError;
use super::job::JobConfig;
use super::runner::RunnerConfig;

/// Parses `bytes` as each of the files. Each fault must be in a line of the file and, as a message,
/// fill one line.
pub(crate) fn configuration(bytes: &[u8]) {
    let path = Path::new("file");
    check(bytes, RunnerConfig::parse(bytes, path));
    check(bytes, JobConfig::parse(bytes, path, |_| Ok(())));
    check(bytes, ClientConfig::parse(bytes, path));
}

fn check<T: Debug>(bytes: &[u8], parsed: Result<T, ConfigError>) {
    let Err(error) = parsed else { return };
    let lines = bytes.split(|byte| *byte == b'\n').count();
    let mut messages = error.lines().peekable();
    assert!(messages.peek().is_some(), "refused without a fault");
    for message in messages {
        assert!(!message.contains('\n'), "a message of two lines: {message:?}");
        let rest = message.strip_prefix("file:").unwrap_or_default();
        let number = rest.split_once(": ").and_then(|(number, _)| number.parse::<usize>().ok());
        let is_inside = number.is_none_or(|number| (1..=lines).contains(&number));
        assert!(is_inside, "the file has {lines} lines: {message:?}");
    }
}
