//! Ending the processes that GnuPG started for a home.
//!
//! GnuPG leaves an agent running for every home it has used, and may leave others. A program that owns a home
//! ends them with its own work, so that nothing outlives it. They are never ended for the home of a person,
//! whose other programs use them as well.
//!
//! An agent takes up to two seconds to go after it has agreed to.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::spawn::deadline::Deadline;

/// How long a process may take to go.
const GO_SPAN: Duration = Duration::from_secs(10);
/// How long a process may take to say its number.
const ANSWER_SPAN: Duration = Duration::from_secs(5);
/// The options of `gpg-connect-agent` for the processes that go by themselves: the agent, and in newer releases
/// the one with the keys and the one for networks. That for smartcards goes with the agent.
const PROCESSES: [&[&str]; 3] = [&[], &["--keyboxd"], &["--dirmngr"]];

/// Tells the processes of `home` to end, if they run.
///
/// # Errors
/// GnuPG's `gpgconf` is not there or fails.
pub(super) fn stop_agent(home: &Path) -> io::Result<()> {
    let status = Command::new("gpgconf")
        .arg("--homedir")
        .arg(home)
        .args(["--kill", "all"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("gpgconf: {status}"))) }
}

/// Ends the processes of `home`, if they run, and waits until they are gone.
///
/// # Errors
/// As [`stop_agent`], or a process does not go.
pub(crate) fn end_agent(home: &Path) -> io::Result<()> {
    let mut running = Vec::new();
    for options in PROCESSES {
        let Some(process) = process(home, options)? else { continue };
        match pidfd_open(process, PidfdFlags::empty()) {
            Ok(handle) => running.push(handle),
            // It has gone by itself.
            Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if running.is_empty() {
        return Ok(());
    }
    stop_agent(home)?;
    let deadline = Deadline::after(GO_SPAN);
    for handle in running {
        if !is_gone(&handle, deadline)? {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "gpg-agent does not end"));
        }
    }
    Ok(())
}

/// Waits until a process is gone; returns whether it is.
fn is_gone(handle: &OwnedFd, deadline: Deadline) -> io::Result<bool> {
    Ok(deadline.first_readable(&[handle.as_fd()])?.is_some())
}

/// Returns the process of `home` that `gpg-connect-agent` finds with these options, if it runs.
fn process(home: &Path, options: &[&str]) -> io::Result<Option<Pid>> {
    let mut command = Command::new("gpg-connect-agent");
    command.arg("--homedir").arg(home).args(options);
    command.args(["--no-autostart", "GETINFO pid", "/bye"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = match command.spawn() {
        Ok(child) => child,
        // Without it GnuPG has started nothing either.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let number = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let handle = number.map(|number| pidfd_open(number, PidfdFlags::empty())).transpose()?;
    let deadline = Deadline::after(ANSWER_SPAN);
    let has_answered = handle.is_some_and(|handle| is_gone(&handle, deadline).unwrap_or(false));
    if !has_answered {
        // The process hangs; `stop_agent` below ends it.
        child.kill()?;
    }
    let mut answer = String::new();
    if let Some(said) = child.stdout.take() {
        said.take(4096).read_to_string(&mut answer)?;
    }
    child.wait()?;
    if !has_answered {
        stop_agent(home)?;
        return Ok(None);
    }
    let number = answer.lines().find_map(|line| line.strip_prefix("D ")?.trim().parse().ok());
    Ok(number.and_then(Pid::from_raw))
}
