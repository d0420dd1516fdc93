//! mig-runner.

mod action;
mod chain;
mod cli;
mod clock;
mod disk;
mod exit;
mod logging;
mod names;
mod pgp;
mod wake;
