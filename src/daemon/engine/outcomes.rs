//! Outcomes: what the engine does with the results that workers return.

use jiff::Timestamp;
use slog::{debug, error, info, warn};

use super::Engine;
use crate::api::{ActionState, ApiError, Found, backoff};
use crate::chain::Chain;
use crate::daemon::action_search::belongs_to_other;
use crate::daemon::index::Key;
use crate::daemon::move_log::log_plugin;
use crate::daemon::pools::Pool;
use crate::daemon::workers::{FinishedTask, SearchError, TaskOutcome, kind_name};
use crate::spool::{Fate, Record, Transition};
use crate::stage::fetch::{FetchAttempt, FetchError};
use crate::stage::{
    Move, Pause, TaskKind, Verdict, collect, deliver, fetch, misdated, signed, submit,
};

/// Error in the record of a run that was not posted because the runner stopped.
const NOT_POSTED: &str = "the runner stopped before the action was posted";

impl Engine {
    /// Handles the end of a task. The move that follows from its outcome is requested.
    pub(super) fn task_finished(&mut self, finished: FinishedTask) {
        let FinishedTask { task, outcome, took } = finished;
        let now = self.parts.clock.now();
        self.metrics.count_task(&task, &outcome, took);
        let (key, kind) = (task.key, task.kind);
        self.workers.ended(&kind);
        self.end_attempt(&key, &kind);
        debug!(self.parts.log, "task finished"; "run" => %key.1, "task" => kind_name(&kind),
            "took_ms" => u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        if let TaskOutcome::TurnedAway = outcome {
            return self.turned_away(key, &kind, task.record, now);
        }
        if kind == TaskKind::Post
            && let Some(attempts) = self.index.attempts_mut(&key)
        {
            attempts.post_ended = now;
        }
        let is_postponed = match outcome {
            TaskOutcome::Stopped => true,
            // Without a POST, a signature is useless.
            TaskOutcome::Signed(_) => self.is_stopping(),
            _ => false,
        };
        if is_postponed {
            return self.postpone(key, &kind, task.record, now);
        }
        if let TaskOutcome::Searched(..) = outcome {
            // Whether another run has the action may depend on the outcomes before this one.
            self.make_requested(now);
        }
        let is_api_up = outcome.shows_api_up();
        let verdict = self.verdict(&key, outcome, now);
        if is_api_up && self.breaker.reset() {
            info!(self.parts.log, "API available again; resuming work");
            self.schedule_waiting(now);
        }
        self.note_pause(&key, &kind, verdict.pause, now);
        if let Some(moved) = verdict.moved {
            return self.request_outcome(key, moved, task.record, now);
        }
        if let Some(reason) = verdict.rejected {
            self.reject(&key, &reason, now);
        }
        if !self.index.is_busy(&key) {
            self.release_probe(&key, now);
        }
    }

    /// Leaves a task to the next start because the runner is stopping. A task that did not begin
    /// has changed nothing, with one exception: before a POST, the record says that the action may
    /// have been posted.
    fn postpone(&mut self, key: Key, kind: &TaskKind, record: Record, now: Timestamp) {
        debug!(self.parts.log, "task postponed to next start"; "run" => %key.1,
            "task" => kind_name(kind));
        if *kind != TaskKind::Post {
            return;
        }
        let note = |record: &mut Record| {
            record.request.fate = Fate::Refused;
            record.error = Some(NOT_POSTED.to_owned());
        };
        self.request_outcome(key, Move::changing(Transition::Noted, note), record, now);
    }

    /// Queues a run again whose task has sent no request, because the requests before it failed or
    /// took too long.
    fn turned_away(&mut self, key: Key, kind: &TaskKind, record: Record, now: Timestamp) {
        debug!(self.parts.log, "request not sent: others failed or took too long";
            "run" => %key.1, "task" => kind_name(kind));
        if *kind == TaskKind::Post {
            // Its record says that the action may have been posted.
            let note = |record: &mut Record| record.request.fate = Fate::Refused;
            let noted = Move::changing(Transition::Noted, note);
            return self.request_outcome(key, noted, record, now);
        }
        self.index.schedule(&key, Some(now));
        self.release_probe(&key, now);
    }

    /// Returns what follows from an outcome.
    fn verdict(&mut self, key: &Key, outcome: TaskOutcome, now: Timestamp) -> Verdict {
        let Some(run) = self.index.get(key) else {
            // The entry is gone. Only an accepted action must still be recorded.
            return match outcome {
                TaskOutcome::Posted(posted) => submit::posted(posted),
                _ => Verdict::paused(Pause::None),
            };
        };
        match outcome {
            TaskOutcome::Signed(signed) => signed::signed(signed),
            TaskOutcome::Posted(posted) => submit::posted(posted),
            TaskOutcome::Searched(Err(SearchError::Disk(error)), _) => {
                self.ownership_unknown(key, &error)
            }
            TaskOutcome::Searched(Err(SearchError::Api(error)), began) => {
                let context = self.submit_context(key, run, now);
                submit::searched(&run.facts, Err(error), began, &context)
            }
            TaskOutcome::Searched(Ok(found), began) => self.search_verdict(key, found, began, now),
            TaskOutcome::StatusQueried(seen) => self.status_verdict(key, seen, now),
            TaskOutcome::Fetched(attempt) => self.fetch_verdict(key, attempt, now),
            TaskOutcome::Delivered(plugin, Ok(ended)) => {
                log_plugin(&self.parts.log, &key.1, &plugin, &ended);
                deliver::ended(&run.facts, &plugin, &ended)
            }
            TaskOutcome::Delivered(plugin, Err(error)) => {
                let text = format!("plugin {plugin}: {}", Chain(&error));
                error!(self.parts.log, "cannot run plugin"; "run" => %key.1,
                    "plugin" => %plugin, "error" => Chain(&error));
                deliver::failed(text)
            }
            TaskOutcome::TurnedAway | TaskOutcome::Stopped => Verdict::paused(Pause::None),
        }
    }

    /// Returns what follows from a search that began at `began` and that the API answered.
    fn search_verdict(
        &mut self,
        key: &Key,
        found: Found,
        began: Timestamp,
        now: Timestamp,
    ) -> Verdict {
        if let Found::Action { id, .. } = &found {
            match belongs_to_other(key, *id, &self.index, &self.parts) {
                Ok(false) => {}
                Ok(true) => {
                    info!(self.parts.log, "action found belongs to another run";
                        "run" => %key.1, "action" => id.0);
                    if let Some(attempts) = self.index.attempts_mut(key) {
                        attempts.others.insert(*id);
                    }
                    return Verdict::paused(Pause::None);
                }
                Err(error) => return self.ownership_unknown(key, &error),
            }
        }
        let Some(run) = self.index.get(key) else { return Verdict::paused(Pause::None) };
        let context = self.submit_context(key, run, now);
        submit::searched(&run.facts, Ok(found), began, &context)
    }

    /// Logs that the disk cannot show which run an action belongs to; returns the verdict to retry.
    fn ownership_unknown(&self, key: &Key, error: &(dyn std::error::Error + 'static)) -> Verdict {
        error!(self.parts.log, "cannot determine which run the action belongs to";
            "run" => %key.1, "error" => Chain(error));
        Verdict::paused(Pause::Run(None))
    }

    /// Returns what follows from a status query for an action.
    fn status_verdict(
        &mut self,
        key: &Key,
        seen: Result<Option<ActionState>, ApiError>,
        now: Timestamp,
    ) -> Verdict {
        let Some(run) = self.index.get(key) else { return Verdict::paused(Pause::None) };
        if let Err(error) = &seen {
            let is_expired = run.facts.request.expire_after.is_some_and(|expired| now >= expired);
            if is_expired && run.attempts.failures == 0 {
                // The results wait for the answer. This is logged once, not for each query.
                warn!(self.parts.log, "cannot query action status; results are waiting for it";
                    "run" => %key.1, "error" => Chain(error));
            } else {
                debug!(self.parts.log, "cannot query action status"; "run" => %key.1,
                    "error" => Chain(error));
            }
        }
        let (polls, since) = (run.attempts.polls, run.attempts.answering.unwrap_or(now));
        let answering = seen.is_ok().then_some(since);
        let verdict = misdated::status_queried(&run.facts, &seen, polls, now)
            .unwrap_or_else(|| collect::status_queried(&run.facts, seen, polls, answering, now));
        if let Some(attempts) = self.index.attempts_mut(key) {
            attempts.answering = answering;
        }
        verdict
    }

    /// Returns what follows from a fetch.
    fn fetch_verdict(&mut self, key: &Key, attempt: FetchAttempt, now: Timestamp) -> Verdict {
        let FetchAttempt { fetched, page_size } = attempt;
        let Some(attempts) = self.index.attempts_mut(key) else {
            return Verdict::paused(Pause::None);
        };
        let missing_fetches = attempts.missing_fetches;
        attempts.page_size = Some(page_size);
        match &fetched {
            Err(FetchError::Missing { .. }) => {
                attempts.missing_fetches = missing_fetches.saturating_add(1);
            }
            Err(FetchError::NotFinal { since, .. }) => attempts.not_final = Some(*since),
            _ => attempts.not_final = None,
        }
        fetch::fetched(fetched, missing_fetches, now)
    }

    /// Delays the next attempt with a run, and trips the circuit breaker, as the outcome demands.
    fn note_pause(&mut self, key: &Key, kind: &TaskKind, pause: Pause, now: Timestamp) {
        if *kind == TaskKind::QueryStatus {
            // The query is repeated in any case. The retry report shows how often it failed.
            let Some(attempts) = self.index.attempts_mut(key) else { return };
            let is_answered = attempts.answering.is_some();
            attempts.failures = if is_answered { 0 } else { attempts.failures.saturating_add(1) };
            if !is_answered {
                self.retry_reporter.note_failure();
            }
        } else if pause != Pause::None {
            self.retry_reporter.note_failure();
            if let Some(attempts) = self.index.attempts_mut(key) {
                attempts.note_failure(kind, pause, now);
            }
        }
        if let (Pause::Api(retry_after), true) = (pause, Pool::of(kind) != Pool::Deliver) {
            self.breaker.trip(now, |failures| {
                backoff::delay(failures, crate::random::jitter(), retry_after)
            });
            self.workers.turn_away();
            error!(self.parts.log, "API or signing key unavailable; pausing all API work";
                "run" => %key.1, "failures" => self.breaker.failures());
            // When the run is processed again, the circuit breaker says how long it waits.
            return self.index.schedule(key, Some(now));
        }
        if matches!(kind, TaskKind::Sign { .. }) && pause == Pause::None {
            // The POST follows at once; the number of its earlier failures still counts.
            return;
        }
        if let (TaskKind::Deliver(plugin), Some(attempts)) = (kind, self.index.attempts_mut(key)) {
            attempts.pause_plugin(plugin, now);
            return self.index.schedule(key, Some(now));
        }
        self.pause(key, pause, now);
    }

    /// Delays a run because the disk or the system failed.
    pub(super) fn put_off(&mut self, key: &Key, now: Timestamp) {
        self.retry_reporter.note_failure();
        self.pause(key, Pause::Run(None), now);
        // At `now`, a stage that only moves the run would not check whether the run must wait.
        let until = self.index.get(key).map(|run| run.attempts.not_before);
        self.index.schedule(key, until);
    }

    /// Sets the earliest time for the next attempt with a run.
    fn pause(&mut self, key: &Key, pause: Pause, now: Timestamp) {
        let Some(attempts) = self.index.attempts_mut(key) else { return };
        attempts.pause(pause, now);
        // The stage knows whether something else is due before that.
        self.index.schedule(key, Some(now));
    }
}
