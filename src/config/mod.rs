//! Configuration files: parses a text into validated settings, or reports all its faults.
//!
//! There are three levels, as in a compiler: [`dialect`] knows the syntax of lines, [`reader`] the
//! syntax of values, and [`runner`], [`client`] and [`job`] the settings, their defaults and
//! bounds. Only the last level returns its own types.
//!
//! **Invariants.** Nothing here reads or writes files: the caller reads them, and passes the path
//! for messages. All faults of a file are reported, not only the first. The text of values is wiped
//! from memory, since any value may be a passphrase; only values requested as plain text are
//! copied.

pub(crate) mod client;
pub(crate) mod comment;
pub(crate) mod dialect;
pub(crate) mod duration;
pub(crate) mod fault;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod job;
pub(crate) mod logging;
pub(crate) mod nearest;
pub(crate) mod reader;
pub(crate) mod runner;
mod scan;
pub(crate) mod secret;

#[cfg(test)]
mod testing;
