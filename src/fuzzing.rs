//! The fuzz targets: one function per parser of untrusted bytes.
//!
//! A target gets any bytes, and panics if the parser breaks one of its rules. `tests/fuzz` runs the
//! targets under a fuzzer. The unit test replays the files of `tests/data/fuzz`: the inputs with
//! which a fuzzer starts, and everything that fuzzers have found.

/// Checks a rule of a parser with any bytes.
type FuzzTarget = fn(&[u8]);

/// The targets by name.
const TARGETS: &[(&str, FuzzTarget)] = &[
    ("configuration", crate::config::fuzz::configuration),
    ("json", crate::action::fuzz::json),
    ("page", crate::api::fuzz::page),
    #[cfg(feature = "platform")]
    ("pattern", crate::go::regexp::fuzz::pattern),
    ("record", crate::spool::fuzz::record),
    ("results", crate::cli::runner::fuzz_results),
];

/// Returns the target of that name.
#[cfg(fuzzing)]
pub(crate) fn target(name: &str) -> Option<FuzzTarget> {
    TARGETS.iter().find(|(other, _)| *other == name).map(|(_, target)| *target)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests read their data directly")]

    use std::path::Path;

    use super::*;

    #[test]
    fn inputs_of_the_fuzzers_are_replayed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz");
        for (name, target) in TARGETS {
            let files = std::fs::read_dir(root.join(name)).unwrap();
            let replayed = files.map(|file| target(&std::fs::read(file.unwrap().path()).unwrap()));
            assert!(replayed.count() > 0, "{name} has no inputs");
        }
    }
}
