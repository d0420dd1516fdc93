//! Fuzz target for the reader of results documents and the commands in them.

use std::path::Path;

use serde_json::Value;

use super::reading::read_from;
use crate::action::fuzz::assert_counted_like_parsed;
use crate::action::{Command, findings};

/// Reads `bytes` as a results document. The two parsers of a command must count the same, and a
/// document that is read must be JSON with the same number of commands.
pub(crate) fn results(bytes: &[u8]) {
    let mut commands = 0;
    let read = read_from(bytes, Path::new("document"), &mut |text| {
        commands += 1;
        command(text);
        Ok(())
    });
    // The parser of trees refuses deep nesting, and keeps only the last of equal keys.
    if let (Ok(_), Ok(tree)) = (read, serde_json::from_slice::<Value>(bytes)) {
        let last = tree.get("commands").and_then(Value::as_array).map_or(0, Vec::len);
        assert!(last <= commands, "{last} commands, of which {commands} were read");
    }
}

fn command(text: &str) {
    let whole = Command::parse(text).ok();
    let found = findings(text);
    assert!(
        found.is_empty() || whole.as_ref().is_none_or(Command::found_anything),
        "findings in a command that found nothing: {found:?}"
    );
    let fast = Command::parse_for_summary(text).ok();
    assert_eq!(fast.is_some(), whole.is_some(), "the parsers differ: {text}");
    if let Some(fast) = fast {
        assert_counted_like_parsed(text, &fast);
    }
}
