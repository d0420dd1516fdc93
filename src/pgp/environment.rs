//! The environment variables of GnuPG's processes.
//!
//! An agent that GnuPG starts keeps its environment for as long as it runs, and other processes of
//! the user can read it. So it contains what GnuPG needs, and nothing else: no passphrase.

use std::ffi::OsString;
use std::process::Command;
use std::sync::OnceLock;

/// The search path for GnuPG's programs if no environment is set.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static ENVIRONMENT: OnceLock<Vec<(OsString, OsString)>> = OnceLock::new();

/// Sets the variables. Only the first call has an effect.
pub(crate) fn set_gnupg_environment(variables: Vec<(OsString, OsString)>) {
    ENVIRONMENT.get_or_init(|| variables);
}

/// Returns a command with these variables and no others.
pub(super) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    match ENVIRONMENT.get() {
        Some(variables) => command.envs(variables.iter().map(|(name, value)| (name, value))),
        None => command.env("PATH", PATH),
    };
    command
}
