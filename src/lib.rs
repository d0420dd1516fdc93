//! mig-runner.

mod action;
mod chain;
mod cli;
mod clock;
mod config;
#[cfg(feature = "data")]
mod data;
mod disk;
mod exit;
mod logging;
mod names;
mod pgp;
mod plugin;
mod schedule;
#[cfg(feature = "standalone")]
mod standalone;
mod wake;
mod watch;
