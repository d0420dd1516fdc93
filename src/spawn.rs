//! Starting processes beside a library that starts its own.
//!
//! GnuPG's library talks to `gpg` over pipes, and any process that is started
//! between the making of such a pipe and the library's own fork inherits it. A
//! plugin that had one would hold up the signature until the plugin ends, which
//! may be minutes. The two therefore take turns, in the order in which they came,
//! so that neither is starved: conversations run side by side, and a process is
//! started when none is young enough to be making its pipes.
//!
//! **Invariant.** Every process that may live for more than a moment is started by
//! [`start`], and every call of the library is made under [`converse`].
//!
//! **Failure.** A conversation that hangs delays the first starts after it by
//! [`YOUTH_SPAN`] at most, and no later one.

pub(crate) mod deadline;
pub(crate) mod strays;

use std::io;
use std::process::{Child, Command};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a conversation may be making its pipes, on the busiest machine.
const YOUTH_SPAN: Duration = Duration::from_secs(5);

static TURNS: Mutex<Turns> = Mutex::new(Turns { last: 0, served: 0, conversations: Vec::new() });
static CHANGED: Condvar = Condvar::new();

/// Whose turn it is.
#[derive(Debug)]
struct Turns {
    /// The number of who came last.
    last: u64,
    /// The number of who had a turn last.
    served: u64,
    /// The number and the beginning of each conversation that goes on.
    conversations: Vec<(u64, Instant)>,
}

impl Turns {
    /// Draws a number and waits until it is called.
    fn wait() -> (MutexGuard<'static, Turns>, u64) {
        let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        turns.last += 1;
        let number = turns.last;
        while turns.served + 1 < number {
            turns = CHANGED.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
        (turns, number)
    }

    /// Calls the next number.
    fn done(mut turns: MutexGuard<'static, Turns>, number: u64) {
        turns.served = number;
        drop(turns);
        CHANGED.notify_all();
    }

    /// Returns how long the youngest conversation may still be making its pipes.
    fn youth(&self) -> Option<Duration> {
        let youngest = self.conversations.iter().map(|(_, begun)| *begun).max()?;
        let left = YOUTH_SPAN.saturating_sub(youngest.elapsed());
        (!left.is_zero()).then_some(left)
    }
}

/// A conversation of GnuPG's library, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Conversation(u64);

/// Begins a conversation of GnuPG's library.
///
/// A thread that has one must not begin another: a process that waits its turn
/// between the two would wait for the first.
pub(crate) fn converse() -> Conversation {
    let (mut turns, number) = Turns::wait();
    turns.conversations.push((number, Instant::now()));
    Turns::done(turns, number);
    Conversation(number)
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        turns.conversations.retain(|(number, _)| *number != self.0);
        drop(turns);
        CHANGED.notify_all();
    }
}

/// Starts a process that inherits nothing but what `command` gives it.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start(command: &mut Command) -> io::Result<Child> {
    let (mut turns, number) = Turns::wait();
    while let Some(left) = turns.youth() {
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

    /// A program that ends at once.
    fn program() -> Command {
        let mut command = Command::new("true");
        command.stdin(Stdio::null());
        command
    }

    #[test]
    fn a_process_starts_between_conversations() {
        let talk = converse();
        let (sender, started) = channel();
        let starter = thread::spawn(move || {
            let mut child = start(&mut program()).unwrap();
            sender.send(()).unwrap();
            child.wait().unwrap()
        });
        let early = started.recv_timeout(Duration::from_millis(100));
        assert_eq!(early, Err(RecvTimeoutError::Timeout));
        drop(talk);
        started.recv_timeout(YOUTH_SPAN).unwrap();
        assert!(starter.join().unwrap().success());
    }

    #[test]
    fn a_conversation_that_hangs_delays_a_process_once() {
        let begun = Instant::now();
        let talk = converse();
        for _ in 0..2 {
            assert!(start(&mut program()).unwrap().wait().unwrap().success());
        }
        assert!(begun.elapsed() >= YOUTH_SPAN);
        drop(talk);
    }

    #[test]
    fn nobody_is_starved() {
        let works: Vec<_> = (0..8)
            .map(|number| {
                thread::spawn(move || {
                    for _ in 0..20 {
                        if number % 2 == 0 {
                            drop(converse());
                        } else {
                            start(&mut program()).unwrap().wait().unwrap();
                        }
                    }
                })
            })
            .collect();
        for work in works {
            work.join().unwrap();
        }
    }
}
