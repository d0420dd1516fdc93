//! mig-runner.

mod action;
mod api;
mod chain;
mod cli;
mod clock;
mod config;
mod daemon;
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
mod wake;
mod watch;

/// Runs `mig-runner` with the arguments of this process.
pub fn mig_runner() -> std::process::ExitCode {
    cli::main()
}
