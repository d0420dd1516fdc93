//! A package manager's program, run to list what is installed.
//!
//! It stays in the module's process group, so that whatever ends the module ends it too.
//! What it has to say on its standard error goes to the module's: who runs the module by
//! hand reads it there.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::super::go_regex::as_go_reads;
use super::Package;
use crate::spawn::deadline::Deadline;

/// How much is read at once.
const READ_BYTES_MAX: usize = 64 << 10;

/// What a package manager may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How long it may run.
    pub(super) span: Duration,
    /// How much it may answer.
    pub(super) bytes_max: usize,
}

/// A package manager that has not listed all.
#[derive(Debug, thiserror::Error)]
pub(super) enum ManagerError {
    /// It is not there.
    #[error("{program} is not in PATH")]
    Missing { program: &'static str },
    /// It cannot be run.
    #[error("cannot run {program}")]
    Run { program: &'static str, source: io::Error },
    /// It took too long.
    #[error("{program} was ended after {} s", span.as_secs())]
    TimedOut {
        program: &'static str,
        /// How long it ran.
        span: Duration,
    },
    /// It answered too much.
    #[error("{program} was ended after an answer of {bytes} bytes")]
    TooLong {
        program: &'static str,
        /// How much it may answer.
        bytes: usize,
    },
    /// It says that it has failed.
    #[error("{program} ended with {status}")]
    Failed { program: &'static str, status: ExitStatus },
}

#[derive(Debug)]
pub(super) struct Manager {
    pub(super) program: &'static str,
    /// What makes it list its packages.
    pub(super) arguments: &'static [&'static str],
    /// Reads a line of the list; `None` for one that is no installed package.
    pub(super) package: fn(&str) -> Option<Package>,
}

impl Manager {
    /// Returns the packages that it lists as installed, and whether these are all. A program that
    /// fails at one damaged entry has listed the others.
    pub(super) fn list(
        &self,
        path: &OsStr,
        limits: Limits,
    ) -> (Vec<Package>, Result<(), ManagerError>) {
        let mut list = Vec::new();
        let ended = self.read(path, limits, &mut list);
        if ended.is_err() {
            // The last line may be half of one.
            list.truncate(list.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        }
        (as_go_reads(&list).lines().filter_map(self.package).collect(), ended)
    }

    /// Runs the program and appends what it writes to `list`.
    fn read(&self, path: &OsStr, limits: Limits, list: &mut Vec<u8>) -> Result<(), ManagerError> {
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
            // Some cut their lines to the width of a terminal that is not there.
            .env("COLUMNS", "10000")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let answered = answer(&mut child, limits, list);
        // It is not reaped yet, so that nobody else can have got its number; if it has
        // ended there is nothing to be killed.
        child.kill().ok();
        let status = child.wait().map_err(failed)?;
        match answered.map_err(failed)? {
            Answered::Whole if !status.success() => Err(ManagerError::Failed { program, status }),
            Answered::Whole => Ok(()),
            Answered::TimedOut => Err(ManagerError::TimedOut { program, span: limits.span }),
            Answered::TooLong => Err(ManagerError::TooLong { program, bytes: limits.bytes_max }),
        }
    }
}

/// How much of its answer a program gave.
enum Answered {
    Whole,
    TimedOut,
    TooLong,
}

/// Appends what `child` writes to `list` until it has ended or must be.
fn answer(child: &mut Child, limits: Limits, list: &mut Vec<u8>) -> io::Result<Answered> {
    let deadline = Deadline::after(limits.span);
    let handle = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    if let Some(stdout) = &mut child.stdout {
        let mut buffer = vec![0; READ_BYTES_MAX];
        loop {
            if !deadline.readable(&*stdout)? {
                return Ok(Answered::TimedOut);
            }
            let size = stdout.read(&mut buffer)?;
            if size == 0 {
                break;
            }
            list.extend_from_slice(buffer.get(..size).unwrap_or_default());
            if list.len() > limits.bytes_max {
                return Ok(Answered::TooLong);
            }
        }
    }
    // It may have closed its output and go on.
    Ok(if deadline.readable(handle)? { Answered::Whole } else { Answered::TimedOut })
}
