//! mig-runner.

mod action;
mod chain;
mod clock;
mod config;
mod disk;
mod exit;
mod job;
mod names;
mod schedule;
mod wake;
