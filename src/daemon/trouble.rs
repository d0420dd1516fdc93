//! What the disk does not do: told once and then at growing intervals, and shown to `status`.
//!
//! A disk that is full fails in many places at once, and again at every attempt. Each kind of failure is
//! told when it begins and then ever more seldom, however often it happens.
//!
//! `status` learns of it by a lock on the scratch folder. A file could not tell it, because such a disk
//! may take none; a lock needs no room, everybody can see it, and it ends with the process.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use jiff::Timestamp;
use slog::{error, info};

use super::engine::Engine;
use crate::chain::{Chain, escape};
use crate::clock::after;
use crate::disk::Lock;
use crate::names::{JobName, RunId};
use crate::spool::{Family, Folder, SpoolError};

/// How long after it was told a failure is told again for the first time.
const TELL_SPAN_MIN: Duration = Duration::from_secs(30);
/// How long it is at the most between two times.
const TELL_SPAN_MAX: Duration = Duration::from_secs(3600);

/// What something failed with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Spool,
    /// A folder of it.
    Folder(Folder),
    /// A name in a folder.
    Entry(Folder, String),
    Run(RunId),
    Jobs,
    /// The last slot of a job.
    Slot(JobName),
    /// What is told of what is tried again.
    RetryReport,
}

impl Place {
    /// Returns the key that it has in the log.
    fn key(&self) -> &'static str {
        match self {
            Place::Spool | Place::Folder(_) | Place::Entry(..) => "folder",
            Place::RetryReport => "file",
            Place::Run(_) => "run",
            Place::Jobs | Place::Slot(_) => "job",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Spool => f.write_str("spool"),
            Place::Folder(folder) => folder.fmt(f),
            Place::Entry(folder, name) => write!(f, "{folder}/{}", escape(name)),
            Place::Run(run) => run.fmt(f),
            Place::Jobs => f.write_str("all"),
            Place::Slot(job) => job.fmt(f),
            Place::RetryReport => f.write_str(".retries"),
        }
    }
}

/// What failed and has not succeeded since.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    places: BTreeSet<Place>,
    told: HashMap<(&'static str, ErrorKind), Told>,
    sign: Option<Lock>,
}

/// A kind of failure, and when it is told again.
#[derive(Debug)]
struct Told {
    next: Timestamp,
    span: Duration,
    untold: u64,
}

impl Troubles {
    /// Notes a failure; if it is to be told now, returns how many of its kind were not told before it.
    fn note(
        &mut self,
        what: &'static str,
        place: Place,
        kind: ErrorKind,
        now: Timestamp,
    ) -> Option<u64> {
        self.places.insert(place);
        let new = Told { next: now, span: TELL_SPAN_MIN, untold: 0 };
        let told = self.told.entry((what, kind)).or_insert(new);
        if now < told.next {
            told.untold = told.untold.saturating_add(1);
            return None;
        }
        told.next = after(now, told.span);
        told.span = told.span.saturating_mul(2).min(TELL_SPAN_MAX);
        Some(std::mem::take(&mut told.untold))
    }

    /// Has what still fails told at once, and then at growing intervals anew.
    pub(super) fn tell_again(&mut self, now: Timestamp) {
        for told in self.told.values_mut() {
            (told.next, told.span) = (now, TELL_SPAN_MIN);
        }
    }

    /// Notes that what failed there has succeeded, or is tried anew.
    pub(super) fn over(&mut self, place: &Place) {
        self.places.remove(place);
    }

    /// Returns the jobs whose last slots could not be launched or written down.
    fn slots(&self) -> Vec<JobName> {
        let slot = |place: &Place| match place {
            Place::Slot(job) => Some(job.clone()),
            _ => None,
        };
        self.places.iter().filter_map(slot).collect()
    }

    /// Forgets the places that do not matter any more.
    pub(super) fn keep(&mut self, matters: impl FnMut(&Place) -> bool) {
        self.places.retain(matters);
    }
}

impl Engine {
    /// Notes that the disk did not do what it was asked, and says so if that is due.
    pub(super) fn troubled(&mut self, what: &'static str, place: Place, error: &SpoolError) {
        let now = self.parts.clock.now();
        let (key, told) = (place.key(), place.to_string());
        if let Some(untold) = self.troubles.note(what, place, error.kind(), now) {
            error!(self.parts.log, "{what}"; key => told, "error" => Chain(error),
                "untold" => untold);
        }
    }

    /// Tries again what nobody else would soon, and forgets troubles with what is gone and with names
    /// that are about to be looked at again.
    pub(super) fn review_troubles(&mut self) {
        self.parts.spool.disk().retry_folder_syncs();
        for job in self.troubles.slots() {
            // A slot that could not be launched has not passed.
            if !self.unlaunched.contains_key(&job) {
                self.stamp(job);
            }
        }
        let index = &self.index;
        self.troubles.keep(|place| match place {
            Place::Entry(..) => false,
            Place::Run(run) => [Family::Action, Family::Command]
                .into_iter()
                .any(|family| index.get(&(family, run.clone())).is_some()),
            Place::Spool | Place::Folder(_) | Place::Jobs | Place::Slot(_) | Place::RetryReport => {
                true
            }
        });
    }

    /// Tries at once all that waits after a failure.
    pub(crate) fn try_all_now(&mut self) {
        let now = self.parts.clock.now();
        self.breaker.open();
        self.index.hurry(now);
        self.unindexed.hurry(now);
        self.pending.iter_mut().for_each(|held| held.at = now);
        self.unlaunched.values_mut().for_each(|(_, at)| *at = now);
        self.troubles.tell_again(now);
    }

    /// Shows `status` whether the disk does what it is asked.
    pub(super) fn show_troubles(&mut self) {
        let disk = self.parts.spool.disk();
        let is_well = self.troubles.places.is_empty()
            && self.pending.is_empty()
            && self.unlaunched.is_empty()
            && !disk.has_unsynced_folders();
        if !is_well && self.troubles.sign.is_none() {
            // Where even this fails it is tried at the next turn; the log has told why.
            self.troubles.sign = disk.lock(&self.parts.spool.layout().scratch()).ok();
        }
        if is_well && !self.troubles.told.is_empty() {
            info!(self.parts.log, "the disk does again what it is asked");
        }
        if is_well {
            self.troubles.told.clear();
            self.troubles.sign = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once_and_then_ever_more_seldom() {
        let mut troubles = Troubles::default();
        let begin: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let mut told = Vec::new();
        for second in 0..3600 {
            let now = after(begin, Duration::from_secs(second));
            // Two places fail alike each second, and one otherwise.
            for folder in [Folder::New, Folder::Ready] {
                let place = Place::Folder(folder);
                if let Some(untold) = troubles.note("cannot look", place, ErrorKind::Other, now) {
                    told.push((second, untold));
                }
            }
        }
        let seconds: Vec<u64> = told.iter().map(|(second, _)| *second).collect();
        assert_eq!(seconds, [0, 30, 90, 210, 450, 930, 1890]);
        assert_eq!(told[1].1, 59);
        // An hour ahead of the clock, it would be silent for an hour.
        troubles.tell_again(begin);
        let place = Place::Folder(Folder::New);
        assert!(troubles.note("cannot look", place, ErrorKind::Other, begin).is_some());
        let other = troubles.note("cannot look", Place::Jobs, ErrorKind::StorageFull, begin);
        assert_eq!(other, Some(0));
        troubles.over(&Place::Folder(Folder::New));
        troubles.keep(|place| *place != Place::Jobs);
        assert_eq!(troubles.places, BTreeSet::from([Place::Folder(Folder::Ready)]));
    }
}
