//! The pools of workers: how many tasks of each kind run at once.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::Event;
use super::request_slots::{QueuedRequest, RequestSlots};
use super::workers::{FinishedTask, Task, TaskOutcome, WorkerContext};
use crate::stage::TaskKind;

/// Number of tasks that are ready for each request that is under way. They send the next requests while
/// the engine records outcomes.
const AHEAD: usize = 1;
/// The same for status queries. They only read, and the outcomes of many are recorded together.
const QUERIES_AHEAD: usize = 8;
/// The same for fetches, which only read but can take long: a run of another job waits for them.
const FETCHES_AHEAD: usize = 3;
/// Maximum number of tasks of one pool that wait: each has a thread.
const AHEAD_MAX: usize = 32;
/// Number of pools.
const POOLS: usize = 4;

/// Groups of tasks that do not delay each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pool {
    /// Signatures, and the short requests to the API that follow them.
    Submit,
    /// Queries of the status of actions.
    Query,
    /// Fetches of results, which take long.
    Fetch,
    /// Plugins.
    Deliver,
}

impl Pool {
    /// Returns the pool that a kind of task belongs to.
    pub(crate) const fn of(kind: &TaskKind) -> Pool {
        match kind {
            TaskKind::Sign { .. } | TaskKind::Post | TaskKind::Search => Pool::Submit,
            TaskKind::QueryStatus => Pool::Query,
            TaskKind::Fetch => Pool::Fetch,
            TaskKind::Deliver(_) => Pool::Deliver,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Pool::Submit => "submit",
            Pool::Query => "query",
            Pool::Fetch => "fetch",
            Pool::Deliver => "deliver",
        }
    }
}

/// The workers of each pool: the maximum number of threads, and the number that are running.
#[derive(Debug)]
pub(crate) struct Workers {
    context: Arc<WorkerContext>,
    events: Sender<Event>,
    limits: [usize; POOLS],
    busy: [usize; POOLS],
    /// Slots for short requests.
    requests: RequestSlots,
    /// Slots for fetches.
    fetches: RequestSlots,
}

impl Workers {
    /// Returns idle workers: at most `parallel` short requests and `parallel` fetches are under way at
    /// once, and at most `plugins` plugins run.
    ///
    /// Further runs are prepared and wait for their requests. If `parallel` is 1, no run is prepared:
    /// each task begins after the outcome of the task before it was recorded.
    pub(crate) fn new(
        context: Arc<WorkerContext>,
        events: Sender<Event>,
        parallel: usize,
        plugins: usize,
    ) -> Workers {
        let with = |ahead: usize| match parallel {
            1 => 1,
            _ => parallel + parallel.saturating_mul(ahead).min(AHEAD_MAX),
        };
        let limits = [with(AHEAD), with(QUERIES_AHEAD), with(FETCHES_AHEAD), plugins];
        let (requests, fetches) = (RequestSlots::new(parallel), RequestSlots::new(parallel));
        Workers { context, events, limits, busy: [0; POOLS], requests, fetches }
    }

    /// Returns the number of free workers of a pool.
    pub(crate) fn free(&self, pool: Pool) -> usize {
        let [submit, query, fetch, deliver] = self.limits;
        let [submits, queries, fetches, deliveries] = self.busy;
        match pool {
            Pool::Submit => submit.saturating_sub(submits),
            Pool::Query => query.saturating_sub(queries),
            Pool::Fetch => fetch.saturating_sub(fetches),
            Pool::Deliver => deliver.saturating_sub(deliveries),
        }
    }

    /// Queues the request of a task, if it has one.
    fn queue(&self, kind: &TaskKind) -> Option<QueuedRequest> {
        match kind {
            TaskKind::Post | TaskKind::Search | TaskKind::QueryStatus => {
                Some(self.requests.queue())
            }
            TaskKind::Fetch => Some(self.fetches.queue()),
            TaskKind::Sign { .. } | TaskKind::Deliver(_) => None,
        }
    }

    /// Returns whether a stop was requested; no work begins after that.
    pub(crate) fn are_stopping(&self) -> bool {
        self.context.stop.is_requested()
    }

    /// Returns whether all workers are idle.
    pub(crate) fn are_idle(&self) -> bool {
        self.busy == [0; POOLS]
    }

    /// Returns the number of tasks that run.
    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        self.busy.iter().sum()
    }

    /// Starts a worker.
    ///
    /// # Errors
    /// The system cannot start a thread; no work was done.
    pub(crate) fn begin(&mut self, task: Task) -> io::Result<()> {
        let pool = Pool::of(&task.kind);
        let (context, events) = (Arc::clone(&self.context), self.events.clone());
        let name = format!("{} {}", pool.name(), task.record.name);
        let mut request = self.queue(&task.kind);
        let queued = context.clock.now();
        std::thread::Builder::new().name(name).spawn(move || {
            let has_slot = request.as_mut().is_none_or(QueuedRequest::wait);
            let began = std::time::Instant::now();
            let outcome = if has_slot && !task.is_outdated(queued, context.clock.now()) {
                context.perform(&task)
            } else {
                TaskOutcome::TurnedAway
            };
            if let Some(request) = &request
                && outcome.shows_api_down()
            {
                request.turn_others_away();
            }
            // The slot of this request is now free for the next one.
            drop(request);
            let finished = FinishedTask { task, outcome, took: began.elapsed() };
            // The receiver is dropped only when the process is about to end.
            events.send(Event::TaskFinished(Box::new(finished))).ok();
        })?;
        *self.count(pool) += 1;
        Ok(())
    }

    /// Turns away the tasks whose requests wait for others: they are not sent.
    pub(crate) fn turn_away(&self) {
        self.requests.turn_away();
        self.fetches.turn_away();
    }

    /// Ends the processes that plugins have left behind, because the runner is stopping.
    pub(crate) fn end_leftovers(&self) {
        self.context.plugins.end_leftovers();
    }

    /// Records that a worker has finished a task.
    pub(crate) fn ended(&mut self, kind: &TaskKind) {
        let count = self.count(Pool::of(kind));
        *count = count.saturating_sub(1);
    }

    fn count(&mut self, pool: Pool) -> &mut usize {
        let [submit, query, fetch, deliver] = &mut self.busy;
        match pool {
            Pool::Submit => submit,
            Pool::Query => query,
            Pool::Fetch => fetch,
            Pool::Deliver => deliver,
        }
    }
}
