//! The signers of this process, which all end with it.
//!
//! **Invariant.** A signer is removed from the list just before it is reaped, and a group is killed only
//! while the list is locked. So the number of a killed group cannot belong to another process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

use super::ARGUMENTS;
use crate::pgp::worker::Process;
use crate::pgp::worker_error::WorkerError;

/// The C library allocates from one area of memory. By default, it reserves 64 MiB of addresses for each
/// thread, which count as locked memory.
const VARIABLES: [(&str, &str); 1] = [("MALLOC_ARENA_MAX", "1")];

static SIGNERS: Registry = Registry(Mutex::new(Running { groups: Vec::new(), is_closed: false }));

struct Registry(Mutex<Running>);

struct Running {
    groups: Vec<Pid>,
    is_closed: bool,
}

/// A signer, which ends when this is dropped.
#[derive(Debug)]
pub(in crate::pgp) struct Signer(pub(super) Process);

impl Signer {
    /// Starts a signer.
    pub(in crate::pgp) fn start() -> Result<Signer, WorkerError> {
        let mut running = SIGNERS.lock();
        if running.is_closed {
            return Err(WorkerError::Closed);
        }
        let process = Process::start(&ARGUMENTS, &VARIABLES).map_err(WorkerError::Start)?;
        running.groups.push(process.group());
        Ok(Signer(process))
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        let group = self.0.group();
        SIGNERS.lock().groups.retain(|other| *other != group);
    }
}

/// Ends all signers. Signatures in progress fail, as do later ones.
pub(crate) fn end_signers() {
    let mut running = SIGNERS.lock();
    running.is_closed = true;
    for group in &running.groups {
        // Fails only if no process is left.
        kill_process_group(*group, Signal::KILL).ok();
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
