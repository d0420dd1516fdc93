//! Dispatch: queues runs for the workers, and starts queued tasks while workers are free.

use jiff::Timestamp;
use slog::error;

use super::Engine;
use crate::chain::Chain;
use crate::daemon::disk_errors::Subject;
use crate::daemon::index::Key;
use crate::daemon::pools::Pool;
use crate::daemon::queues::Owner;
use crate::daemon::workers::Task;
use crate::spool::Record;
use crate::stage::{Step, TaskKind, deliver};

/// Maximum number of tasks in one pool that are started in one turn of the daemon's loop, those
/// that fail to start included.
const STARTS_MAX: usize = 32;

impl Engine {
    /// Queues a run for a worker, unless its task needs the API and the circuit breaker is tripped.
    pub(super) fn queue(&mut self, key: &Key, kind: &TaskKind, now: Timestamp) {
        let pool = Pool::of(kind);
        if pool == Pool::Deliver {
            // A plugin with a later retry time becomes due while others are running.
            let (_, next) = self.due_deliveries(key, now);
            self.index.schedule(key, next);
        } else if *kind != TaskKind::QueryStatus
            // Status queries have intervals of their own, and a run continues without an answer.
            && let Err(until) = self.breaker.pass(key, now)
        {
            return self.index.schedule(key, until);
        }
        let owner = self.owner(key);
        self.queues.of(pool).push(key, owner);
    }

    /// Returns the owner of a run, whose turn in a queue it uses.
    pub(super) fn owner(&self, key: &Key) -> Owner {
        self.index.get(key).and_then(|run| run.facts.job().cloned())
    }

    /// Starts queued tasks while workers are free; returns whether others could start as well. The
    /// step of each run is decided again.
    pub(super) fn serve_queue(&mut self, pool: Pool, now: Timestamp) -> bool {
        let (mut left, mut moving) = (STARTS_MAX, 0);
        while self.workers.free(pool) > moving && left > 0 && !self.is_stopping() {
            let Some(key) = self.queues.of(pool).pop() else { break };
            let Some(run) = self.index.get(&key).filter(|run| !run.attempts.busy) else {
                self.release_probe(&key, now);
                continue;
            };
            match self.decide(&key, run, now) {
                Ok(Step::Start(kind)) if Pool::of(&kind) == pool => {
                    left -= 1;
                    let has_started = self.start_task(&key, kind, now);
                    if has_started && pool == Pool::Deliver && self.due_deliveries(&key, now).0 > 0
                    {
                        let owner = self.owner(&key);
                        self.queues.of(pool).push_first(&key, owner);
                    }
                }
                Ok(Step::Move(moved))
                    if moved.then.as_ref().is_some_and(|kind| Pool::of(kind) == pool) =>
                {
                    left -= 1;
                    moving += 1;
                    self.request(key, moved, now);
                }
                _ => {
                    self.release_probe(&key, now);
                    self.process(&key, now);
                }
            }
        }
        self.make_requested(now);
        self.workers.free(pool) > 0 && !self.is_stopping() && !self.queues.of(pool).is_empty()
    }

    /// Starts a task on the record that is on disk now; returns whether a worker has started.
    fn start_task(&mut self, key: &Key, kind: TaskKind, now: Timestamp) -> bool {
        match self.read_run(key) {
            Ok(Some(run)) => self.start_task_with(key, kind, run.into_record(), now),
            Ok(None) => {
                self.release_probe(key, now);
                false
            }
            Err(error) => {
                self.errors.report("cannot read entry", Subject::Run(key.1.clone()), &error, now);
                self.release_probe(key, now);
                self.put_off(key, now);
                false
            }
        }
    }

    /// Starts a task on a record; returns whether a worker has started.
    pub(super) fn start_task_with(
        &mut self,
        key: &Key,
        kind: TaskKind,
        record: Record,
        now: Timestamp,
    ) -> bool {
        if self.is_stopping() && kind != TaskKind::Post {
            return false;
        }
        let kind = match kind {
            // The period starts now, not when the step was decided.
            TaskKind::Sign { .. } => {
                let now = self.parts.clock.now();
                TaskKind::Sign { period: self.periods.assign(&record, &self.index, now) }
            }
            other => other,
        };
        let actions = match kind {
            TaskKind::Search => self.index.action_ids(key, &record.request.action_name),
            // Only a search can find actions of other runs.
            _ => [].into(),
        };
        let Some(attempts) = self.index.attempts_mut(key) else { return false };
        let task = Task {
            key: key.clone(),
            attempt: attempts.begin(&kind),
            kind: kind.clone(),
            record,
            missing_fetches: attempts.missing_fetches,
            page_size: attempts.page_size,
            not_final: attempts.not_final,
            taken: attempts.others.iter().copied().chain(actions).collect(),
        };
        if let Err(error) = self.workers.begin(task) {
            error!(self.parts.log, "cannot start worker"; "run" => %key.1,
                "error" => Chain(&error));
            self.end_attempt(key, &kind);
            self.release_probe(key, now);
            self.put_off(key, now);
            return false;
        }
        true
    }

    /// Marks a run, or a plugin of it, as no longer busy.
    pub(super) fn end_attempt(&mut self, key: &Key, kind: &TaskKind) {
        if let Some(attempts) = self.index.attempts_mut(key) {
            attempts.end(kind);
        }
    }

    /// Returns the number of plugins of a run that are due, and when the next one is.
    fn due_deliveries(&self, key: &Key, now: Timestamp) -> (usize, Option<Timestamp>) {
        match self.index.get(key).map(|run| self.plan_deliveries(run, now)) {
            Some(deliver::DeliveryPlan::Start(due, next)) => (due.len(), next),
            Some(deliver::DeliveryPlan::Reject(_) | deliver::DeliveryPlan::Move(_)) | None => {
                (0, None)
            }
        }
    }

    /// Lets another run be the circuit breaker's probe, if this run was the probe and sent no
    /// request.
    pub(super) fn release_probe(&mut self, key: &Key, now: Timestamp) {
        if self.breaker.release_probe(key) {
            self.schedule_waiting(now);
        }
    }

    /// Schedules the runs that wait for the circuit breaker.
    pub(super) fn schedule_waiting(&mut self, now: Timestamp) {
        for key in self.breaker.take_waiting() {
            self.index.schedule(&key, Some(now));
        }
    }
}
