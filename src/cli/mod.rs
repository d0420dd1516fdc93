//! The command lines of the three programs: arguments in, answers and exit statuses out.
//!
//! Each program has a module with one file for each subcommand, which holds its arguments and runs
//! it. The files that all programs share are directly in this folder. The errors of a command
//! become a [`failure::Failure`], from which [`program`] prints the messages and takes the exit
//! status.
//!
//! **Invariants.** Help and version work without a configuration, a spool or a database. Only
//! [`output`] writes to stdout and stderr, and only [`mod@env`] reads the environment.

mod completions;
#[cfg(feature = "data")]
pub(crate) mod data;
mod env;
mod failure;
mod input;
#[cfg(test)]
mod manual;
mod output;
#[cfg(feature = "platform")]
pub(crate) mod platform;
mod program;
pub(crate) mod runner;
mod shortage;
mod text;
pub(crate) mod workspace;
