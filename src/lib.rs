//! mig-runner.

mod action;
mod api;
mod chain;
mod clock;
mod disk;
mod exit;
mod names;
mod wake;
