//! Runs a package manager to list the installed packages.
//!
//! It stays in the module's process group, so that it is killed with the module. It inherits the
//! module's standard error, so that an operator who runs the module by hand sees its messages.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::Package;
use crate::go::regexp::decode_utf8;
use crate::spawn::deadline::Deadline;

/// Size of the read buffer, in bytes.
const READ_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Clone, Copy)]
pub(super) struct ManagerLimits {
    pub(super) timeout: Duration,
    /// Maximum size of the list, in bytes.
    pub(super) bytes_max: usize,
}

/// Why the list of packages may be incomplete.
#[derive(Debug, thiserror::Error)]
pub(super) enum ManagerError {
    #[error("{program} is not in PATH")]
    Missing { program: &'static str },
    #[error("cannot run {program}")]
    Run { program: &'static str, source: io::Error },
    #[error("{program} exceeded the time limit of {} s and was killed", timeout.as_secs())]
    TimedOut { program: &'static str, timeout: Duration },
    #[error("{program} exceeded the output limit of {bytes_max} bytes and was killed")]
    TooLong { program: &'static str, bytes_max: usize },
    #[error("{program} failed: {status}")]
    Failed { program: &'static str, status: ExitStatus },
}

#[derive(Debug)]
pub(super) struct Manager {
    pub(super) program: &'static str,
    /// The arguments with which it lists its packages.
    pub(super) arguments: &'static [&'static str],
    /// Parses a line of the list; returns `None` if it does not describe an installed package.
    pub(super) parse: fn(&str) -> Option<Package>,
}

impl Manager {
    /// Returns the installed packages that it lists, and an error if the list may be incomplete: a
    /// program that fails at a damaged entry has listed the entries before it.
    pub(super) fn list(
        &self,
        path: &OsStr,
        limits: ManagerLimits,
    ) -> (Vec<Package>, Result<(), ManagerError>) {
        let mut list = Vec::new();
        let ended = self.read(path, limits, &mut list);
        if ended.is_err() {
            // The last line may be incomplete.
            list.truncate(list.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        }
        (decode_utf8(&list).lines().filter_map(self.parse).collect(), ended)
    }

    /// Runs the program and appends its output to `list`.
    fn read(
        &self,
        path: &OsStr,
        limits: ManagerLimits,
        list: &mut Vec<u8>,
    ) -> Result<(), ManagerError> {
        let program = self.program;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => ManagerError::Missing { program },
            _ => ManagerError::Run { program, source },
        };
        let mut child = Command::new(program)
            .args(self.arguments)
            .env_clear()
            .env("PATH", path)
            .env("LC_ALL", "C")
            // Some truncate lines to the width of a terminal.
            .env("COLUMNS", "10000")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let output = read_output(&mut child, limits, list);
        // The child is not reaped yet, so no other process can have its id. A child that has ended
        // is not affected.
        child.kill().ok();
        let status = child.wait().map_err(failed)?;
        match output.map_err(failed)? {
            OutputEnd::Whole if !status.success() => Err(ManagerError::Failed { program, status }),
            OutputEnd::Whole => Ok(()),
            OutputEnd::TimedOut => Err(ManagerError::TimedOut { program, timeout: limits.timeout }),
            OutputEnd::TooLong => {
                Err(ManagerError::TooLong { program, bytes_max: limits.bytes_max })
            }
        }
    }
}

/// How reading a program's output ended.
enum OutputEnd {
    Whole,
    TimedOut,
    TooLong,
}

/// Appends the output of `child` to `list` until `child` has ended or exceeds a limit.
fn read_output(
    child: &mut Child,
    limits: ManagerLimits,
    list: &mut Vec<u8>,
) -> io::Result<OutputEnd> {
    let deadline = Deadline::after(limits.timeout);
    let handle = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    if let Some(stdout) = &mut child.stdout {
        let mut buffer = vec![0; READ_BYTES_MAX];
        loop {
            if !deadline.readable(&*stdout)? {
                return Ok(OutputEnd::TimedOut);
            }
            let size = stdout.read(&mut buffer)?;
            if size == 0 {
                break;
            }
            list.extend_from_slice(buffer.get(..size).unwrap_or_default());
            if list.len() > limits.bytes_max {
                return Ok(OutputEnd::TooLong);
            }
        }
    }
    // The program may have closed its output and continue to run.
    Ok(if deadline.readable(handle)? { OutputEnd::Whole } else { OutputEnd::TimedOut })
}
