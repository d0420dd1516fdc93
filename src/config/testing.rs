//! Files to be read or refused: `NAME.cfg`, and beside one that is refused
//! `NAME.txt` with all that is said about it.

use std::path::Path;

use super::fault::ConfigError;

/// Reads every file of a folder of `tests/data/config` and compares what is said about it.
#[expect(clippy::disallowed_methods, reason = "the data of a test is read as it is")]
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
        let said: String =
            parsed.err().iter().flat_map(ConfigError::lines).map(|line| line + "\n").collect();
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        assert_eq!(said, expected, "{}", path.display());
    }
    assert!(count > 0, "nothing in {}", folder.display());
}
