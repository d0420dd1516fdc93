//! Starts processes so that they do not inherit the pipes of GnuPG's library.
//!
//! The library starts `gpg` and communicates with it over pipes. A process that is started between
//! the creation of such a pipe and the library's own fork inherits the pipe. A plugin that inherits
//! one would delay the signature until the plugin ends, which may take minutes.
//!
//! So library calls and process starts take turns, in order of arrival, so that neither starves.
//! Library calls run concurrently. A process is started only while no call is so recent that it may
//! still be creating its pipes.
//!
//! **Invariant.** Every process that may run for more than a moment is started by [`start`], and
//! every call of the library is made under [`begin_library_call`].
//!
//! **Failure.** A library call that hangs delays the next start by at most [`PIPE_SPAN`], and no
//! later one.

pub(crate) mod deadline;
pub(crate) mod leftovers;
pub(crate) mod user;

use std::io;
use std::process::{Child, Command};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time within which a library call has created its pipes, even on a busy machine.
const PIPE_SPAN: Duration = Duration::from_secs(5);

static TURNS: Mutex<Turns> = Mutex::new(Turns { last: 0, served: 0, calls: Vec::new() });
static CHANGED: Condvar = Condvar::new();

/// The queue of library calls and process starts.
#[derive(Debug)]
struct Turns {
    /// The last number that was assigned.
    last: u64,
    /// The last number that had its turn.
    served: u64,
    /// The number and the start time of each library call in progress.
    calls: Vec<(u64, Instant)>,
}

impl Turns {
    /// Takes a number and waits for its turn.
    fn wait() -> (MutexGuard<'static, Turns>, u64) {
        let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        turns.last += 1;
        let number = turns.last;
        while turns.served + 1 < number {
            turns = CHANGED.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
        (turns, number)
    }

    /// Ends the turn of a number.
    fn done(mut turns: MutexGuard<'static, Turns>, number: u64) {
        turns.served = number;
        drop(turns);
        CHANGED.notify_all();
    }

    /// Returns the remaining time in which the most recent library call may be creating its pipes.
    fn pipe_time_left(&self) -> Option<Duration> {
        let latest = self.calls.iter().map(|(_, begun)| *begun).max()?;
        let left = PIPE_SPAN.saturating_sub(latest.elapsed());
        (!left.is_zero()).then_some(left)
    }
}

/// A call of GnuPG's library, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct LibraryCall(u64);

/// Begins a call of GnuPG's library.
///
/// A thread must not begin a second call during the first: a process start that waits between the
/// two would wait for the first call to end, and the second call for the process start.
pub(crate) fn begin_library_call() -> LibraryCall {
    let (mut turns, number) = Turns::wait();
    turns.calls.push((number, Instant::now()));
    Turns::done(turns, number);
    LibraryCall(number)
}

impl Drop for LibraryCall {
    fn drop(&mut self) {
        let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        turns.calls.retain(|(number, _)| *number != self.0);
        drop(turns);
        CHANGED.notify_all();
    }
}

/// Starts a process that inherits only what `command` specifies.
pub(crate) fn start(command: &mut Command) -> io::Result<Child> {
    let (mut turns, number) = Turns::wait();
    while let Some(left) = turns.pipe_time_left() {
        turns = CHANGED.wait_timeout(turns, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    let child = command.spawn();
    Turns::done(turns, number);
    child
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::thread;

    use super::*;

    /// A program that ends immediately.
    fn program() -> Command {
        let mut command = Command::new("true");
        command.stdin(Stdio::null());
        command
    }

    #[test]
    fn process_starts_between_library_calls() {
        let call = begin_library_call();
        let (sender, started) = channel();
        let starter = thread::spawn(move || {
            let mut child = start(&mut program()).unwrap();
            sender.send(()).unwrap();
            child.wait().unwrap()
        });
        let early = started.recv_timeout(Duration::from_millis(100));
        assert_eq!(early, Err(RecvTimeoutError::Timeout));
        drop(call);
        started.recv_timeout(PIPE_SPAN).unwrap();
        assert!(starter.join().unwrap().success());
    }

    #[test]
    fn hanging_library_call_delays_only_one_start() {
        let begun = Instant::now();
        let call = begin_library_call();
        for _ in 0..2 {
            assert!(start(&mut program()).unwrap().wait().unwrap().success());
        }
        assert!(begun.elapsed() >= PIPE_SPAN);
        drop(call);
    }

    #[test]
    fn neither_calls_nor_starts_starve() {
        let threads: Vec<_> = (0..8)
            .map(|number| {
                thread::spawn(move || {
                    for _ in 0..20 {
                        if number % 2 == 0 {
                            drop(begin_library_call());
                        } else {
                            start(&mut program()).unwrap().wait().unwrap();
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
