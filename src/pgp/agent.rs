//! Ending the agent that GnuPG started for a home.
//!
//! GnuPG leaves an agent running for every home it has used. Who makes a home
//! for a while ends its agent with it. An agent takes up to two seconds to go
//! after it has agreed to.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How long an agent may take to go.
const GO_SPAN: Duration = Duration::from_secs(10);

/// Ends the agent of `home`, if one runs.
///
/// # Errors
/// GnuPG's `gpgconf` is not there or fails.
pub(super) fn stop_agent(home: &Path) -> io::Result<()> {
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

/// Ends the agent of `home`, if one runs, and waits until it is gone.
///
/// # Errors
/// As [`stop_agent`], or the agent does not go.
pub(crate) fn end_agent(home: &Path) -> io::Result<()> {
    let Some(agent) = agent(home)? else { return Ok(()) };
    let handle = match pidfd_open(agent, PidfdFlags::empty()) {
        Ok(handle) => handle,
        // It has gone by itself.
        Err(Errno::SRCH) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    stop_agent(home)?;
    let begun = Instant::now();
    loop {
        let left = GO_SPAN.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "gpg-agent does not end"));
        }
        let span = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&span)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Returns the process of the agent of `home`, if one runs.
fn agent(home: &Path) -> io::Result<Option<Pid>> {
    let output = Command::new("gpg-connect-agent")
        .arg("--homedir")
        .arg(home)
        .args(["--no-autostart", "GETINFO pid", "/bye"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.lines().find_map(|line| line.strip_prefix("D ")?.trim().parse().ok());
    Ok(number.and_then(Pid::from_raw))
}
