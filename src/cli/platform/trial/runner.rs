//! The installed runner, as a child process.
//!
//! A thread waits for the child and reports its end through a channel, so that the caller can wait
//! with a timeout. Signals are sent through a pidfd, so that they cannot reach another process that
//! has been given the same process id.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::error::TrialError;
use crate::cli::env;
use crate::cli::failure::Failure;
use crate::cli::program::own_executable;
use crate::invocation::Program;
use crate::spawn::session::start_in_session;

/// Time limit for a stop of the runner: it finishes the current step, and may have to kill plugins.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// A started runner that has not been waited for.
#[derive(Debug)]
pub(super) struct Runner {
    handle: OwnedFd,
    ended: Receiver<io::Result<ExitStatus>>,
}

/// Returns the path of the runner's executable, in the folder of this one.
pub(super) fn program() -> Result<PathBuf, Failure> {
    let path = own_executable()?.with_file_name(Program::Runner.name());
    if path.is_file() { Ok(path) } else { Err(TrialError::NoRunner { path }.into()) }
}

impl Runner {
    /// Starts `program` with the configuration `config`; its output is appended to `log`.
    pub(super) fn start(program: &Path, config: &Path, log: &Path) -> Result<Runner, TrialError> {
        let failed = |source| TrialError::Process { doing: "start the runner", source };
        spawn(program, config, log).map_err(failed)
    }

    /// Waits at most `timeout` for the end of the runner, and returns its status if it has ended.
    pub(super) fn wait(&self, timeout: Duration) -> Result<Option<ExitStatus>, TrialError> {
        match self.ended.recv_timeout(timeout) {
            Ok(status) => {
                let failed = |source| TrialError::Process { doing: "wait for the runner", source };
                status.map(Some).map_err(failed)
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            // The status has been received before.
            Err(RecvTimeoutError::Disconnected) => Ok(Some(ExitStatus::default())),
        }
    }

    /// Stops the runner, and waits for its end.
    pub(super) fn stop(self) -> Result<(), TrialError> {
        for signal in [Signal::TERM, Signal::KILL] {
            // Fails only if the process has ended.
            pidfd_send_signal(&self.handle, signal).ok();
            if self.wait(STOP_TIMEOUT)?.is_some() {
                return Ok(());
            }
        }
        Err(TrialError::Timeout { what: "the end of the runner".to_owned(), timeout: STOP_TIMEOUT })
    }
}

fn spawn(program: &Path, config: &Path, log: &Path) -> io::Result<Runner> {
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    let mut command = Command::new(program);
    command
        .arg("-c")
        .arg(config)
        .arg("run")
        // The trial's key has no passphrase; one for another key must not reach the runner.
        .env_remove("MIGPGPPASSPHRASE")
        // If root runs the trial in the folder of a user, the home is that user's.
        .envs(env::home().map(|home| ("HOME", home)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    // In its own session: a signal from the keyboard goes to the trial only, which then stops the
    // runner.
    let mut child = start_in_session(command)?;
    // The child has not been waited for yet, so its process id cannot have been reused.
    let handle = match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(error) => {
            child.kill()?;
            child.wait()?;
            return Err(error.into());
        }
    };
    let (sender, ended) = channel();
    let wait = move || {
        // Fails only if the receiver was dropped.
        sender.send(child.wait()).ok();
    };
    let thread = std::thread::Builder::new().name("runner".to_owned()).spawn(wait);
    if let Err(error) = thread {
        pidfd_send_signal(&handle, Signal::KILL)?;
        return Err(error);
    }
    Ok(Runner { handle, ended })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts `script` in place of the runner.
    fn start(script: &str) -> (tempfile::TempDir, Runner) {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("script");
        #[expect(clippy::disallowed_methods, reason = "tests write a script directly")]
        std::fs::write(&config, script).unwrap();
        // The command is `sh -c SCRIPT run`.
        let program = folder.path().join("program");
        let link = std::os::unix::fs::symlink("/bin/sh", &program);
        link.unwrap();
        let runner = Runner::start(&program, Path::new(script), &folder.path().join("log"));
        (folder, runner.unwrap())
    }

    #[test]
    fn end_of_runner_is_noticed_and_output_logged() {
        let (folder, runner) = start("echo out; echo err >&2; exit 3");
        let status = runner.wait(Duration::from_secs(60)).unwrap().unwrap();
        assert_eq!(status.code(), Some(3));
        let log = crate::disk::read(&crate::disk::RealFs, &folder.path().join("log"), 99).unwrap();
        assert_eq!(log, b"out\nerr\n");
        runner.stop().unwrap();
    }

    #[test]
    fn runner_is_stopped_by_signal() {
        let (folder, runner) =
            start("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done");
        let log = folder.path().join("log");
        let read = || crate::disk::read(&crate::disk::RealFs, &log, 99).unwrap();
        while read() != b"ready\n" {
            assert!(runner.wait(Duration::from_millis(10)).unwrap().is_none());
        }
        runner.stop().unwrap();
        assert_eq!(read(), b"ready\nbye\n");
    }
}
