//! The real runner, as a child process.
//!
//! A thread waits for its end, so that all others can wait for that like for any
//! other news. Signals go by a handle, not by a number: they cannot hit a stranger.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::TrialError;
use crate::cli::failure::Failure;
use crate::invocation::Program;
use crate::spawn;

/// How long the runner may take to stop: the step in hand, and plugins that must be killed.
const STOP_SPAN: Duration = Duration::from_secs(20);

/// The runner, until it is waited for.
#[derive(Debug)]
pub(super) struct Runner {
    handle: OwnedFd,
    ended: Receiver<io::Result<ExitStatus>>,
}

/// Returns the runner's executable, which is beside this one.
pub(super) fn program() -> Result<PathBuf, Failure> {
    let path = crate::cli::platform::program()?.with_file_name(Program::Runner.name());
    if path.is_file() { Ok(path) } else { Err(TrialError::NoRunner { path }.into()) }
}

impl Runner {
    /// Starts `program` with the configuration `config`; all that it says goes to the end of `log`.
    pub(super) fn start(program: &Path, config: &Path, log: &Path) -> Result<Runner, TrialError> {
        let failed = |source| TrialError::Process { doing: "start the runner", source };
        spawn(program, config, log).map_err(failed)
    }

    /// Returns how the runner has ended, if it has; waits for that for `span` at the most.
    pub(super) fn ended(&self, span: Duration) -> Result<Option<ExitStatus>, TrialError> {
        match self.ended.recv_timeout(span) {
            Ok(status) => {
                let failed = |source| TrialError::Process { doing: "wait for the runner", source };
                status.map(Some).map_err(failed)
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            // It was told once, and that is over.
            Err(RecvTimeoutError::Disconnected) => Ok(Some(ExitStatus::default())),
        }
    }

    /// Tells the runner to stop, and waits until it has.
    pub(super) fn stop(self) -> Result<(), TrialError> {
        for signal in [Signal::TERM, Signal::KILL] {
            // It fails only for a process that has ended, and then there is nothing to do.
            pidfd_send_signal(&self.handle, signal).ok();
            if self.ended(STOP_SPAN)?.is_some() {
                return Ok(());
            }
        }
        Err(TrialError::Late { what: "the end of the runner".to_owned(), span: STOP_SPAN })
    }
}

fn spawn(program: &Path, config: &Path, log: &Path) -> io::Result<Runner> {
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    let mut command = Command::new(program);
    command
        .arg("-c")
        .arg(config)
        .arg("run")
        // The key has none, and whatever it is for is not the runner's business.
        .env_remove("MIGPGPPASSPHRASE")
        // A signal from the keyboard is for the trial, which then stops its runner in order.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let mut child = spawn::start(&mut command)?;
    // Nobody waits for it yet, so the number is its own.
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
        // Who does not listen any more has given it up.
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

    /// Runs `script` as the runner would be run.
    fn start(script: &str) -> (tempfile::TempDir, Runner) {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("script");
        #[expect(clippy::disallowed_methods, reason = "what a person would write")]
        std::fs::write(&config, script).unwrap();
        // `sh -c FILE run` reads its script from nowhere else than the argument.
        let program = folder.path().join("program");
        let link = std::os::unix::fs::symlink("/bin/sh", &program);
        link.unwrap();
        let runner = Runner::start(&program, Path::new(script), &folder.path().join("log"));
        (folder, runner.unwrap())
    }

    #[test]
    fn a_runner_that_ends_by_itself_is_noticed_and_its_log_kept() {
        let (folder, runner) = start("echo said; echo told >&2; exit 3");
        let status = runner.ended(Duration::from_secs(60)).unwrap().unwrap();
        assert_eq!(status.code(), Some(3));
        let log = crate::disk::read(&crate::disk::RealFs, &folder.path().join("log"), 99).unwrap();
        assert_eq!(log, b"said\ntold\n");
        runner.stop().unwrap();
    }

    #[test]
    fn a_runner_is_told_to_stop() {
        let (folder, runner) =
            start("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done");
        let log = folder.path().join("log");
        let read = || crate::disk::read(&crate::disk::RealFs, &log, 99).unwrap();
        while read() != b"ready\n" {
            assert!(runner.ended(Duration::from_millis(10)).unwrap().is_none());
        }
        runner.stop().unwrap();
        assert_eq!(read(), b"ready\nbye\n");
    }
}
