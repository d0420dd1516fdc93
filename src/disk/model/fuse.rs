//! Fault injection: a fuse counts the steps of a scenario and makes one of them fail.
//!
//! A test runs a scenario once to count its steps, and then once for each step with a fuse that
//! blows there, as if the power failed or the call returned an error.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The kind of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It only reads, so an interruption leaves no trace.
    Look,
    /// It changes the disk or the platform.
    Change,
}

/// When the fuse blows, and what happens then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    Never,
    /// After this many changes nothing is executed any more: the process is dead.
    Dead(usize),
    /// After this many steps of any kind, one fails.
    Fail(usize, io::ErrorKind),
    /// After this many steps of any kind, all fail until the fuse is replaced.
    FailOn(usize, io::ErrorKind),
    /// After this many changes, every change fails until the fuse is replaced; reading still works.
    Full(usize, io::ErrorKind),
}

/// Counts steps and refuses them once it has blown.
#[derive(Debug)]
pub(crate) struct Fuse(Mutex<State>);

#[derive(Debug)]
struct State {
    blow: Blow,
    steps: usize,
    changes: usize,
    failed: usize,
}

impl Default for Fuse {
    fn default() -> Fuse {
        Fuse::new()
    }
}

impl Fuse {
    /// Returns a fuse that does not blow.
    pub(crate) fn new() -> Fuse {
        Fuse(Mutex::new(State { blow: Blow::Never, steps: 0, changes: 0, failed: 0 }))
    }

    /// Replaces the fuse and resets the counters.
    pub(crate) fn set(&self, blow: Blow) {
        *self.state() = State { blow, steps: 0, changes: 0, failed: 0 };
    }

    /// Counts a step of the file system; returns an error if it must not be executed.
    pub(crate) fn step(&self, step: Step) -> io::Result<()> {
        let mut state = self.state();
        let (steps, changes) = (state.steps, state.changes);
        state.steps += 1;
        if step == Step::Change {
            state.changes += 1;
        }
        let failure = match state.blow {
            Blow::Dead(limit) if changes > limit || (changes == limit && step == Step::Change) => {
                Some(io::ErrorKind::Other)
            }
            Blow::Fail(limit, kind) if steps == limit => Some(kind),
            Blow::FailOn(limit, kind) if steps >= limit => Some(kind),
            Blow::Full(limit, kind) if changes >= limit && step == Step::Change => Some(kind),
            Blow::Never | Blow::Dead(_) | Blow::Fail(..) | Blow::FailOn(..) | Blow::Full(..) => {
                None
            }
        };
        match failure {
            None => Ok(()),
            Some(kind) => {
                state.failed += 1;
                Err(kind.into())
            }
        }
    }

    /// Counts a step of the platform, which works on a full disk; returns whether to execute it.
    pub(crate) fn exchange(&self) -> bool {
        let blow = self.state().blow;
        if !matches!(blow, Blow::Dead(_)) {
            return true;
        }
        self.step(Step::Change).is_ok()
    }

    /// Returns whether a step was refused.
    pub(crate) fn is_blown(&self) -> bool {
        self.state().failed > 0
    }

    /// Returns whether no further step will be executed.
    pub(crate) fn is_dead(&self) -> bool {
        let state = self.state();
        matches!(state.blow, Blow::Dead(_)) && state.failed > 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
