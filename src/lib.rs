//! mig-runner.

mod chain;
mod clock;
mod disk;
mod exit;
mod names;
mod plugin;
mod wake;
mod watch;
