//! Recordings of the original, with errors in our own wording.

#![expect(clippy::disallowed_methods, reason = "tests read their data")]

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Returns the names and contents of a module's recordings, by file name.
pub(super) fn recordings(module: &str) -> Vec<(String, Value)> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(data(module)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let recording: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        (recording["case"].as_str().unwrap().to_owned(), recording)
    };
    paths.into_iter().map(read).collect()
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/modules").join(name)
}

/// Replaces the errors of an expected result by the same number of errors in our own wording.
pub(super) fn reword(module: &str, case: &str, errors: &mut Value) {
    let wordings: Value =
        serde_json::from_slice(&std::fs::read(data("errors.json")).unwrap()).unwrap();
    let wording = wordings[module][case].clone();
    let count = |errors: &Value| errors.as_array().map(Vec::len);
    assert_eq!(count(errors), count(&wording), "{module} {case}: {errors}");
    *errors = wording;
}
