//! mig-runner.

mod chain;
mod clock;
mod disk;
mod exit;
mod names;
#[cfg(feature = "standalone")]
mod standalone;
mod wake;
