//! Fuzz target for Go's JSON, by way of the largest type that is read with it; a check of the parsers
//! of commands.

use serde::de::IgnoredAny;

use super::{Action, Command, Summary};

/// Parses `bytes` as an action. What is written must be JSON and read back as the same action;
/// otherwise the platform would verify a signature of another text.
pub(crate) fn json(bytes: &[u8]) {
    let action = match Action::parse(bytes) {
        Ok(action) => action,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "an error without a text");
            return;
        }
    };
    let written = action.to_json();
    let valid = serde_json::from_str::<IgnoredAny>(&written);
    assert!(valid.is_ok(), "wrote invalid JSON: {valid:?}: {written}");
    let read = Action::parse(written.as_bytes());
    assert!(read.is_ok(), "cannot read what was written: {read:?}: {written}");
    if let Ok(read) = read {
        assert_eq!(read.to_json(), written, "reads back as another action");
        assert_eq!(read.signed_text(), action.signed_text(), "the signed text changed");
    }
}

/// Checks that a command that was counted contains what the full parser finds in its text.
pub(crate) fn assert_counted_like_parsed(text: &str, counted: &Command) {
    let facts = |command: &Command| {
        let mut summary = Summary::default();
        summary.add(command);
        (
            command.id,
            command.action_name.clone(),
            command.counters,
            summary,
            command.too_large.clone(),
        )
    };
    let parsed = Command::parse(text);
    assert!(parsed.is_ok(), "a command was counted that is none: {parsed:?}: {text}");
    if let Ok(parsed) = parsed {
        assert_eq!(facts(counted), facts(&parsed), "the parsers differ: {text}");
        assert_eq!(counted.status, parsed.status, "the parsers differ: {text}");
    }
}
