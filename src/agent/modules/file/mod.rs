//! The module `file`: files by name, size, mode, age, content and hash.
//!
//! | file | does |
//! | --- | --- |
//! | `request` | what was asked, from the JSON of the parameters |
//! | `search`, `check`, `bound`, `size`, `age` | makes it ready, or says in the original's words what makes no sense |
//! | `walk`, `link`, `clean` | comes to each file once, with the searches that are for it |
//! | `judge`, `source`, `content`, `hash`, `mode` | whether a file is what a search is for |
//! | `findings`, `report` | what was found, and the result in the original's form |
//!
//! **Invariants.** Nothing is written. No symbolic link to a folder is followed, and
//! nothing is opened that could make us wait. Memory grows with the hits, the errors
//! and the names of one folder, not with what files hold. Hits are told by path.
//!
//! **Failure.** Parameters that make no sense end the run with `success: false`.
//! What cannot be read is told in `errors` and is no hit of any filter that would
//! have had to read it, not even of an inverse one: of what is not known nothing
//! is said.
//!
//! Where the original has a defect, the sane thing is done: each search has its own
//! depth, limit, scope and unpacking; a path that fails is told once; lines longer
//! than 64 KiB are matched; a hash that cannot be had costs that hash, not the result.

mod age;
mod bound;
mod check;
mod clean;
mod content;
mod findings;
mod hash;
mod judge;
mod link;
mod mode;
mod report;
mod request;
mod search;
mod size;
mod source;
mod walk;

use std::time::Instant;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::ModuleResult;
use super::parameters::parse;

/// Runs the module at the time `now`.
///
/// # Errors
/// The result cannot be written as JSON.
pub(super) fn run(
    parameters: &RawValue,
    now: Timestamp,
) -> Result<ModuleResult, serde_json::Error> {
    let began = Instant::now();
    let requests = match parse(parameters, request::read) {
        Ok(requests) => requests,
        Err(error) => return report::refusal(error.to_string()),
    };
    match search::prepare(requests, now) {
        Ok(searches) => report::report(&searches, walk::walk(&searches), began.elapsed()),
        Err(error) => report::refusal(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
