//! mig-runner.

mod action;
mod api;
mod chain;
mod clock;
mod config;
mod disk;
mod exit;
mod names;
mod schedule;
mod wake;
