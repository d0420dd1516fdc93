//! Processes: their start, the wait for their end, and the protection of this one.

pub(crate) mod deadline;
pub(crate) mod leftovers;
pub(crate) mod protect;
pub(crate) mod session;
pub(crate) mod user;

use std::io;
use std::process::{Child, Command};

/// Starts a process that inherits only what `command` specifies.
pub(crate) fn start(command: &mut Command) -> io::Result<Child> {
    command.spawn()
}
