//! mig-runner.

mod action;
mod chain;
mod clock;
mod disk;
mod exit;
mod names;
mod random;
mod schedule;
mod wake;
