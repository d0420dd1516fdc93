//! mig-runner.

mod chain;
mod clock;
#[cfg(feature = "data")]
mod data;
mod disk;
mod exit;
mod names;
mod wake;
