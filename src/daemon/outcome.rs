//! What workers bring back: what follows from it, and who waits how long.

use std::borrow::Cow;

use jiff::Timestamp;
use slog::{Logger, debug, error, info, warn};

use super::engine::Engine;
use super::index::Key;
use super::measuring::name;
use super::workers::{Done, Outcome, Pool, SearchError};
use crate::api::{ApiError, Posted, Scope, backoff};
use crate::chain::{Chain, escape};
use crate::clock::after;
use crate::plugin::run::PluginExit;
use crate::spool::{DeliveryState, Fate, Record, Run, Transition};
use crate::stage::fetch::{FetchAttempt, FetchError};
use crate::stage::{Pause, Verdict, Work, collect, deliver, fetch, misdated, signed, submit};

/// How much of the end of a plugin's output goes into the log, in bytes: with its escapes and the rest
/// of the record it must fit into a message to syslog.
const OUTPUT_BYTES_MAX: usize = 6 * 1024;

/// Tells whether an outcome shows that the API answers.
fn serves(outcome: &Outcome) -> bool {
    let answers = |error: &ApiError| error.scope() == Scope::Request;
    match outcome {
        Outcome::Posted(Posted::Accepted { .. }) => true,
        Outcome::Posted(Posted::Refused { cause, .. } | Posted::Unknown { cause }) => {
            answers(cause)
        }
        Outcome::Searched(Err(SearchError::Api(error)), _) => answers(error),
        Outcome::Searched(..) => true,
        Outcome::Probed(seen) => seen.as_ref().err().is_none_or(answers),
        Outcome::Fetched(FetchAttempt { fetched: Err(FetchError::Api(error)), .. }) => {
            answers(error)
        }
        Outcome::Fetched(FetchAttempt { fetched, .. }) => {
            matches!(fetched, Ok(_) | Err(FetchError::Missing { .. } | FetchError::NotFinal { .. }))
        }
        Outcome::Signed(_) | Outcome::Delivered(..) | Outcome::Stopped => false,
    }
}

impl Engine {
    /// Takes what a worker brought back.
    pub(crate) fn done(&mut self, done: Done) {
        let Done { task, outcome, took } = done;
        let now = self.parts.clock.now();
        self.measure(&task, &outcome, took);
        let (key, work) = (task.key, task.work);
        self.workers.ended(&work);
        self.rest(&key, &work);
        debug!(self.parts.log, "work done"; "run" => %key.1, "work" => name(&work),
            "took_ms" => u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        if work == Work::Post
            && let Some(tries) = self.index.tries(&key)
        {
            tries.ended = now;
        }
        if self.is_undone(&outcome) {
            return self.left_undone(&key, &work, task.record, now);
        }
        let served = serves(&outcome);
        let verdict = self.verdict(&key, outcome, now);
        if served && self.breaker.open() {
            info!(self.parts.log, "the API serves again");
            self.wake_gated(now);
        }
        self.after(&key, &work, verdict.pause, now);
        if let Some(moved) = verdict.moved {
            self.make_or_hold(&key, moved, task.record, now);
        }
        if let Some(reason) = verdict.rejected {
            self.reject(&key, &reason, now);
        }
        if self.index.tries(&key).is_none_or(|tries| !tries.busy) {
            self.release(&key, now);
        }
    }

    fn verdict(&mut self, key: &Key, outcome: Outcome, now: Timestamp) -> Verdict {
        let Some(live) = self.index.get(key) else {
            // The entry is gone; only an action that was accepted must not be forgotten.
            return match outcome {
                Outcome::Posted(posted) => submit::posted(posted),
                _ => Verdict::paused(Pause::None),
            };
        };
        match outcome {
            Outcome::Signed(signed) => signed::signed(signed),
            Outcome::Posted(posted) => submit::posted(posted),
            Outcome::Searched(found, began) => self.searched(key, found, began, now),
            Outcome::Probed(seen) => {
                if let Err(error) = &seen {
                    let is_expired =
                        live.facts.request.expire_after.is_some_and(|expired| now >= expired);
                    if is_expired && live.tries.failures == 0 {
                        // Its results wait for the answer. It is logged once, not at each question.
                        warn!(self.parts.log, "cannot ask whether the action is completed";
                            "run" => %key.1, "error" => Chain(error));
                    } else {
                        debug!(self.parts.log, "cannot ask for the action"; "run" => %key.1,
                            "error" => Chain(error));
                    }
                }
                let (polls, since) = (live.tries.polls, live.tries.answering.unwrap_or(now));
                let since = seen.is_ok().then_some(since);
                let verdict = misdated::probed(&live.facts, &seen, polls, now)
                    .unwrap_or_else(|| collect::probed(&live.facts, seen, polls, since, now));
                self.index.tries(key).into_iter().for_each(|tries| tries.answering = since);
                verdict
            }
            Outcome::Fetched(FetchAttempt { fetched, page_size }) => {
                let asked = live.tries.polls;
                if let Some(tries) = self.index.tries(key) {
                    tries.page_size = Some(page_size);
                    match &fetched {
                        Err(FetchError::Missing { .. }) => {
                            tries.polls = tries.polls.saturating_add(1);
                        }
                        Err(FetchError::NotFinal { since, .. }) => tries.answering = Some(*since),
                        _ => tries.answering = None,
                    }
                }
                fetch::fetched(fetched, asked, now)
            }
            Outcome::Delivered(plugin, Ok(ended)) => {
                self.log_plugin(key, plugin.as_str(), &ended);
                deliver::ended(&live.facts, &plugin, &ended)
            }
            Outcome::Delivered(plugin, Err(error)) => {
                let text = format!("plugin {plugin}: {}", Chain(&error));
                error!(self.parts.log, "cannot run plugin"; "run" => %key.1,
                    "plugin" => %plugin, "error" => Chain(&error));
                deliver::failed(text)
            }
            Outcome::Stopped => Verdict::paused(Pause::None),
        }
    }

    /// Frees a run, or one plugin of it, for the next piece of work.
    pub(super) fn rest(&mut self, key: &Key, work: &Work) {
        let Some(tries) = self.index.tries(key) else { return };
        match work {
            Work::Deliver(plugin) => {
                if let Some(tries) = tries.plugins.get_mut(plugin) {
                    tries.busy = false;
                }
            }
            Work::Probe => {
                tries.polls = tries.polls.saturating_add(1);
                tries.busy = false;
            }
            Work::Sign { .. } | Work::Post | Work::Search | Work::Fetch => tries.busy = false,
        }
    }

    /// Notes how the way to the API fared, and before when the run is not tried again.
    fn after(&mut self, key: &Key, work: &Work, pause: Pause, now: Timestamp) {
        if *work == Work::Probe {
            // It is asked again in any case. How often it was not answered is shown to people.
            let Some(tries) = self.index.tries(key) else { return };
            let is_answered = tries.answering.is_some();
            tries.failures = if is_answered { 0 } else { tries.failures.saturating_add(1) };
            if !is_answered {
                self.retry_reporter.failed();
            }
        } else if pause != Pause::None {
            self.retry_reporter.failed();
            self.note_failure(key, work, pause, now);
        }
        if let (Pause::Api(retry_after), true) = (pause, Pool::of(work) != Pool::Deliver) {
            self.breaker.close(now, |failures| {
                backoff::delay(failures, crate::random::jitter(), retry_after)
            });
            error!(self.parts.log, "the API or the key does not serve: all that needs it waits";
                "run" => %key.1, "failures" => self.breaker.failures());
            // It asks the breaker again when it is due.
            return self.index.schedule(key, Some(now));
        }
        if matches!(work, Work::Sign { .. }) && pause == Pause::None {
            // The POST follows at once; how often that failed before still counts.
            return;
        }
        if let (Work::Deliver(plugin), Some(tries)) = (work, self.index.tries(key)) {
            if let Some(tries) = tries.plugins.get_mut(plugin) {
                tries.failures = tries.failures.saturating_add(1);
                let delay = backoff::delay(tries.failures, crate::random::jitter(), None);
                tries.not_before = after(now, delay);
            }
            return self.index.schedule(key, Some(now));
        }
        self.pause(key, pause, now);
    }

    /// Notes that an attempt failed: nothing is given up before one has failed after its time limit.
    fn note_failure(&mut self, key: &Key, work: &Work, pause: Pause, now: Timestamp) {
        let Some(tries) = self.index.tries(key) else { return };
        match (work, pause) {
            // Missing commands are asked for again, and then the fetch ends by itself.
            (_, Pause::None | Pause::For(_)) => {}
            (Work::Deliver(plugin), _) => {
                tries.plugins.entry(plugin.clone()).or_default().failed = Some(now);
            }
            _ => tries.failed = Some(now),
        }
    }

    /// Looks again at all that waited for the API.
    pub(super) fn wake_gated(&mut self, now: Timestamp) {
        for key in std::mem::take(&mut self.gated) {
            self.index.schedule(&key, Some(now));
        }
    }

    /// Leaves a run alone for a growing while, because the disk or the system did not do what it was asked.
    pub(super) fn put_off(&mut self, key: &Key, now: Timestamp) {
        self.retry_reporter.failed();
        self.pause(key, Pause::Run(None), now);
        // Not before: a stage that only moves does not ask whether it should wait.
        let until = self.index.get(key).map(|live| live.tries.not_before);
        self.index.schedule(key, until);
    }

    /// Sets before when a run is not tried again.
    pub(super) fn pause(&mut self, key: &Key, pause: Pause, now: Timestamp) {
        let Some(tries) = self.index.tries(key) else { return };
        let not_before = match pause {
            Pause::None => {
                tries.failures = 0;
                now
            }
            Pause::For(span) => after(now, span),
            Pause::Run(retry_after) | Pause::Api(retry_after) => {
                tries.failures = tries.failures.saturating_add(1);
                let delay = backoff::delay(tries.failures, crate::random::jitter(), retry_after);
                after(now, delay)
            }
        };
        tries.not_before = not_before;
        // The stage knows whether something else is due before that.
        self.index.schedule(key, Some(now));
    }

    /// Says what a person should know of a move.
    pub(super) fn told(&self, run: &Run, transition: Transition) {
        match transition {
            Transition::Fetched => self.told_results(run),
            transition => tell(&self.parts.log, run.record(), transition),
        }
    }

    fn told_results(&self, run: &Run) {
        let record = run.record();
        let Some(summary) = &record.summary else { return };
        info!(self.parts.log, "results stored"; "run" => %record.id,
            "path" => record.document.as_deref().unwrap_or_default(),
            "sent" => summary.sent, "answered" => summary.answered, "found" => summary.found,
            "failed" => summary.failed, "expired" => summary.expired);
        if summary.sent == 0 {
            warn!(self.parts.log, "no agent was asked"; "run" => %record.id,
                "why" => known(record.error.as_deref()).as_ref());
        }
        if summary.missing > 0 || summary.not_final > 0 {
            warn!(self.parts.log, "results are not complete"; "run" => %record.id,
                "missing" => summary.missing, "not_final" => summary.not_final);
        }
        if record.job().is_some_and(|job| !self.parts.calendar.has(job)) {
            info!(self.parts.log, "job is gone, its results were stored all the same";
                "run" => %record.id);
        }
    }

    fn log_plugin(&self, key: &Key, plugin: &str, ended: &PluginExit) {
        let took = u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX);
        info!(self.parts.log, "plugin ended"; "run" => %key.1, "plugin" => plugin,
            "outcome" => ended.outcome.word(), "took_ms" => took);
        if !ended.output.is_empty() {
            info!(self.parts.log, "plugin output"; "run" => %key.1, "plugin" => plugin,
                "lines" => ended.lines, "output" => end_of(&ended.output, OUTPUT_BYTES_MAX).as_ref());
        }
    }
}

/// Returns a text for the log, or a substitute if it is missing.
fn known(text: Option<&str>) -> Cow<'_, str> {
    text.map_or(Cow::Borrowed("no cause is known"), escape)
}

/// Returns the end of a text, after `…` if it is not whole.
fn end_of(text: &str, limit: usize) -> Cow<'_, str> {
    let surplus = text.len().saturating_sub(limit);
    match (surplus..=text.len()).find_map(|cut| text.get(cut..)) {
        Some(end) if surplus > 0 => Cow::Owned(format!("…{end}")),
        _ => Cow::Borrowed(text),
    }
}

/// Logs what an operator should know about a move, except for stored results.
pub(super) fn tell(log: &Logger, record: &Record, transition: Transition) {
    let error = known(record.error.as_deref());
    match transition {
        Transition::Accepted => info!(log, "action accepted"; "run" => %record.id,
                "action" => record.action_id.map(|id| id.0)),
        Transition::Refused => warn!(log, "run refused"; "run" => %record.id,
                "reason" => known(record.reason.as_deref()).as_ref()),
        Transition::Superseded => info!(log, "run superseded, it is not sent"; "run" => %record.id,
                "by" => record.superseded.as_ref().map(ToString::to_string)),
        Transition::Noted if record.error.is_none() && record.request.fate == Fate::Refused => {
            info!(log, "the platform does not have the action, it will be sent";
                    "run" => %record.id);
        }
        Transition::Noted => warn!(log, "action not sent yet"; "run" => %record.id,
                "fate" => record.request.fate.word(), "error" => error.as_ref()),
        Transition::FetchNoted => warn!(log, "results not fetched yet"; "run" => %record.id,
                "error" => error.as_ref()),
        Transition::FetchGivenUp => error!(log, "results given up"; "run" => %record.id,
                "error" => error.as_ref()),
        Transition::Delivered | Transition::Finished => {
            for delivery in &record.plugins {
                if delivery.state == DeliveryState::GivenUp {
                    error!(log, "plugin given up"; "run" => %record.id,
                            "plugin" => %delivery.plugin, "error" => error.as_ref());
                }
            }
        }
        Transition::Renewed
        | Transition::Signed
        | Transition::SentOnly
        | Transition::Collected
        | Transition::Marked
        | Transition::Misplaced
        | Transition::Begun
        | Transition::Fetched => {}
    }
}
