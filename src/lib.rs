//! mig-runner.

mod action;
mod chain;
mod cli;
mod clock;
mod config;
mod disk;
mod exit;
mod job;
mod logging;
mod names;
mod plugin;
mod schedule;
mod wake;
mod watch;
