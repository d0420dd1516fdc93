//! mig-runner.

mod action;
mod api;
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
mod random;
mod schedule;
mod wake;
mod watch;
