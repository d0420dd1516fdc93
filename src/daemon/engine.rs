//! The engine: the one thread that makes every move.
//!
//! It waits for what is due, for a hint or for a worker, asks the stage that the
//! run's folder belongs to what is to be done, and does it. A run that a worker
//! has is left alone until the worker is back.
//!
//! **Failure.** A disk that does not do what it is asked leaves the entry where it
//! is; it is tried again after a growing pause. What a worker brought back and
//! could not be written down is held and written later: an action that the API
//! has accepted is never posted again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use jiff::Timestamp;
use slog::error;

use super::calendar::Slot;
use super::circuit_breaker::CircuitBreaker;
use super::dating::Dated;
use super::index::{Index, Key, Live};
use super::moves::PendingOutcome;
use super::pruning::Pruning;
use super::queue::{Party, Queue};
use super::retry_report::RetryReporter;
use super::review::Review;
use super::scan::UnindexedFiles;
use super::tally::Tally;
use super::trouble::{Place, Troubles};
use super::watching::Watches;
use super::workers::{Pool, Task, Workers};
use super::{Event, Parts};
use crate::chain::Chain;
use crate::metrics::Metrics;
use crate::names::JobName;
use crate::spool::{Folder, Record, Run, SpoolError};
use crate::stage::submit::{JobState, SubmitContext};
use crate::stage::{Move, Step, Work, collect, fetch, misdated, submit};

/// How long the engine sleeps at the most, so that a clock that was set is noticed.
const NAP: Duration = Duration::from_secs(60);

/// The engine's whole state.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) parts: Parts,
    pub(super) index: Index,
    pub(super) dated: Dated,
    pub(super) began: Timestamp,
    /// How long the machine had been running then.
    pub(super) began_running: Duration,
    /// Whether everything was looked at once.
    pub(super) has_begun: bool,
    pub(super) unindexed: UnindexedFiles,
    pub(super) review: Review,
    pub(super) tally: Tally,
    /// The way to the engine for its own threads; without it, it does all but the work itself.
    pub(super) events: Option<Sender<Event>>,
    /// The folder whose names are being looked at, and whether they are durable.
    pub(super) listed: Option<(Folder, bool)>,
    /// When everything was looked at last.
    pub(super) looked: Timestamp,
    pub(super) watches: Watches,
    pub(super) breaker: CircuitBreaker,
    pub(super) gated: BTreeSet<Key>,
    pub(super) workers: Workers,
    /// What waits for a worker of each pool.
    queues: [Queue; 3],
    pub(super) pending: Vec<PendingOutcome>,
    /// Whether the disk has room for new actions and their results.
    pub(super) room: bool,
    /// Slots that could not be launched, and when that is tried again.
    pub(super) unlaunched: BTreeMap<JobName, (Slot, Timestamp)>,
    pub(super) pruning: Pruning,
    pub(super) troubles: Troubles,
    pub(super) retry_reporter: RetryReporter,
    /// Counted only if somebody wants to read it.
    pub(super) metrics: Option<Metrics>,
}

impl Engine {
    /// Returns an engine that has looked at nothing yet.
    pub(crate) fn new(parts: Parts, workers: Workers) -> Engine {
        let (began, began_running) = (parts.clock.now(), parts.clock.running());
        Engine {
            parts,
            index: Index::default(),
            dated: Dated::default(),
            began,
            began_running,
            has_begun: false,
            unindexed: UnindexedFiles::default(),
            review: Review::new(),
            tally: Tally::default(),
            events: None,
            listed: None,
            looked: Timestamp::MIN,
            watches: Watches::default(),
            breaker: CircuitBreaker::default(),
            gated: BTreeSet::new(),
            workers,
            queues: [Queue::default(), Queue::default(), Queue::default()],
            pending: Vec::new(),
            room: true,
            unlaunched: BTreeMap::new(),
            pruning: Pruning::new(),
            troubles: Troubles::default(),
            retry_reporter: RetryReporter::default(),
            metrics: None,
        }
    }

    /// Does all that is due; returns when something is due again.
    pub(crate) fn turn(&mut self) -> Option<Timestamp> {
        let now = self.parts.clock.now();
        self.retry_held(now);
        if self.index.next_due().is_some_and(|due| due <= now) {
            self.look_for_room();
        }
        while !self.is_stopping()
            && let Some(key) = self.index.pop_due(now)
        {
            self.step(&key, now);
        }
        self.serve_queues(now);
        self.show_troubles();
        let held = self.pending.iter().map(|held| held.at).min();
        let launch = self.unlaunched.values().map(|(_, at)| *at).min();
        [self.index.next_due(), held, launch].into_iter().flatten().min()
    }

    /// Waits for an event until `until`, but not longer than a minute or `span_max`.
    pub(crate) fn wait(
        &self,
        events: &Receiver<Event>,
        until: Timestamp,
        span_max: Option<Duration>,
    ) -> Option<Event> {
        let span_max = span_max.map_or(NAP, |span_max| span_max.min(NAP));
        let span = crate::clock::elapsed(self.parts.clock.now(), until).min(span_max);
        events.recv_timeout(span).ok()
    }

    /// Asks the stage of a run what is to be done, and does it or queues it.
    fn step(&mut self, key: &Key, now: Timestamp) {
        self.troubles.over(&Place::Run(key.1.clone()));
        let Some(live) = self.index.get(key) else { return };
        if live.tries.busy {
            return;
        }
        if live.folder == Folder::Returned {
            return self.step_deliveries(key, now);
        }
        match self.decide(key, live, now) {
            Ok(Step::Wait(until)) => self.index.schedule(key, until),
            // A move that work follows waits for its turn like the work itself.
            Ok(Step::Work(work) | Step::Move(Move { then: Some(work), .. })) => {
                self.queue(key, &work, now);
            }
            Ok(Step::Move(moved)) => self.make(key, &moved, now),
            Ok(Step::Reject(reason)) => self.reject(key, &reason, now),
            Err(error) => {
                error!(self.parts.log, "cannot decide"; "run" => %key.1, "error" => Chain(&error));
                self.put_off(key, now);
            }
        }
    }

    fn decide(&self, key: &Key, live: &Live, now: Timestamp) -> Result<Step, fetch::FetchError> {
        let (facts, tries) = (&live.facts, &live.tries);
        Ok(match live.folder {
            Folder::New => submit::decide(facts, &self.submit_context(key, live, now)),
            Folder::ActionInflight => misdated::decide(facts, now, tries.not_before)
                .unwrap_or_else(|| {
                    collect::decide(facts, now, tries.not_before, self.parts.settings.fetch_giveup)
                }),
            Folder::Ready if now < tries.not_before => Step::Wait(Some(tries.not_before)),
            Folder::Ready => {
                let (disk, directory) = (self.parts.spool.disk(), &self.parts.settings.directory);
                fetch::begin(facts, now, || fetch::document_path(disk, directory, facts))?
            }
            Folder::CommandInflight => {
                fetch::decide(facts, now, tries.past(), self.parts.settings.fetch_giveup)
            }
            Folder::Returned | Folder::Invalid | Folder::ActionDone | Folder::CommandDone => {
                Step::Wait(None)
            }
        })
    }

    pub(super) fn submit_context(&self, key: &Key, live: &Live, now: Timestamp) -> SubmitContext {
        let job = match live.facts.job() {
            None => JobState::Ready,
            Some(job) => self.parts.calendar.state(job),
        };
        SubmitContext {
            now,
            settle: self.parts.settings.settle,
            ended: live.tries.ended,
            not_before: live.tries.not_before,
            put_back: live.tries.put_back,
            job,
            room: self.room,
            newer: self.index.newer(&key.1, &live.facts),
        }
    }

    /// Queues work that needs the API until a worker is free and the way is open.
    fn queue(&mut self, key: &Key, work: &Work, now: Timestamp) {
        // A question how far an action is has its own pace, and the run goes on without an answer.
        if *work != Work::Probe
            && let Err(until) = self.breaker.pass(key, now)
        {
            self.gated.insert(key.clone());
            return self.index.schedule(key, until);
        }
        self.enqueue(key, Pool::of(work));
    }

    /// Lets a run wait for a worker, in the line of its job.
    pub(super) fn enqueue(&mut self, key: &Key, pool: Pool) {
        let party = self.party(key);
        self.waiting_for(pool).push(key, party);
    }

    /// Returns whose turn it is when a run has its turn.
    pub(super) fn party(&self, key: &Key) -> Party {
        self.index.get(key).and_then(|live| live.facts.job().cloned())
    }

    /// Returns what waits for a worker of a pool.
    pub(super) fn waiting_for(&mut self, pool: Pool) -> &mut Queue {
        let [submit, fetch, deliver] = &mut self.queues;
        match pool {
            Pool::Submit => submit,
            Pool::Fetch => fetch,
            Pool::Deliver => deliver,
        }
    }

    /// Begins queued work as far as workers are free; what is queued is decided upon anew.
    fn serve_queues(&mut self, now: Timestamp) {
        self.serve_deliveries(now);
        for pool in [Pool::Submit, Pool::Fetch] {
            while self.workers.is_free(pool) && !self.is_stopping() {
                let Some(key) = self.waiting_for(pool).pop() else { break };
                let Some(live) = self.index.get(&key).filter(|live| !live.tries.busy) else {
                    self.release(&key, now);
                    continue;
                };
                match self.decide(&key, live, now) {
                    Ok(Step::Work(work)) if Pool::of(&work) == pool => {
                        self.start(&key, work, now);
                    }
                    Ok(Step::Move(moved))
                        if moved.then.as_ref().is_some_and(|work| Pool::of(work) == pool) =>
                    {
                        self.make(&key, &moved, now);
                        if self.index.get(&key).is_none_or(|live| !live.tries.busy) {
                            // It was moved away or could not be moved: another one may try the API.
                            self.release(&key, now);
                        }
                    }
                    _ => {
                        self.release(&key, now);
                        self.step(&key, now);
                    }
                }
            }
        }
    }

    /// Gives a worker the record that counts; tells whether it has begun.
    pub(super) fn start(&mut self, key: &Key, work: Work, now: Timestamp) -> bool {
        match self.current(key) {
            Ok(Some(run)) => self.start_with(key, work, run.into_record(), now),
            Ok(None) => {
                self.release(key, now);
                false
            }
            Err(error) => {
                self.troubled("cannot read entry", Place::Run(key.1.clone()), &error);
                self.release(key, now);
                self.put_off(key, now);
                false
            }
        }
    }

    pub(super) fn start_with(
        &mut self,
        key: &Key,
        work: Work,
        record: Record,
        now: Timestamp,
    ) -> bool {
        if self.is_stopping() && work != Work::Post {
            return false;
        }
        let work = match work {
            // The run may have waited since it was decided on.
            Work::Sign { .. } => Work::Sign { period: self.date(&record) },
            other => other,
        };
        let Some(tries) = self.index.tries(key) else { return false };
        let (polls, page_size, others) = (tries.polls, tries.page_size, tries.others.clone());
        let since = tries.answering;
        let attempt = match &work {
            Work::Deliver(plugin) => {
                let tries = tries.plugins.entry(plugin.clone()).or_default();
                tries.busy = true;
                tries.failures.saturating_add(1)
            }
            _ => {
                tries.busy = true;
                tries.failures.saturating_add(1)
            }
        };
        let mut taken = others;
        if work == Work::Search {
            // Only a search could take another run's action for this one's.
            taken.extend(self.index.action_ids(key, &record.request.action_name));
        }
        let (key_of, work_of) = (key.clone(), work.clone());
        let task =
            Task { key: key_of, work: work_of, record, attempt, polls, page_size, since, taken };
        if let Err(error) = self.workers.begin(task) {
            error!(self.parts.log, "cannot start a worker"; "run" => %key.1, "error" => Chain(&error));
            self.rest(key, &work);
            self.release(key, now);
            self.put_off(key, now);
            return false;
        }
        true
    }

    /// Reads the file of a run that counts; forgets the run if there is none where it should be.
    pub(super) fn current(&mut self, key: &Key) -> Result<Option<Run>, SpoolError> {
        let run = self.parts.spool.settle(&key.1, key.0)?;
        let expected = self.index.get(key).map(|live| live.folder);
        match run {
            Some(run) if Some(run.folder()) == expected => Ok(Some(run)),
            Some(run) => {
                // Somebody has moved it, perhaps before anybody knew that it was where they found it.
                self.arrived(run)?;
                Ok(None)
            }
            None => {
                self.index.forget(key);
                Ok(None)
            }
        }
    }

    /// Remembers a run where it is now, if a stage acts there.
    pub(super) fn remember(&mut self, run: Run) {
        let now = self.parts.clock.now();
        let key = (run.folder().family(), run.record().id.clone());
        if run.folder().is_active() {
            self.index.put(run, now, self.began);
        } else {
            if run.folder() == Folder::ActionDone && self.events.is_some() {
                self.review.expect(&key.1, run.stamp());
            }
            self.index.forget(&key);
        }
    }

    /// Lets another run try whether the API serves again, if this one was to and did not.
    pub(super) fn release(&mut self, key: &Key, now: Timestamp) {
        if self.breaker.release(key) {
            self.wake_gated(now);
        }
    }

    /// Returns how many runs, files and moves are remembered, in whatever part of the engine.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        let queued: usize = self.queues.iter().map(Queue::len).sum();
        let parts = [self.index.len(), self.unindexed.len(), self.review.len(), self.gated.len()];
        parts.iter().sum::<usize>() + queued + self.pending.len()
    }

    /// Tells whether nothing is under way that a stop should wait for.
    pub(crate) fn is_quiet(&self) -> bool {
        self.workers.are_idle()
    }
}
