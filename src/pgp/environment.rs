//! The environment variables of GnuPG's processes.
//!
//! An agent that GnuPG starts keeps its environment for as long as it runs, and other processes of
//! the user can read it. So it contains only what GnuPG needs, and never a passphrase.

use std::ffi::OsString;
use std::process::Command;
use std::sync::{PoisonError, RwLock};

/// The search path for GnuPG's programs if no environment is set.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `None` until they are set.
static ENVIRONMENT: RwLock<Option<Vec<(OsString, OsString)>>> = RwLock::new(None);

/// Sets the variables of the processes that are started from now on.
pub(crate) fn set_gnupg_environment(variables: Vec<(OsString, OsString)>) {
    *ENVIRONMENT.write().unwrap_or_else(PoisonError::into_inner) = Some(variables);
}

/// Returns a command with these variables and no others.
pub(super) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    match ENVIRONMENT.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(variables) => command.envs(variables.iter().map(|(name, value)| (name, value))),
        None => command.env("PATH", PATH),
    };
    command
}
