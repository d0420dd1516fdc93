//! mig-runner.

mod action;
mod chain;
mod clock;
mod config;
#[cfg(feature = "data")]
mod data;
mod disk;
mod exit;
mod names;
mod plugin;
mod schedule;
#[cfg(feature = "standalone")]
mod standalone;
mod wake;
mod watch;
