//! mig-runner.

mod action;
mod chain;
mod clock;
mod disk;
mod exit;
mod names;
mod pgp;
mod wake;
