//! The module `file`: finds files by name, size, mode, age, content and hash.
//!
//! | file | does |
//! | --- | --- |
//! | `walk`, `link` | visits each file once, with the searches that apply to it |
//! | `evaluate`, `source`, `content`, `hash`, `mode` | checks whether a file passes the filters of a search |
//! | `findings`, `report` | collects hits, and builds the result in the original's form |
//!
//! **Invariants.** The module writes nothing. It never follows a symbolic link to a folder, and
//! opens nothing that could block. Memory grows with the hits, the errors and the names in one
//! folder, not with the contents of files. The result lists hits by path.
//!
//! **Failure.** Invalid parameters end the run with `success: false`. A file that cannot be read is
//! reported in `errors` and passes no filter that would have to read it, not even an inverse one:
//! nothing is claimed about unknown content.
//!
//! Where the original has a defect, the intended behaviour is implemented: each search has its own
//! depth, limit, scope and unpacking; a path that fails is reported once; lines longer than 64 KiB
//! are matched; a hash that cannot be computed is one error and does not lose the result.

mod content;
mod evaluate;
mod findings;
mod hash;
mod link;
mod mode;
mod report;
mod source;
mod walk;

use std::time::Instant;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::ModuleResult;
use crate::modules::file;

/// Runs the module at the time `now`.
///
/// # Errors
/// The result cannot be written as JSON.
pub(super) fn run(
    parameters: &RawValue,
    now: Timestamp,
) -> Result<ModuleResult, serde_json::Error> {
    let began = Instant::now();
    match file::read(parameters, now) {
        Ok(searches) => report::report(&searches, walk::walk(&searches), began.elapsed()),
        Err(error) => report::rejection(&error),
    }
}

#[cfg(test)]
mod tests;
