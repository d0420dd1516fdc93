//! A running plugin: its process group, its output, and the wait for its end.
//!
//! One thread per plugin waits in `poll` for whatever comes first: the plugin's end, output, the
//! time limit, or a stop. It needs no second thread, and no periodic checks.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::tail::Tail;
use crate::spawn::deadline::Deadline;
use crate::spawn::leftovers::{Leftovers, ProcessMark};

/// Time that a plugin has to end after SIGTERM.
const TERM_SPAN: Duration = Duration::from_secs(3);
/// Time that a plugin has to end after SIGKILL. A plugin that hangs in the kernel may never end.
const KILL_SPAN: Duration = Duration::from_secs(5);
/// Time for which the output is read after the plugin's end, if other processes hold it open.
const OUTPUT_SPAN: Duration = Duration::from_secs(1);
/// Size of a read from the output, in bytes.
const READ_BYTES_MAX: usize = 16 * 1024;

/// A plugin from its start until it is reaped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Pid,
    /// Readable when the plugin has ended, reaped or not.
    handle: OwnedFd,
    output: Option<PipeReader>,
    /// A value in the environment of the plugin and of all processes that it starts.
    mark: ProcessMark,
    /// Processes of the plugin outside its group; known once the plugin has been signalled.
    leftovers: Option<Leftovers>,
}

/// Why the runner ended a plugin.
#[derive(Debug, Clone, Copy)]
pub(super) enum EndReason {
    /// It exceeded its time limit.
    Timeout,
    Stop,
}

/// What ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitEvent {
    Ended,
    Stop,
    Output,
    Time,
}

impl Process {
    /// Returns the plugin that runs as `child`, the leader of its own process group, with the
    /// output `output` and with `mark` in its environment.
    pub(super) fn new(
        mut child: Child,
        output: PipeReader,
        mark: ProcessMark,
    ) -> io::Result<Process> {
        let group = Pid::from_child(&child);
        match pidfd_open(group, PidfdFlags::empty()) {
            Ok(handle) => {
                Ok(Process { child, group, handle, output: Some(output), mark, leftovers: None })
            }
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error.into())
            }
        }
    }

    /// Reads the output until the plugin has ended. At the time limit or a stop, the plugin is
    /// signalled: first SIGTERM, then SIGKILL. Returns early if the plugin does not react to
    /// either.
    pub(super) fn follow(
        &mut self,
        stop: &PipeReader,
        timeout: Duration,
        tail: &mut Tail,
    ) -> io::Result<Option<EndReason>> {
        let (mut reason, mut signal) = (None, None);
        let mut deadline = Deadline::after(timeout);
        loop {
            let mut sources = vec![(WaitEvent::Ended, self.handle.as_fd())];
            if reason.is_none() {
                sources.push((WaitEvent::Stop, stop.as_fd()));
            }
            if let Some(output) = &self.output {
                sources.push((WaitEvent::Output, output.as_fd()));
            }
            let event = wait(&sources, deadline)?;
            let (next, span) = match (event, signal) {
                (WaitEvent::Ended, _) => break,
                (WaitEvent::Output, _) => {
                    self.read(tail)?;
                    continue;
                }
                (WaitEvent::Stop | WaitEvent::Time, None) => (Signal::TERM, TERM_SPAN),
                (WaitEvent::Stop | WaitEvent::Time, Some(Signal::TERM)) => {
                    (Signal::KILL, KILL_SPAN)
                }
                // It hangs in the kernel, where no signal reaches it.
                (WaitEvent::Stop | WaitEvent::Time, Some(_)) => return Ok(reason),
            };
            reason = reason.or(Some(if event == WaitEvent::Stop {
                EndReason::Stop
            } else {
                EndReason::Timeout
            }));
            self.signal_all(next);
            signal = Some(next);
            deadline = Deadline::after(span);
        }
        self.drain(tail)?;
        Ok(reason)
    }

    /// Reads the rest of the output; other processes may hold it open after the plugin's end.
    fn drain(&mut self, tail: &mut Tail) -> io::Result<()> {
        let deadline = Deadline::after(OUTPUT_SPAN);
        while let Some(output) = &self.output {
            if wait(&[(WaitEvent::Output, output.as_fd())], deadline)? == WaitEvent::Time {
                break;
            }
            self.read(tail)?;
        }
        Ok(())
    }

    fn read(&mut self, tail: &mut Tail) -> io::Result<()> {
        let mut buffer = [0; READ_BYTES_MAX];
        if let Some(output) = &mut self.output {
            let size = output.read(&mut buffer)?;
            tail.push(buffer.get(..size).unwrap_or_default());
            if size == 0 {
                self.output = None;
            }
        }
        Ok(())
    }

    /// Kills the rest of the plugin's group and returns the exit status; `None` if the plugin
    /// cannot be killed.
    pub(super) fn reap(mut self) -> io::Result<Option<ExitStatus>> {
        // Until the plugin is reaped, no other process group can get its id.
        match &self.leftovers {
            Some(_) => self.signal_all(Signal::KILL),
            None => self.signal(Signal::KILL),
        }
        self.child.try_wait()
    }

    /// Signals the plugin and all processes that it started, in its group or not.
    fn signal_all(&mut self, signal: Signal) {
        // Searched before the signal: a process whose parent has ended is no longer a descendant.
        let mut leftovers = self.leftovers.take().unwrap_or_default();
        leftovers.find(self.group, Some(&self.mark));
        self.signal(signal);
        match signal {
            Signal::KILL => leftovers.kill(self.group, Some(&self.mark)),
            other => leftovers.signal(other),
        }
        self.leftovers = Some(leftovers);
    }

    /// Signals the plugin's group. This fails only if no process is left that the runner may
    /// signal, and that is harmless.
    fn signal(&self, signal: Signal) {
        kill_process_group(self.group, signal).ok();
    }
}

/// Waits for the first of several events. The plugin's end takes precedence over the time limit,
/// and the time limit over output and stop, so that endless output cannot delay it.
fn wait(sources: &[(WaitEvent, BorrowedFd<'_>)], deadline: Deadline) -> io::Result<WaitEvent> {
    let had_passed = deadline.has_passed();
    let descriptors: Vec<BorrowedFd<'_>> = sources.iter().map(|(_, source)| *source).collect();
    let first = deadline.first_readable(&descriptors)?;
    let first = first.and_then(|index| sources.get(index)).map(|(event, _)| *event);
    Ok(match first {
        Some(WaitEvent::Ended) => WaitEvent::Ended,
        Some(event) if !had_passed => event,
        _ => WaitEvent::Time,
    })
}
