//! Parameters of the agent's modules: decoding and validation, without I/O.
//!
//! Each module has one `read` function. It turns the JSON of an operation's parameters into a form
//! in which every expression is compiled and every number is in range, or returns the first fault.
//! The agent runs a module only with parameters that were read here.
//!
//! **Invariants.** Parameters are accepted exactly if the original accepts them, except where the
//! manual lists a difference. The wording of errors is our own.

pub(crate) mod file;
pub(crate) mod netstat;
mod parameters;
pub(crate) mod ping;
pub(crate) mod pkg;
pub(crate) mod timedrift;
