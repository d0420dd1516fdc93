//! Sample files: `NAME.cfg`, and for invalid files `NAME.txt` with all messages.

use std::path::Path;

use proptest::prelude::*;

use super::fault::ConfigError;

/// Parses every file in a folder of `tests/data/config` and compares the messages.
#[expect(clippy::disallowed_methods, reason = "tests read their data")]
pub(super) fn read_all<T>(folder: &str, parse: impl Fn(&[u8], &Path) -> Result<T, ConfigError>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/config").join(folder);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "cfg") {
            continue;
        }
        count += 1;
        let parsed = parse(&std::fs::read(&path).unwrap(), Path::new("FILE"));
        let messages: String =
            parsed.err().iter().flat_map(ConfigError::lines).map(|line| line + "\n").collect();
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        assert_eq!(messages, expected, "{}", path.display());
    }
    assert!(count > 0, "nothing in {}", folder.display());
}

/// Generates files from the given headers and keys, with values of all sorts.
pub(super) fn any_file(words: &'static str) -> impl Strategy<Value = String> {
    let words: Vec<&str> = words.split(' ').collect();
    let value = "|[a-z]{1,6}|-?[0-9]{1,20}[smhd]?|\"[^\n]{0,12}\"?|[^\n]{0,12}";
    let line = (proptest::sample::select(words), " ?=? ?", value);
    let line = line.prop_map(|(word, equals, value)| {
        if word.starts_with('[') { word.to_owned() } else { format!("{word}{equals}{value}") }
    });
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

/// Returns whether a file was accepted, or rejected with messages of one line each.
pub(super) fn is_reported<T>(parsed: &Result<T, ConfigError>) -> bool {
    parsed.as_ref().err().is_none_or(|error| {
        let lines: Vec<_> = error.lines().collect();
        !lines.is_empty()
            && lines.iter().all(|line| line.starts_with("FILE:") && !line.contains('\n'))
    })
}
