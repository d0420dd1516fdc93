//! Ends the processes that GnuPG started for a home.
//!
//! GnuPG leaves an agent running for every home that it has used, and sometimes other processes. A
//! program that owns a home ends them before it exits, so that none outlives it. They are never
//! ended for a user's own home, because other programs of the user need them.
//!
//! An agent takes up to two seconds to end after it has acknowledged the request.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::environment;
use crate::spawn::deadline::Deadline;
use crate::spawn::session::start_in_session;

/// Time limit for a process to end.
const END_SPAN: Duration = Duration::from_secs(10);
/// Time limit for a process to report its process id.
const ANSWER_SPAN: Duration = Duration::from_secs(5);
/// The options of `gpg-connect-agent` for each independent process: the agent, and in newer
/// releases the key daemon and the network daemon. The smartcard daemon ends with the agent.
const PROCESSES: [&[&str]; 3] = [&[], &["--keyboxd"], &["--dirmngr"]];

/// Requests the processes of `home` to end, if they run.
fn stop_agent(home: &Path) -> io::Result<()> {
    let mut gpgconf = environment::command("gpgconf");
    gpgconf.arg("--homedir").arg(home).args(["--kill", "all"]);
    gpgconf.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = start_in_session(gpgconf)?;
    if !ends_in(&mut child, END_SPAN)? {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "gpgconf does not end"));
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("gpgconf: {status}"))) }
}

/// Waits for the end of a child, the leader of its process group. Kills the group at the time limit;
/// returns whether the child has ended by itself.
fn ends_in(child: &mut Child, span: Duration) -> io::Result<bool> {
    let group = Pid::from_child(child);
    let deadline = Deadline::after(span);
    let waited = pidfd_open(group, PidfdFlags::empty())
        .map_err(io::Error::from)
        .and_then(|handle| has_ended(&handle, deadline));
    if !matches!(waited, Ok(true)) {
        // Fails only if no process is left. The child is not reaped yet.
        kill_process_group(group, Signal::KILL).ok();
        child.wait()?;
    }
    waited
}

/// Ends the processes of `home`, if they run, and waits for their end.
pub(crate) fn end_gpg_agent(home: &Path) -> io::Result<()> {
    let mut running = Vec::new();
    for options in PROCESSES {
        let Some(process) = process(home, options)? else { continue };
        match pidfd_open(process, PidfdFlags::empty()) {
            Ok(handle) => running.push(handle),
            // It has ended by itself.
            Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if running.is_empty() {
        return Ok(());
    }
    stop_agent(home)?;
    let deadline = Deadline::after(END_SPAN);
    for handle in running {
        if !has_ended(&handle, deadline)? {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "gpg-agent does not end"));
        }
    }
    Ok(())
}

/// Waits for the end of a process; returns whether it has ended.
fn has_ended(handle: &OwnedFd, deadline: Deadline) -> io::Result<bool> {
    Ok(deadline.first_readable(&[handle.as_fd()])?.is_some())
}

/// Returns the process of `home` that `gpg-connect-agent` finds with these options; `None` if it
/// does not run.
fn process(home: &Path, options: &[&str]) -> io::Result<Option<Pid>> {
    let mut command = environment::command("gpg-connect-agent");
    command.arg("--homedir").arg(home).args(options);
    command.args(["--no-autostart", "GETINFO pid", "/bye"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = match start_in_session(command) {
        Ok(child) => child,
        // Without this program, GnuPG has started no process either.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !ends_in(&mut child, ANSWER_SPAN)? {
        // The agent hangs.
        stop_agent(home)?;
        return Ok(None);
    }
    let mut answer = String::new();
    if let Some(output) = child.stdout.take() {
        output.take(4096).read_to_string(&mut answer)?;
    }
    child.wait()?;
    let number = answer.lines().find_map(|line| line.strip_prefix("D ")?.trim().parse().ok());
    Ok(number.and_then(Pid::from_raw))
}
