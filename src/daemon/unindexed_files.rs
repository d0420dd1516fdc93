//! Files in the spool that are not in the index: the state in which each was last read, and which
//! of them to read again.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};

use jiff::Timestamp;

use super::move_queue::MOVES_MAX;
use crate::clock::after;
use crate::disk::Stamp;
use crate::spool::Folder;
use crate::stage::claim;

/// The files that are not runs, so that each state of a file is read only once.
#[derive(Debug, Default)]
pub(super) struct UnindexedFiles {
    /// The state in which each file was last read.
    known: HashMap<(Folder, OsString), Stamp>,
    /// Files that may have to be moved, with the time to check them again: damaged files, which
    /// another process may still be writing, and actions to be claimed.
    waiting: BTreeSet<(Timestamp, Folder, OsString)>,
    /// While a file is read again: the state in which it was first read.
    rechecked: Option<Stamp>,
}

impl UnindexedFiles {
    /// Returns the state in which a file was last read.
    pub(super) fn stamp(&self, folder: Folder, name: &OsStr) -> Option<Stamp> {
        self.known.get(&(folder, name.to_owned())).copied()
    }

    pub(super) fn note(&mut self, folder: Folder, name: &OsStr, stamp: Stamp) {
        self.known.insert((folder, name.to_owned()), stamp);
    }

    pub(super) fn forget(&mut self, folder: Folder, name: &OsStr) {
        self.known.remove(&(folder, name.to_owned()));
    }

    /// Forgets the files for which `exists` returns `false`.
    pub(super) fn retain(&mut self, exists: impl Fn(Folder, &OsStr) -> bool) {
        self.known.retain(|(folder, name), _| exists(*folder, name));
    }

    /// Schedules a file to be checked again at `time`.
    pub(super) fn recheck_at(&mut self, time: Timestamp, folder: Folder, name: &OsStr) {
        self.waiting.insert((time, folder, name.to_owned()));
    }

    /// Returns files that are due to be checked again, at most [`MOVES_MAX`].
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<(Folder, OsString)> {
        let mut due = Vec::new();
        while due.len() < MOVES_MAX && self.next_due().is_some_and(|at| at <= now) {
            due.extend(self.waiting.pop_first().map(|(_, folder, name)| (folder, name)));
        }
        due
    }

    /// Forgets a file that is about to be read again, except for the state in which it was first
    /// read.
    pub(super) fn begin_recheck(&mut self, folder: Folder, name: &OsStr) {
        self.rechecked = self.known.remove(&(folder, name.to_owned()));
    }

    pub(super) fn end_recheck(&mut self) {
        self.rechecked = None;
    }

    /// Returns whether a file has not changed since it was first read.
    pub(super) fn is_unchanged(&self, stamp: Option<Stamp>) -> bool {
        stamp.is_some() && self.rechecked == stamp
    }

    /// Returns when the next file is due to be checked again.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(at, ..)| *at)
    }

    /// Limits the wait for files to the usual time, counted from `now`: the clock was set back.
    pub(super) fn limit_waits(&mut self, now: Timestamp) {
        let latest = after(now, claim::WRITE_SPAN);
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        self.waiting = waiting.map(|(at, folder, name)| (latest.min(at), folder, name)).collect();
    }

    /// Returns the number of remembered names.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len().saturating_add(self.waiting.len())
    }
}
