//! The workers of a process: a few idle ones, and a limit for all.
//!
//! **Invariant.** Each busy worker is in the list of busy groups until just before it is reaped, and
//! a group is killed only under the lock of that list. So a group that is killed still has its
//! number.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::process::Process;
use super::protocol::{self, Request};
use crate::pgp::calls::Call;
use crate::pgp::worker_error::WorkerError;
use crate::spawn::deadline::Deadline;

/// Maximum number of workers that are kept for later calls.
const IDLE_MAX: usize = 4;
/// Maximum number of workers. Further calls wait for one, within their time limit.
const WORKERS_MAX: usize = 8;
/// Time that the end of the pool waits until the killed workers are reaped.
const CLOSE_SPAN: Duration = Duration::from_secs(5);

/// Workers of one kind.
#[derive(Debug)]
pub(super) struct Pool {
    /// The arguments with which this program becomes a worker.
    arguments: &'static [&'static str],
    workers: Mutex<Workers>,
    /// Signalled when a worker becomes idle or has ended.
    freed: Condvar,
}

#[derive(Debug)]
struct Workers {
    idle: Vec<Process>,
    /// The process groups of the workers in use.
    busy: Vec<Pid>,
    /// The number of workers that are being started.
    starting: usize,
    is_closed: bool,
}

impl Pool {
    pub(super) const fn new(arguments: &'static [&'static str]) -> Pool {
        let workers = Workers { idle: Vec::new(), busy: Vec::new(), starting: 0, is_closed: false };
        Pool { arguments, workers: Mutex::new(workers), freed: Condvar::new() }
    }

    /// Lets a worker make a call; returns after `span` at the latest.
    pub(super) fn call<C: Call + Into<Request>>(
        &self,
        call: C,
        span: Duration,
    ) -> Result<C::Answer, WorkerError> {
        let deadline = Deadline::after(span);
        let request = protocol::request_bytes(&call.into())?;
        loop {
            let (mut worker, is_new) = self.take(deadline, span)?;
            let answer = worker.exchange(&request, deadline, span);
            let answer = answer.and_then(|line| protocol::answer::<C::Answer>(&line));
            match answer {
                Ok(answer) => {
                    self.put_back(worker);
                    return Ok(answer);
                }
                Err(error) => {
                    self.remove(worker);
                    // A worker may have been killed while it was idle.
                    if is_new || !matches!(error, WorkerError::Ended(_)) || self.lock().is_closed {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Returns a worker for one call, and whether it is new.
    fn take(&self, deadline: Deadline, span: Duration) -> Result<(Process, bool), WorkerError> {
        let mut workers = self.lock();
        loop {
            if workers.is_closed {
                return Err(WorkerError::Closed);
            }
            if let Some(idle) = workers.idle.pop() {
                if !idle.is_ready() {
                    continue;
                }
                workers.busy.push(idle.group());
                return Ok((idle, false));
            }
            if workers.busy.len() + workers.starting < WORKERS_MAX {
                break;
            }
            let left = deadline.left().unwrap_or(Duration::MAX);
            if left.is_zero() {
                return Err(WorkerError::Timeout(span));
            }
            let waited = self.freed.wait_timeout(workers, left);
            workers = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        workers.starting += 1;
        drop(workers);
        let started = Process::start(self.arguments, &[]);
        let mut workers = self.lock();
        workers.starting -= 1;
        // A failed start leaves room for another call, or ends the wait of `close`.
        self.freed.notify_all();
        let worker = started.map_err(WorkerError::Start)?;
        if workers.is_closed {
            return Err(WorkerError::Closed);
        }
        workers.busy.push(worker.group());
        Ok((worker, true))
    }

    /// Keeps a worker for a later call, or ends it if there are enough.
    fn put_back(&self, worker: Process) {
        let mut workers = self.lock();
        if workers.is_closed || workers.idle.len() >= IDLE_MAX {
            drop(workers);
            return self.remove(worker);
        }
        workers.busy.retain(|group| *group != worker.group());
        workers.idle.push(worker);
        self.freed.notify_one();
    }

    /// Ends a worker that was in use.
    fn remove(&self, worker: Process) {
        self.lock().busy.retain(|group| *group != worker.group());
        drop(worker);
        self.freed.notify_all();
    }

    /// Ends all workers. Calls in progress fail, as do later ones.
    pub(super) fn close(&self) {
        let deadline = Deadline::after(CLOSE_SPAN);
        let mut workers = self.lock();
        workers.is_closed = true;
        workers.idle.clear();
        for group in &workers.busy {
            // Fails only if no process is left.
            kill_process_group(*group, Signal::KILL).ok();
        }
        self.freed.notify_all();
        // The threads that use them reap them.
        while !workers.busy.is_empty() || workers.starting > 0 {
            let left = deadline.left().unwrap_or_default();
            if left.is_zero() {
                break;
            }
            let waited = self.freed.wait_timeout(workers, left);
            workers = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Returns the process groups of all workers.
    #[cfg(test)]
    pub(super) fn groups(&self) -> Vec<Pid> {
        let workers = self.lock();
        let idle = workers.idle.iter().map(Process::group);
        idle.chain(workers.busy.iter().copied()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Workers> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
