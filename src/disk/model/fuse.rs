//! When the power goes, or a call fails: steps are counted over everything that can be interrupted.
//!
//! A test runs a scenario once to learn how many steps it has, and then again for
//! each of them, with a fuse that blows there.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a step does if it is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It looks at something: nobody can tell whether it was interrupted.
    Look,
    /// It changes something, here or on the platform.
    Change,
}

/// What happens when the steps are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    Never,
    /// After this many changes nothing is carried out any more: the process is dead.
    Dead(usize),
    /// After this many steps of any kind one fails.
    Fail(usize, io::ErrorKind),
    /// After this many steps of any kind all fail, until the fuse is replaced.
    FailOn(usize, io::ErrorKind),
    /// After this many changes each one fails, until the fuse is replaced: one can only look.
    Full(usize, io::ErrorKind),
}

/// Counts steps, and ends them.
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

    /// Puts another fuse in, and begins to count anew.
    pub(crate) fn set(&self, blow: Blow) {
        *self.state() = State { blow, steps: 0, changes: 0, failed: 0 };
    }

    /// Counts a step of the file system.
    ///
    /// # Errors
    /// It is not carried out.
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

    /// Counts a step of the platform, which a full disk does not hinder; tells whether it is carried out.
    pub(crate) fn exchange(&self) -> bool {
        let blow = self.state().blow;
        if !matches!(blow, Blow::Dead(_)) {
            return true;
        }
        self.step(Step::Change).is_ok()
    }

    /// Tells whether a step was refused.
    pub(crate) fn is_blown(&self) -> bool {
        self.state().failed > 0
    }

    /// Tells whether nothing will be carried out any more.
    pub(crate) fn is_dead(&self) -> bool {
        let state = self.state();
        matches!(state.blow, Blow::Dead(_)) && state.failed > 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
