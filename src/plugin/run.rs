//! One run of one plugin, from its start to its end.
//!
//! The plugin's stdin is the stored results document itself, opened for reading:
//! its bytes never pass through the runner, and a plugin that reads slowly, half
//! or not at all holds nobody up. Its stdout and stderr are one pipe, of which
//! the end is kept, so that a plugin that prints for ever is never blocked.
//!
//! **Environment.** What a plugin does may not depend on how the runner was
//! started. It gets a fixed `PATH`, `LANG=C.UTF-8` and the `MIG_` variables of
//! its delivery, and nothing else: no `HOME`, no proxy, no secret. The time zone
//! is the machine's. Its working folder is the plugins folder.
//!
//! **Processes.** A plugin is the leader of a process group of its own. At the
//! time limit, or at a stop, the group gets TERM and three seconds later KILL, and
//! so do processes of the plugin that have left the group.
//! When the plugin itself has ended, what it left in its group may use the
//! output for a second more and is then killed. A process that has left the
//! group on purpose may go on until the runner stops, as it does under systemd.
//!
//! **Failure.** Whatever happens is an [`Outcome`]. A plugin that was told to
//! end has not delivered, whatever its exit status says: it may have said 0 on
//! its way out. It will be run again.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use super::Executable;
use super::process::{Process, Told};
use super::tail::Tail;
use crate::names::{ActionId, JobName, PluginName, RunId};
use crate::spawn;
use crate::spawn::leftovers::ProcessMark;
use crate::wake::Stop;

/// How much of a plugin's output is kept if nothing else is asked for.
pub(crate) const OUTPUT_BYTES_MAX: usize = 8 * 1024;
/// The exit status by which a plugin asks to be run again later, as in sysexits.h.
const TRY_LATER: i32 = 75;
/// Where a plugin finds the programs that it calls.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is delivered, and to whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery<'a> {
    /// The job whose results they are.
    pub(crate) job: &'a JobName,
    /// The plugin, as the job names it.
    pub(crate) plugin: &'a PluginName,
    pub(crate) run: &'a RunId,
    /// The action's id on the platform.
    pub(crate) action: ActionId,
    /// The number of this attempt, from 1.
    pub(crate) attempt: u32,
    pub(crate) results: &'a Path,
}

/// What a plugin may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long it may run.
    pub(crate) timeout: Duration,
    /// How much of the end of its output is kept.
    pub(crate) output_bytes_max: usize,
}

/// How a plugin's run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What it means for the delivery.
    pub(crate) outcome: Outcome,
    /// The end of its stdout and stderr, as it came: to be escaped before it is shown.
    pub(crate) output: String,
    /// How many lines it wrote in all.
    pub(crate) lines: usize,
    /// How long it took.
    pub(crate) took: Duration,
}

/// What a plugin's run means for the delivery.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The plugin has the results.
    Delivered,
    /// The plugin asks to be run again later.
    TryLater,
    /// The plugin failed, or could not be run.
    Failed { why: RunError },
    /// It took too long and was killed.
    TimedOut,
    /// The runner stops, and the plugin was killed.
    Stopped,
}

impl Outcome {
    /// Returns the word for it in the log.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::TryLater => "later",
            Outcome::Failed { .. } => "failed",
            Outcome::TimedOut => "timed out",
            Outcome::Stopped => "stopped",
        }
    }
}

/// Why a plugin has not delivered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The results document cannot be read.
    #[error("cannot open results {}", path.display())]
    Results { path: PathBuf, source: io::Error },
    /// The plugin cannot be started.
    #[error("cannot start {}", path.display())]
    Start { path: PathBuf, source: io::Error },
    /// It was killed and is still there: it hangs in the kernel, as on a dead network file system.
    #[error("plugin {} cannot be killed", path.display())]
    Hangs { path: PathBuf },
    /// The plugin cannot be waited for; it was killed.
    #[error("cannot watch plugin {}", path.display())]
    Watch { path: PathBuf, source: io::Error },
    /// It said that it failed.
    #[error("plugin exited with status {0}")]
    Status(i32),
    /// It crashed, or somebody else killed it.
    #[error("plugin was ended by signal {0}")]
    Signal(i32),
}

/// Runs a plugin to its end, which comes soon after `limits.timeout` or a stop at the latest.
pub(crate) fn run(
    executable: &Executable,
    delivery: &Delivery<'_>,
    limits: &Limits,
    stop: &Stop,
) -> Ended {
    let begun = Instant::now();
    let mut tail = Tail::new(limits.output_bytes_max);
    let outcome = attempt(executable, delivery, limits, stop, &mut tail);
    let outcome = outcome.unwrap_or_else(|why| Outcome::Failed { why });
    let lines = tail.lines();
    Ended { outcome, output: tail.into_text(), lines, took: begun.elapsed() }
}

fn attempt(
    executable: &Executable,
    delivery: &Delivery<'_>,
    limits: &Limits,
    stop: &Stop,
    tail: &mut Tail,
) -> Result<Outcome, RunError> {
    if stop.asked() {
        return Ok(Outcome::Stopped);
    }
    let path = || executable.path.clone();
    let line = stop.pipe().map_err(|source| RunError::Watch { path: path(), source })?;
    let mut process = start(executable, delivery)?;
    let told = process.follow(&line, limits.timeout, tail);
    let status = process.reap();
    match told.and_then(|told| Ok((told, status?))) {
        Ok((_, None)) => Err(RunError::Hangs { path: path() }),
        Ok((Some(Told::Timeout), _)) => Ok(Outcome::TimedOut),
        Ok((Some(Told::Stop), _)) => Ok(Outcome::Stopped),
        Ok((None, Some(status))) => outcome(status),
        Err(source) => Err(RunError::Watch { path: path(), source }),
    }
}

/// Tells what an exit status means that the plugin gave of its own accord.
fn outcome(status: ExitStatus) -> Result<Outcome, RunError> {
    match status.code() {
        Some(0) => Ok(Outcome::Delivered),
        Some(TRY_LATER) => Ok(Outcome::TryLater),
        Some(code) => Err(RunError::Status(code)),
        None => Err(RunError::Signal(status.signal().unwrap_or_default())),
    }
}

fn start(executable: &Executable, delivery: &Delivery<'_>) -> Result<Process, RunError> {
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
        // Our writing ends are in the command; as long as they are open the output does not end.
        drop(command);
        Process::new(child, output, mark)
    };
    start().map_err(|source| RunError::Start { path: executable.path.clone(), source })
}

/// Opens the results document and returns it with its full path: the plugin works in another folder.
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
