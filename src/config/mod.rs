//! Configuration files: text in, checked settings or all faults of the file out.
//!
//! Three steps, as in a compiler: [`dialect`] knows what a line is, [`reader`]
//! what a value is, and [`runner`], [`client`] and [`job`] which settings there
//! are, their defaults and bounds. Only the last hand out their types.
//!
//! **Invariants.** Nothing here reads or writes a file: the caller does, and gives
//! the path for the messages. Every fault of a file is reported, not the first. What
//! was read is wiped from memory, since any value may be a passphrase; only what is
//! asked for as plain text is copied out of it.

pub(crate) mod client;
pub(crate) mod comment;
pub(crate) mod dialect;
pub(crate) mod duration;
pub(crate) mod fault;
pub(crate) mod job;
pub(crate) mod logging;
pub(crate) mod nearest;
pub(crate) mod reader;
pub(crate) mod runner;
mod scan;
pub(crate) mod secret;

#[cfg(test)]
mod testing;
