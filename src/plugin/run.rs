//! One run of one plugin, from its start to its end.
//!
//! The plugin's stdin is the stored results document itself, opened for reading. Its bytes never
//! pass through the runner, and a plugin that reads slowly or not at all delays nothing. Stdout and
//! stderr share one pipe, which the runner empties while keeping only the end, so that endless
//! output never blocks the plugin.
//!
//! **Environment.** The behaviour of a plugin must not depend on how the runner was started. It
//! gets a fixed `PATH`, `LANG=C.UTF-8` and the `MIG_` variables of its delivery, and nothing else:
//! no `HOME`, no proxy, no secret. The time zone is the machine's. The working directory is the
//! plugins folder.
//!
//! **Processes.** A plugin is the leader of its own process group. At the time limit, or at a stop,
//! SIGTERM goes to the group, and SIGKILL three seconds later; processes of the plugin that have
//! left the group get the same signals. When the plugin itself has ended, processes left in its
//! group may use the output for one more second and are then killed. A process that has left the
//! group on purpose may continue until the runner stops, as it would under systemd.
//!
//! **Failure.** Every end, even an error, is a [`PluginOutcome`]. A plugin that the runner ended
//! has not delivered, whatever its exit status: it may have exited with 0 because of SIGTERM. It
//! runs again later.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use super::Executable;
use super::process::{EndReason, Process};
use super::tail::Tail;
use crate::names::{ActionId, JobName, PluginName, RunId};
use crate::spawn;
use crate::spawn::leftovers::ProcessMark;
use crate::wake::Stop;

/// Default size of the end of a plugin's output that is kept, in bytes.
pub(crate) const OUTPUT_BYTES_MAX: usize = 8 * 1024;
/// Exit status of a plugin that wants to run again later: EX_TEMPFAIL of sysexits.h.
const TRY_LATER: i32 = 75;
/// The value of `PATH` in a plugin's environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The input of one run of a plugin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PluginCall<'a> {
    /// The job that the results belong to.
    pub(crate) job: &'a JobName,
    /// The plugin's name, as in the job's configuration.
    pub(crate) plugin: &'a PluginName,
    pub(crate) run: &'a RunId,
    /// The action's id on the platform.
    pub(crate) action: ActionId,
    /// Number of this attempt, from 1.
    pub(crate) attempt: u32,
    pub(crate) results: &'a Path,
}

/// Limits of a plugin's run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PluginLimits {
    pub(crate) timeout: Duration,
    /// Size of the end of the output that is kept.
    pub(crate) output_bytes_max: usize,
}

#[derive(Debug)]
pub(crate) struct PluginExit {
    pub(crate) outcome: PluginOutcome,
    /// The end of stdout and stderr, unchanged: must be escaped before it is shown.
    pub(crate) output: String,
    /// Number of lines that the plugin wrote, including those not kept.
    pub(crate) lines: usize,
    pub(crate) took: Duration,
}

/// The outcome of a delivery.
#[derive(Debug)]
pub(crate) enum PluginOutcome {
    /// The plugin accepted the results.
    Delivered,
    /// The plugin wants to run again later.
    TryLater,
    Failed {
        why: RunError,
    },
    /// The plugin exceeded its time limit and was killed.
    TimedOut,
    /// The runner stops and killed the plugin.
    Stopped,
}

impl PluginOutcome {
    /// Returns the word used in the log.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            PluginOutcome::Delivered => "delivered",
            PluginOutcome::TryLater => "later",
            PluginOutcome::Failed { .. } => "failed",
            PluginOutcome::TimedOut => "timed out",
            PluginOutcome::Stopped => "stopped",
        }
    }
}

/// Why a plugin did not deliver.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("cannot open results {}", path.display())]
    Results { path: PathBuf, source: io::Error },
    #[error("cannot start {}", path.display())]
    Start { path: PathBuf, source: io::Error },
    /// The plugin was killed and still runs: it hangs in the kernel, as on a dead network file
    /// system.
    #[error("plugin {} cannot be killed", path.display())]
    Hangs { path: PathBuf },
    /// Waiting for the plugin failed; it was killed.
    #[error("cannot watch plugin {}", path.display())]
    Watch { path: PathBuf, source: io::Error },
    #[error("plugin exited with status {0}")]
    Status(i32),
    /// The plugin crashed, or another process killed it.
    #[error("plugin was ended by signal {0}")]
    Signal(i32),
}

/// Runs a plugin until it ends, at the latest soon after `limits.timeout` or a stop.
pub(crate) fn run(
    executable: &Executable,
    delivery: &PluginCall<'_>,
    limits: &PluginLimits,
    stop: &Stop,
) -> PluginExit {
    let begun = Instant::now();
    let mut tail = Tail::new(limits.output_bytes_max);
    let outcome = attempt(executable, delivery, limits, stop, &mut tail);
    let outcome = outcome.unwrap_or_else(|why| PluginOutcome::Failed { why });
    let lines = tail.lines();
    PluginExit { outcome, output: tail.into_text(), lines, took: begun.elapsed() }
}

fn attempt(
    executable: &Executable,
    delivery: &PluginCall<'_>,
    limits: &PluginLimits,
    stop: &Stop,
    tail: &mut Tail,
) -> Result<PluginOutcome, RunError> {
    if stop.is_requested() {
        return Ok(PluginOutcome::Stopped);
    }
    let path = || executable.path.clone();
    let stop_pipe = stop.pipe().map_err(|source| RunError::Watch { path: path(), source })?;
    let mut process = start(executable, delivery)?;
    let reason = process.follow(&stop_pipe, limits.timeout, tail);
    let status = process.reap();
    match reason.and_then(|reason| Ok((reason, status?))) {
        Ok((_, None)) => Err(RunError::Hangs { path: path() }),
        Ok((Some(EndReason::Timeout), _)) => Ok(PluginOutcome::TimedOut),
        Ok((Some(EndReason::Stop), _)) => Ok(PluginOutcome::Stopped),
        Ok((None, Some(status))) => outcome(status),
        Err(source) => Err(RunError::Watch { path: path(), source }),
    }
}

/// Returns the outcome for a plugin that ended by itself.
fn outcome(status: ExitStatus) -> Result<PluginOutcome, RunError> {
    match status.code() {
        Some(0) => Ok(PluginOutcome::Delivered),
        Some(TRY_LATER) => Ok(PluginOutcome::TryLater),
        Some(code) => Err(RunError::Status(code)),
        None => Err(RunError::Signal(status.signal().unwrap_or_default())),
    }
}

fn start(executable: &Executable, delivery: &PluginCall<'_>) -> Result<Process, RunError> {
    let (results, path) = open(delivery.results)
        .map_err(|source| RunError::Results { path: delivery.results.to_owned(), source })?;
    let start = || -> io::Result<Process> {
        let (output, writer) = io::pipe()?;
        let mark = ProcessMark::new();
        let mut command = Command::new(&executable.path);
        command
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .env("MIG_PLUGIN", delivery.plugin.as_str())
            .env("MIG_JOB", delivery.job.as_str())
            .env("MIG_RUN", delivery.run.as_str())
            .env("MIG_ACTION_ID", delivery.action.to_string())
            .env("MIG_ATTEMPT", delivery.attempt.to_string())
            .env("MIG_RESULTS", path)
            .env("MIG_DELIVERY", mark.value())
            .current_dir(&executable.folder)
            .process_group(0)
            .stdin(results)
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let child = spawn::start(&mut command)?;
        // The command holds the runner's copies of the writing end; while any is open, the output
        // does not end.
        drop(command);
        Process::new(child, output, mark)
    };
    start().map_err(|source| RunError::Start { path: executable.path.clone(), source })
}

/// Opens the results document; returns it with its absolute path, since the plugin works in another
/// folder.
fn open(results: &Path) -> io::Result<(File, PathBuf)> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(results)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok((file, std::path::absolute(results)?))
}

#[cfg(test)]
mod tests;
