//! Fault injection: counts the calls of a scenario and makes chosen ones fail.
//!
//! A test runs a scenario once to count its calls, and then once for each call with a fault that is
//! injected there, as if the power failed or the call returned an error.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// It only reads, so an interruption leaves no trace.
    Read,
    /// It changes the disk or the platform.
    Change,
}

/// When calls fail, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InjectedFault {
    None,
    /// After this number of changes no call has an effect: the process is dead.
    Death(usize),
    /// After this number of calls of any kind, one fails.
    OneCall(usize, io::ErrorKind),
    /// After this number of calls of any kind, all fail until another fault is set.
    AllCalls(usize, io::ErrorKind),
    /// After this number of changes, all changes fail until another fault is set; reading still
    /// works.
    AllChanges(usize, io::ErrorKind),
}

/// Counts calls and makes those fail that the injected fault selects.
#[derive(Debug)]
pub(crate) struct FaultInjector(Mutex<State>);

#[derive(Debug)]
struct State {
    fault: InjectedFault,
    calls: usize,
    changes: usize,
    failed: usize,
}

impl Default for FaultInjector {
    fn default() -> FaultInjector {
        FaultInjector::new()
    }
}

impl FaultInjector {
    /// Returns an injector without a fault.
    pub(crate) fn new() -> FaultInjector {
        let fault = InjectedFault::None;
        FaultInjector(Mutex::new(State { fault, calls: 0, changes: 0, failed: 0 }))
    }

    /// Replaces the fault and resets the counters.
    pub(crate) fn set(&self, fault: InjectedFault) {
        *self.state() = State { fault, calls: 0, changes: 0, failed: 0 };
    }

    /// Counts a call of the file system; returns an error if it must fail.
    pub(crate) fn count(&self, kind: CallKind) -> io::Result<()> {
        use InjectedFault::{AllCalls, AllChanges, Death, OneCall};
        let mut state = self.state();
        let (calls, changes) = (state.calls, state.changes);
        let is_change = kind == CallKind::Change;
        state.calls += 1;
        state.changes += usize::from(is_change);
        let failure = match state.fault {
            Death(limit) if changes > limit || (changes == limit && is_change) => {
                Some(io::ErrorKind::Other)
            }
            OneCall(limit, kind) if calls == limit => Some(kind),
            AllCalls(limit, kind) if calls >= limit => Some(kind),
            AllChanges(limit, kind) if changes >= limit && is_change => Some(kind),
            InjectedFault::None | Death(_) | OneCall(..) | AllCalls(..) | AllChanges(..) => None,
        };
        match failure {
            None => Ok(()),
            Some(kind) => {
                state.failed += 1;
                Err(kind.into())
            }
        }
    }

    /// Counts a request to the platform, which works on a full disk; returns whether the request
    /// has an effect.
    pub(crate) fn allows_request(&self) -> bool {
        let fault = self.state().fault;
        if !matches!(fault, InjectedFault::Death(_)) {
            return true;
        }
        self.count(CallKind::Change).is_ok()
    }

    /// Returns whether a call has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.state().failed > 0
    }

    /// Returns whether no further call will have an effect.
    pub(crate) fn is_dead(&self) -> bool {
        let state = self.state();
        matches!(state.fault, InjectedFault::Death(_)) && state.failed > 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
