//! The index: what the engine remembers of the runs that are not finished.
//!
//! **Invariant.** Everything here can be read back after a restart, except attempts and delays:
//! after a restart, a run may be tried at once. The engine reads a run's file again before it acts
//! on it; the index only says when that is worthwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::attempts::Attempts;
use crate::clock::after;
use crate::disk::Stamp;
use crate::names::{ActionId, JobName, RunId};
use crate::spool::{Family, Fate, Folder, Origin, Record, Run};

/// A run in one of its two families.
pub(crate) type Key = (Family, RunId);

/// A run that is not finished.
#[derive(Debug)]
pub(super) struct TrackedRun {
    pub(super) folder: Folder,
    /// The state of the file when it was last read.
    pub(super) stamp: Stamp,
    /// The record, without its long texts.
    pub(super) facts: Record,
    pub(super) attempts: Attempts,
    /// When the engine processes the run again.
    due: Option<Timestamp>,
}

/// The runs that are not finished, and when each is due.
#[derive(Debug)]
pub(super) struct Index {
    started: Timestamp,
    runs: BTreeMap<Key, TrackedRun>,
    due: BTreeSet<(Timestamp, Key)>,
    /// The attempts of runs whose entries the operator removed and may put back: a POST may be
    /// under way, or take effect later.
    away: BTreeMap<Key, Attempts>,
    /// Number of times a run was processed because it was due.
    #[cfg(test)]
    processed: u64,
}

impl Index {
    /// Returns an empty index of an engine that started at this time.
    pub(super) fn new(started: Timestamp) -> Index {
        Index {
            started,
            runs: BTreeMap::new(),
            due: BTreeSet::new(),
            away: BTreeMap::new(),
            #[cfg(test)]
            processed: 0,
        }
    }

    /// Adds a run that was just read, and makes it due at `now`. Attempts in the same folder are
    /// kept.
    pub(super) fn put(&mut self, run: Run, now: Timestamp) -> Key {
        let key = (run.folder().family(), run.record().id.clone());
        let (folder, stamp) = (run.folder(), run.stamp());
        let mut attempts = match self.take(&key) {
            Some(old) if old.folder == folder => old.attempts,
            Some(old) => old.attempts.carried_over(self.started),
            None => self.away.remove(&key).map_or_else(
                || Attempts::none(self.started),
                |attempts| attempts.carried_over(self.started),
            ),
        };
        // Once the record is rewritten, it shows that the run was put back.
        attempts.put_back = false;
        if run.record().reason.is_some() {
            // The operator put back a run that was rejected or given up: it is tried at once.
            (attempts.failures, attempts.not_before, attempts.failed) = (0, Timestamp::MIN, None);
        }
        let facts = run.into_record().facts();
        self.runs.insert(key.clone(), TrackedRun { folder, stamp, facts, attempts, due: None });
        self.schedule(&key, Some(now));
        key
    }

    /// Removes a run. Its attempts are kept if they still count when the run comes back.
    pub(super) fn forget(&mut self, key: &Key) {
        let Some(run) = self.take(key) else { return };
        if run.attempts.busy || run.facts.request.fate == Fate::Unknown {
            self.away.insert(key.clone(), run.attempts);
        }
    }

    /// Forgets the attempts of removed runs once no work is under way for them and an unanswered
    /// POST can no longer take effect. If such a run comes back, it starts afresh.
    pub(super) fn forget_away(&mut self, now: Timestamp, settle: Duration) {
        self.away.retain(|_, attempts| attempts.busy || now < after(attempts.post_ended, settle));
    }

    /// Makes every run due at `now`. A POST that ended later than `now`, by a clock that was ahead,
    /// counts as having ended at `now`.
    pub(super) fn retry_at(&mut self, now: Timestamp) {
        let away = self.away.values_mut();
        for attempts in self.runs.values_mut().map(|run| &mut run.attempts).chain(away) {
            attempts.not_before = now;
            attempts.post_ended = attempts.post_ended.min(now);
            attempts.plugins.values_mut().for_each(|plugin| plugin.not_before = now);
        }
        let keys: Vec<Key> = self.runs.keys().cloned().collect();
        for key in keys {
            self.schedule(&key, Some(now));
        }
    }

    fn take(&mut self, key: &Key) -> Option<TrackedRun> {
        let run = self.runs.remove(key)?;
        if let Some(due) = run.due {
            self.due.remove(&(due, key.clone()));
        }
        Some(run)
    }

    /// Sets when a run is processed again; `None`: not before something changes.
    pub(super) fn schedule(&mut self, key: &Key, at: Option<Timestamp>) {
        let Some(run) = self.runs.get_mut(key) else { return };
        if let Some(due) = run.due.take() {
            self.due.remove(&(due, key.clone()));
        }
        run.due = at;
        if let Some(at) = at {
            self.due.insert((at, key.clone()));
        }
    }

    /// Makes the runs in `action/new` due at `now`, except those that a worker has.
    pub(super) fn schedule_new(&mut self, now: Timestamp) {
        let is_waiting = |run: &TrackedRun| run.folder == Folder::New && !run.attempts.busy;
        let waiting = self.runs.iter().filter(|(_, run)| is_waiting(run));
        let waiting: Vec<Key> = waiting.map(|(key, _)| key.clone()).collect();
        for key in waiting {
            self.schedule(&key, Some(now));
        }
    }

    /// Removes and returns the next run that is due.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Key> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        #[cfg(test)]
        (self.processed += 1);
        if let Some(run) = self.runs.get_mut(&key) {
            run.due = None;
        }
        Some(key)
    }

    /// Returns when the next run is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&TrackedRun> {
        self.runs.get(key)
    }

    /// Returns whether a run is in this folder, is not due again, and no worker has it.
    pub(super) fn rests_in(&self, key: &Key, folder: Folder) -> bool {
        self.get(key)
            .is_some_and(|run| run.folder == folder && run.due.is_none() && !run.attempts.busy)
    }

    /// Returns the attempts of a run, also of one whose entry was removed.
    pub(super) fn attempts_mut(&mut self, key: &Key) -> Option<&mut Attempts> {
        match self.runs.get_mut(key) {
            Some(run) => Some(&mut run.attempts),
            None => self.away.get_mut(key),
        }
    }

    /// Returns whether a worker has a run or an outcome of it is pending.
    pub(super) fn is_busy(&self, key: &Key) -> bool {
        let attempts = self.runs.get(key).map(|run| &run.attempts).or_else(|| self.away.get(key));
        attempts.is_some_and(|attempts| attempts.busy)
    }

    pub(super) fn set_busy(&mut self, key: &Key, busy: bool) {
        if let Some(attempts) = self.attempts_mut(key) {
            attempts.busy = busy;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &TrackedRun)> {
        self.runs.iter()
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> Vec<Key> {
        self.runs.keys().cloned().collect()
    }

    /// Returns the newest scheduled run of the same job in `action/new`, if it is newer than `id`.
    pub(super) fn newer(&self, id: &RunId, facts: &Record) -> Option<RunId> {
        if facts.origin != Origin::Schedule {
            return None;
        }
        let from = (Family::Action, id.clone());
        let last = (Family::Action, RunId::of_slot(&facts.name, Timestamp::MAX));
        if from >= last {
            return None;
        }
        // The ids of a job sort by slot; ids of jobs whose names start with this name may lie
        // between.
        let mut newest_first = self.runs.range(from..=last).rev().filter(|((_, other), run)| {
            other != id
                && run.folder == Folder::New
                && run.facts.origin == Origin::Schedule
                && run.facts.name == facts.name
        });
        newest_first.next().map(|((_, other), _)| other.clone())
    }

    /// Returns the actions of other runs with this action name: only those can have the same
    /// signature.
    pub(super) fn action_ids(&self, key: &Key, action_name: &str) -> BTreeSet<ActionId> {
        let others = self
            .runs
            .iter()
            .filter(|((_, id), run)| *id != key.1 && run.facts.request.action_name == action_name);
        others.filter_map(|(_, run)| run.facts.action_id).collect()
    }

    /// Returns whether another run has this action.
    pub(super) fn is_held(&self, key: &Key, action: ActionId) -> bool {
        self.runs.iter().any(|((_, id), run)| *id != key.1 && run.facts.action_id == Some(action))
    }

    /// Returns whether a run of the job waits to be sent or is running on the fleet.
    pub(super) fn has_open(&self, job: &JobName) -> bool {
        let first = (Family::Action, RunId::of_slot(job, Timestamp::MIN));
        // Ids begin with the name of their job.
        self.runs
            .range(first..)
            .take_while(|((family, id), _)| {
                *family == Family::Action && id.as_str().starts_with(job.as_str())
            })
            .any(|(_, run)| run.facts.job() == Some(job))
    }

    #[cfg(test)]
    pub(super) fn processed(&self) -> u64 {
        self.processed
    }

    /// Returns the number of remembered runs and due times, including those of removed runs.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.runs.len() + self.due.len() + self.away.len()
    }
}
