//! mig-runner.

mod action;
mod api;
mod chain;
mod cli;
mod clock;
mod config;
mod daemon;
#[cfg(feature = "data")]
mod data;
mod disk;
mod exit;
mod job;
mod logging;
mod names;
mod pgp;
mod plugin;
mod random;
mod schedule;
mod spool;
mod stage;
#[cfg(feature = "standalone")]
mod standalone;
mod wake;
mod watch;

use std::process::ExitCode;

/// Runs `mig-standalone` with the arguments of this process.
#[cfg(feature = "standalone")]
#[must_use]
pub fn mig_standalone() -> ExitCode {
    standalone::cli::start().into()
}
