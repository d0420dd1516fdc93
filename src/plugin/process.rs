//! A plugin that runs: its process group, its output, and what ends the wait for it.
//!
//! The thread that runs a plugin waits in `poll` for whatever comes first: the
//! plugin's end, its output, the time limit, a stop. It needs no second thread
//! for that, and never looks twice at anything that has not changed.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::tail::Tail;
use crate::spawn::leftovers::{Leftovers, ProcessMark};

/// How long a plugin that was told to end may take to do so.
const TERM_SPAN: Duration = Duration::from_secs(3);
/// How long a plugin that was killed may take to be gone: one that hangs in the kernel may never be.
const KILL_SPAN: Duration = Duration::from_secs(5);
/// How long the output is followed after the plugin's end, if others still hold it.
const OUTPUT_SPAN: Duration = Duration::from_secs(1);
/// How much output is read at once.
const READ_BYTES_MAX: usize = 16 * 1024;

/// A plugin that was started, until it is reaped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Pid,
    /// Readable when the plugin has ended, reaped or not.
    handle: OwnedFd,
    output: Option<PipeReader>,
    /// What it and all that it starts have in their environment.
    mark: ProcessMark,
    /// The processes that left its group; looked for when it has to end.
    leftovers: Option<Leftovers>,
}

/// Why a plugin was told to end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    /// Its time was over.
    Timeout,
    Stop,
}

/// What a wait may end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Ended,
    Stop,
    Output,
    Time,
}

impl Process {
    /// Returns the plugin that `child` is, leader of its own group, `output` its output and `mark` in
    /// its environment.
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

    /// Reads the output until the plugin has ended, which it is told to do at
    /// the time limit or at a stop, or until nothing more can be done to end it.
    pub(super) fn follow(
        &mut self,
        stop: &PipeReader,
        timeout: Duration,
        tail: &mut Tail,
    ) -> io::Result<Option<Told>> {
        let (mut told, mut signal) = (None, None);
        let mut until = Instant::now().checked_add(timeout);
        loop {
            let mut sources = vec![(Event::Ended, self.handle.as_fd())];
            if told.is_none() {
                sources.push((Event::Stop, stop.as_fd()));
            }
            if let Some(output) = &self.output {
                sources.push((Event::Output, output.as_fd()));
            }
            let event = wait(&sources, until)?;
            let (next, span) = match (event, signal) {
                (Event::Ended, _) => break,
                (Event::Output, _) => {
                    self.read(tail)?;
                    continue;
                }
                (Event::Stop | Event::Time, None) => (Signal::TERM, TERM_SPAN),
                (Event::Stop | Event::Time, Some(Signal::TERM)) => (Signal::KILL, KILL_SPAN),
                // It hangs in the kernel, where no signal reaches it.
                (Event::Stop | Event::Time, Some(_)) => return Ok(told),
            };
            told = told.or(Some(if event == Event::Stop { Told::Stop } else { Told::Timeout }));
            self.signal_all(next);
            signal = Some(next);
            until = Instant::now().checked_add(span);
        }
        self.drain(tail)?;
        Ok(told)
    }

    /// Reads what is left of the output; others may hold it after the plugin's end.
    fn drain(&mut self, tail: &mut Tail) -> io::Result<()> {
        let until = Instant::now().checked_add(OUTPUT_SPAN);
        while let Some(output) = &self.output {
            if wait(&[(Event::Output, output.as_fd())], until)? == Event::Time {
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

    /// Ends what is left of the plugin's group and returns its exit status, `None` if it cannot be killed.
    pub(super) fn reap(mut self) -> io::Result<Option<ExitStatus>> {
        // Not reaped before that, so that nobody else can have got the group's number.
        match &self.leftovers {
            Some(_) => self.signal_all(Signal::KILL),
            None => self.signal(Signal::KILL),
        }
        self.child.try_wait()
    }

    /// Sends a signal to the plugin and all that it started, in its group or not.
    fn signal_all(&mut self, signal: Signal) {
        // Looked for before the signal: whose parent has ended is not a descendant any more.
        let mut leftovers = self.leftovers.take().unwrap_or_default();
        leftovers.find(self.group, Some(&self.mark));
        self.signal(signal);
        match signal {
            Signal::KILL => leftovers.kill(self.group, Some(&self.mark)),
            other => leftovers.signal(other),
        }
        self.leftovers = Some(leftovers);
    }

    /// Sends a signal to the plugin's group. It fails only where
    /// nobody is left whom we may signal, and then there is nothing to do.
    fn signal(&self, signal: Signal) {
        kill_process_group(self.group, signal).ok();
    }
}

/// Waits for the first of what may happen. The end of the plugin goes before the
/// time, which goes before the rest: one that prints without end is on time too.
fn wait(sources: &[(Event, BorrowedFd<'_>)], until: Option<Instant>) -> io::Result<Event> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        // What is too long for the system to count is as good as for ever.
        let span = left.and_then(|left| Timespec::try_from(left).ok());
        let mut polled: Vec<PollFd<'_>> =
            sources.iter().map(|(_, fd)| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        match poll(&mut polled, span.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let first = sources.iter().zip(&polled).find(|(_, polled)| !polled.revents().is_empty());
        match first.map(|((event, _), _)| *event) {
            Some(Event::Ended) => return Ok(Event::Ended),
            _ if left == Some(Duration::ZERO) => return Ok(Event::Time),
            Some(event) => return Ok(event),
            // Woken early: what is left is waited for.
            None => {}
        }
    }
}
