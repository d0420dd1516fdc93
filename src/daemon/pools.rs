//! The pools of workers: how many tasks of each kind run at once.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::Event;
use super::request_slots::RequestSlots;
use super::workers::{FinishedTask, Task, WorkerContext};
use crate::stage::TaskKind;

/// Returns whether a task is a short request to the API.
const fn is_request(kind: &TaskKind) -> bool {
    match kind {
        TaskKind::Post | TaskKind::Search | TaskKind::QueryStatus => true,
        TaskKind::Sign { .. } | TaskKind::Fetch | TaskKind::Deliver(_) => false,
    }
}

/// Groups of tasks that do not delay each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pool {
    /// Short requests to the API, and signatures.
    Submit,
    /// Fetches of results, which take long.
    Fetch,
    /// Plugins.
    Deliver,
}

impl Pool {
    /// Returns the pool that a kind of task belongs to.
    pub(crate) const fn of(kind: &TaskKind) -> Pool {
        match kind {
            TaskKind::Sign { .. } | TaskKind::Post | TaskKind::Search | TaskKind::QueryStatus => {
                Pool::Submit
            }
            TaskKind::Fetch => Pool::Fetch,
            TaskKind::Deliver(_) => Pool::Deliver,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Pool::Submit => "submit",
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
    limits: [usize; 3],
    busy: [usize; 3],
    requests: RequestSlots,
}

impl Workers {
    /// Returns idle workers: at most `parallel` runs are posted and at most `parallel` are fetched at
    /// once, and at most `plugins` plugins run.
    ///
    /// While runs are posted, the next ones are signed, all but one of as many: with one worker, each
    /// run is signed after the one before it was posted.
    pub(crate) fn new(
        context: Arc<WorkerContext>,
        events: Sender<Event>,
        parallel: usize,
        plugins: usize,
    ) -> Workers {
        let submits = parallel.saturating_mul(2).saturating_sub(1);
        let requests = RequestSlots::new(parallel);
        Workers { context, events, limits: [submits, parallel, plugins], busy: [0; 3], requests }
    }

    /// Returns the number of free workers of a pool.
    pub(crate) fn free(&self, pool: Pool) -> usize {
        let [submit, fetch, deliver] = self.limits;
        let [submits, fetches, deliveries] = self.busy;
        match pool {
            Pool::Submit => submit.saturating_sub(submits),
            Pool::Fetch => fetch.saturating_sub(fetches),
            Pool::Deliver => deliver.saturating_sub(deliveries),
        }
    }

    /// Returns whether a stop was requested; no work begins after that.
    pub(crate) fn are_stopping(&self) -> bool {
        self.context.stop.is_requested()
    }

    /// Returns whether all workers are idle.
    pub(crate) fn are_idle(&self) -> bool {
        self.busy == [0; 3]
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
        let mut request = is_request(&task.kind).then(|| self.requests.queue());
        std::thread::Builder::new().name(name).spawn(move || {
            if let Some(request) = &mut request {
                request.wait();
            }
            let began = std::time::Instant::now();
            let outcome = context.perform(&task);
            drop(request);
            let finished = FinishedTask { task, outcome, took: began.elapsed() };
            // The receiver is dropped only when the process is about to end.
            events.send(Event::TaskFinished(Box::new(finished))).ok();
        })?;
        *self.count(pool) += 1;
        Ok(())
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
        let [submit, fetch, deliver] = &mut self.busy;
        match pool {
            Pool::Submit => submit,
            Pool::Fetch => fetch,
            Pool::Deliver => deliver,
        }
    }
}
