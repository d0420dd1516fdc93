//! What the engine remembers of the runs that are not finished.
//!
//! **Invariant.** Nothing here that a restart could not read back, but for
//! attempts and pauses: a restart may try at once. Before the engine acts on a
//! run it reads it again; what is remembered only says when that is worth while.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::after;
use crate::disk::Stamp;
use crate::names::{ActionId, JobName, PluginName, RunId};
use crate::spool::{Family, Fate, Folder, Origin, Record, Run};
use crate::stage::PastAttempts;

/// A run in one of its two families.
pub(crate) type Key = (Family, RunId);

/// What is remembered of a run.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) folder: Folder,
    /// Which state of its file that was.
    pub(crate) stamp: Stamp,
    /// Its record, without the long texts.
    pub(crate) facts: Record,
    /// Its attempts, which a restart forgets.
    pub(crate) tries: Tries,
    /// When it is looked at again.
    due: Option<Timestamp>,
}

/// What was tried, and before when nothing more is.
#[derive(Debug, Clone)]
pub(crate) struct Tries {
    /// A worker has it.
    pub(crate) busy: bool,
    /// How often it failed in a row.
    pub(crate) failures: u32,
    /// How often the platform was asked how far it is, or for commands that were missing.
    pub(crate) polls: u32,
    /// How many results are asked for at once, if that was found out.
    pub(crate) page_size: Option<u32>,
    /// Before when nothing is tried.
    pub(crate) not_before: Timestamp,
    /// When the last attempt that failed ended. `None`: none has failed since the start.
    pub(crate) failed: Option<Timestamp>,
    /// Of an action: since when the platform has answered every question about it. Of a fetch: when
    /// its results were complete but for commands that may still change, if no fault came since.
    pub(crate) answering: Option<Timestamp>,
    /// A person put it back who had called it off, which its record does not tell.
    pub(crate) put_back: bool,
    /// When the last POST ended, or the runner began.
    pub(crate) ended: Timestamp,
    /// Actions with its signature that are another run's.
    pub(crate) others: BTreeSet<ActionId>,
    /// The plugins of the run that were tried.
    pub(crate) plugins: BTreeMap<PluginName, PluginTries>,
}

/// What was tried with a plugin.
#[derive(Debug, Clone, Default)]
pub(crate) struct PluginTries {
    pub(crate) busy: bool,
    /// How often it failed in a row.
    pub(crate) failures: u32,
    /// Before when it is not tried again.
    pub(crate) not_before: Timestamp,
    /// When the last attempt that failed ended. `None`: none has failed since the start.
    pub(crate) failed: Option<Timestamp>,
}

impl PluginTries {
    /// Returns the attempts that were made with the plugin.
    pub(crate) fn past(&self) -> PastAttempts {
        PastAttempts { not_before: self.not_before, failed: self.failed }
    }
}

impl Tries {
    /// Returns the attempts that were made with the run.
    pub(crate) fn past(&self) -> PastAttempts {
        PastAttempts { not_before: self.not_before, failed: self.failed }
    }

    /// Returns what still counts when a run was moved to another folder: what is under way, and when
    /// the last POST ended.
    fn elsewhere(self, began: Timestamp) -> Tries {
        Tries { busy: self.busy, ended: self.ended, ..Tries::new(began) }
    }

    /// Returns the state of a run of which nothing was tried since `began`.
    fn new(began: Timestamp) -> Tries {
        Tries {
            busy: false,
            failures: 0,
            polls: 0,
            page_size: None,
            not_before: Timestamp::MIN,
            failed: None,
            answering: None,
            put_back: false,
            ended: began,
            others: BTreeSet::new(),
            plugins: BTreeMap::new(),
        }
    }
}

/// The runs that are not finished, and when each is due.
#[derive(Debug, Default)]
pub(crate) struct Index {
    runs: BTreeMap<Key, Live>,
    due: BTreeSet<(Timestamp, Key)>,
    /// What was tried with runs whose entry a person took away and may put back: a POST may be
    /// under way, or take effect later.
    away: BTreeMap<Key, Tries>,
    /// How often a run was looked at because it was due.
    #[cfg(test)]
    looks: u64,
}

impl Index {
    /// Remembers a run as it was just found, due at once; what was tried with it in the same folder
    /// is kept. `now` is when that is.
    pub(crate) fn put(&mut self, run: Run, now: Timestamp, began: Timestamp) -> Key {
        let key = (run.folder().family(), run.record().id.clone());
        let (folder, stamp) = (run.folder(), run.stamp());
        let mut tries = match self.take(&key) {
            Some(old) if old.folder == folder => old.tries,
            Some(old) => old.tries.elsewhere(began),
            None => {
                self.away.remove(&key).map_or_else(|| Tries::new(began), |t| t.elsewhere(began))
            }
        };
        // Written anew, its record tells that it was put back.
        tries.put_back = false;
        if run.record().reason.is_some() {
            // Put back by hand: it is tried at once.
            (tries.failures, tries.not_before, tries.failed) = (0, Timestamp::MIN, None);
        }
        let facts = run.into_record().facts();
        self.runs.insert(key.clone(), Live { folder, stamp, facts, tries, due: None });
        self.schedule(&key, Some(now));
        key
    }

    /// Forgets a run; what must be known of it should it come back is kept.
    pub(crate) fn forget(&mut self, key: &Key) {
        let Some(live) = self.take(key) else { return };
        if live.tries.busy || live.facts.request.fate == Fate::Unknown {
            self.away.insert(key.clone(), live.tries);
        }
    }

    /// Forgets what was tried with runs whose entries are away, once nothing is under way for them and
    /// an unanswered POST can have no effect any more: if such a run comes back, it begins anew.
    pub(crate) fn forget_away(&mut self, now: Timestamp, settle: Duration) {
        self.away.retain(|_, tries| tries.busy || now < after(tries.ended, settle));
    }

    /// Makes what was to happen at some time happen at `now`, and what has ended later than `now` end
    /// then: the clock was ahead.
    pub(crate) fn hurry(&mut self, now: Timestamp) {
        let away = self.away.values_mut();
        for tries in self.runs.values_mut().map(|live| &mut live.tries).chain(away) {
            tries.not_before = now;
            tries.ended = tries.ended.min(now);
            tries.plugins.values_mut().for_each(|plugin| plugin.not_before = now);
        }
        let keys: Vec<Key> = self.runs.keys().cloned().collect();
        for key in keys {
            self.schedule(&key, Some(now));
        }
    }

    fn take(&mut self, key: &Key) -> Option<Live> {
        let live = self.runs.remove(key)?;
        if let Some(due) = live.due {
            self.due.remove(&(due, key.clone()));
        }
        Some(live)
    }

    /// Sets when a run is looked at again; `None`: when something changes.
    pub(crate) fn schedule(&mut self, key: &Key, at: Option<Timestamp>) {
        let Some(live) = self.runs.get_mut(key) else { return };
        if let Some(due) = live.due.take() {
            self.due.remove(&(due, key.clone()));
        }
        live.due = at;
        if let Some(at) = at {
            self.due.insert((at, key.clone()));
        }
    }

    /// Returns a run that is due, and makes it due no more.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Key> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        #[cfg(test)]
        (self.looks += 1);
        if let Some(live) = self.runs.get_mut(&key) {
            live.due = None;
        }
        Some(key)
    }

    /// Returns when the next run is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Returns what is remembered of a run.
    pub(crate) fn get(&self, key: &Key) -> Option<&Live> {
        self.runs.get(key)
    }

    /// Returns what was tried with a run, also while its entry is away, to change it.
    pub(crate) fn tries(&mut self, key: &Key) -> Option<&mut Tries> {
        match self.runs.get_mut(key) {
            Some(live) => Some(&mut live.tries),
            None => self.away.get_mut(key),
        }
    }

    /// Returns the keys of all runs that are remembered.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.runs.keys().cloned().collect()
    }

    /// Returns every run that is remembered.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Live)> {
        self.runs.iter()
    }

    /// Returns the newest scheduled run of the same job that waits to be sent, if it is newer than `id`.
    pub(crate) fn newer(&self, id: &RunId, facts: &Record) -> Option<RunId> {
        if facts.origin != Origin::Schedule {
            return None;
        }
        let from = (Family::Action, id.clone());
        let last = (Family::Action, RunId::of_slot(&facts.name, Timestamp::MAX));
        if from >= last {
            return None;
        }
        // The ids of a job sort by slot; those of a job whose name continues ours may lie between.
        let mut newest_first = self.runs.range(from..=last).rev().filter(|((_, other), live)| {
            other != id
                && live.folder == Folder::New
                && live.facts.origin == Origin::Schedule
                && live.facts.name == facts.name
        });
        newest_first.next().map(|((_, other), _)| other.clone())
    }

    /// Returns the actions of this name that runs other than this one hold: only one of the same name
    /// can have the same signature.
    pub(crate) fn action_ids(&self, key: &Key, action_name: &str) -> BTreeSet<ActionId> {
        let others = self.runs.iter().filter(|((_, id), live)| {
            *id != key.1 && live.facts.request.action_name == action_name
        });
        others.filter_map(|(_, live)| live.facts.action_id).collect()
    }

    /// Returns whether a run other than this one holds an action.
    pub(crate) fn is_held(&self, key: &Key, action: ActionId) -> bool {
        self.runs.iter().any(|((_, id), live)| *id != key.1 && live.facts.action_id == Some(action))
    }

    /// Returns how often a run was looked at because it was due.
    #[cfg(test)]
    pub(crate) fn looks(&self) -> u64 {
        self.looks
    }

    /// Returns how many runs are remembered, also of those whose entries are away, and how many
    /// signatures.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.runs.len() + self.due.len() + self.away.len()
    }

    /// Tells whether another run of the job is not over: it waits to be sent or runs on the fleet.
    pub(crate) fn has_open(&self, job: &JobName) -> bool {
        let first = (Family::Action, RunId::of_slot(job, Timestamp::MIN));
        // Ids begin with the name of their job.
        self.runs
            .range(first..)
            .take_while(|((family, id), _)| {
                *family == Family::Action && id.as_str().starts_with(job.as_str())
            })
            .any(|(_, live)| live.facts.job() == Some(job))
    }
}
