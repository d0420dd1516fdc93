//! A child process that uses GnuPG, as its parent sees it: a process group and a socket.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::protocol::{ANSWER_BYTES_MAX, END};
use crate::pgp::environment;
use crate::pgp::worker_error::WorkerError;
use crate::spawn::deadline::Deadline;
use crate::spawn::session::start_in_session;

/// The executable of this process, even if its file has been replaced since the start.
const OWN_EXECUTABLE: &str = "/proc/self/exe";
/// Maximum number of bytes in one read of an answer.
const READ_BYTES_MAX: usize = 64 << 10;

/// A worker or a signer, which ends when this is dropped.
#[derive(Debug)]
pub(in crate::pgp) struct Process {
    child: Child,
    socket: UnixStream,
}

impl Process {
    /// Starts this program again, with `arguments` and with further environment variables.
    pub(in crate::pgp) fn start(
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> io::Result<Process> {
        let (socket, theirs) = UnixStream::pair()?;
        let mut command = environment::command(OWN_EXECUTABLE);
        if let Some(name) = std::env::args_os().next() {
            command.arg0(name);
        }
        command.args(arguments).envs(variables.iter().copied());
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Process { child: start_in_session(command)?, socket })
    }

    /// Returns the process group of the worker.
    pub(in crate::pgp) fn group(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Returns another handle of the socket.
    pub(in crate::pgp) fn socket(&self) -> io::Result<UnixStream> {
        self.socket.try_clone()
    }

    /// Returns whether an idle worker can take a request: one that has ended has closed its end.
    pub(super) fn is_ready(&self) -> bool {
        let now = Deadline::after(Duration::ZERO);
        now.first_readable(&[self.socket.as_fd()]).is_ok_and(|readable| readable.is_none())
    }

    /// Sends a request, and returns the answer.
    pub(in crate::pgp) fn exchange(
        &mut self,
        request: &[u8],
        deadline: Deadline,
        span: Duration,
    ) -> Result<Vec<u8>, WorkerError> {
        let exchanged = self.write(request, deadline).and_then(|()| self.read(deadline));
        exchanged.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => WorkerError::Timeout(span),
            _ => WorkerError::Ended(error),
        })
    }

    fn write(&mut self, mut rest: &[u8], deadline: Deadline) -> io::Result<()> {
        while !rest.is_empty() {
            self.socket.set_write_timeout(Some(left(deadline)?))?;
            match self.socket.write(rest) {
                Ok(size) => rest = rest.get(size..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self, deadline: Deadline) -> io::Result<Vec<u8>> {
        let (mut answer, mut buffer) = (Vec::new(), vec![0; READ_BYTES_MAX]);
        while answer.last() != Some(&END) {
            self.socket.set_read_timeout(Some(left(deadline)?))?;
            let size = match self.socket.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(size) => size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            answer.extend_from_slice(buffer.get(..size).unwrap_or_default());
            if answer.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("the answer is too long"));
            }
        }
        Ok(answer)
    }
}

/// Returns the time that is left, which is never zero.
fn left(deadline: Deadline) -> io::Result<Duration> {
    match deadline.left() {
        Some(Duration::ZERO) => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left.unwrap_or(Duration::MAX)),
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The worker is not reaped yet, so no other process group can have its number. Killing
        // fails only if no process is left.
        kill_process_group(self.group(), Signal::KILL).ok();
        self.child.wait().ok();
    }
}
