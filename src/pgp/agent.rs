//! Ending the agent that GnuPG started for a home.
//!
//! GnuPG leaves an agent running for every home it has used. Who makes a home
//! for a while ends its agent with it.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Ends the agent of `home`, if one runs.
///
/// # Errors
/// GnuPG's `gpgconf` is not there or fails.
pub(crate) fn stop_agent(home: &Path) -> io::Result<()> {
    let status = Command::new("gpgconf")
        .arg("--homedir")
        .arg(home)
        .args(["--kill", "gpg-agent"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("gpgconf: {status}"))) }
}
