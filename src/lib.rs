//! mig-runner.

mod chain;
mod cli;
mod clock;
mod disk;
mod exit;
mod logging;
mod names;
mod plugin;
mod wake;
mod watch;
