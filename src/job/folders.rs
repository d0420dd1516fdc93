//! All job folders, and when to inspect which of them.
//!
//! Correctness rests on scans of all folders. An inspection of one folder after an event only finds
//! a change earlier. Both inspect a folder in the same way. Inspecting an unchanged folder takes
//! two system calls.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::change::{Change, FolderState, apply};
use super::load::{Inspection, Loader, is_hidden};
use super::{Job, Rejection};
use crate::disk::{Disk, DiskError};
use crate::names::JobName;

/// The jobs of a runner.
#[derive(Debug)]
pub(crate) struct Jobs {
    loader: Loader,
    states: BTreeMap<OsString, FolderState>,
    /// Entries that are not jobs and were reported as such.
    skipped: BTreeSet<OsString>,
}

impl Jobs {
    /// Returns a set of the jobs in `folder` that is empty until the first scan. The folder and
    /// everything in it must belong to `user` or root. Jobs that set no time zone use `zone`.
    pub(crate) fn new(disk: Disk, folder: PathBuf, user: u32, zone: TimeZone) -> Jobs {
        let loader = Loader::new(disk, folder, user, zone);
        Jobs { loader, states: BTreeMap::new(), skipped: BTreeSet::new() }
    }

    /// Inspects every folder and returns the changes, by name. After an error, because the folder
    /// of all jobs cannot be listed, the jobs stay as they are.
    pub(crate) fn scan(&mut self, now: Timestamp) -> Result<Vec<Change>, DiskError> {
        let (mut names, skipped) = self.loader.list()?;
        names.sort_unstable();
        self.skipped.retain(|name| skipped.contains(name) || names.binary_search(name).is_ok());
        if !self.states.keys().eq(&names) {
            names.extend(self.states.keys().cloned());
            names.sort_unstable();
            names.dedup();
        }
        let is_first = self.states.is_empty();
        let mut changes: Vec<Change> =
            names.iter().filter_map(|name| self.inspect(name, now)).collect();
        changes.extend(skipped.iter().filter_map(|name| self.report_skipped(name)));
        if is_first {
            // To save memory: a map filled in order has half-empty nodes; one built from an
            // iterator has full nodes.
            self.states = std::mem::take(&mut self.states).into_iter().collect();
        }
        Ok(changes)
    }

    /// Inspects the job folder that contains `path`, or every folder if `path` is the folder of all
    /// jobs; returns the changes.
    pub(crate) fn scan_path(
        &mut self,
        path: &Path,
        now: Timestamp,
    ) -> Result<Vec<Change>, DiskError> {
        let Ok(below) = path.strip_prefix(self.loader.folder()) else { return Ok(Vec::new()) };
        match below.components().next() {
            None => self.scan(now),
            Some(Component::Normal(name)) if !is_hidden(name) => {
                let name = name.to_owned();
                Ok(self.inspect(&name, now).into_iter().collect())
            }
            Some(_) => Ok(Vec::new()),
        }
    }

    /// Inspects again the invalid folders that are due to be reported, and returns the changes.
    pub(crate) fn recheck_invalid(&mut self, now: Timestamp) -> Vec<Change> {
        let is_due = |state: &FolderState| {
            state.next_recheck().is_some_and(|next_recheck| next_recheck <= now)
        };
        let due = self.states.iter().filter(|(_, state)| is_due(state));
        let names: Vec<_> = due.map(|(name, _)| name.clone()).collect();
        names.iter().filter_map(|name| self.inspect(name, now)).collect()
    }

    /// Returns when [`Jobs::recheck_invalid`] is next due.
    pub(crate) fn next_recheck(&self) -> Option<Timestamp> {
        self.states.values().filter_map(FolderState::next_recheck).min()
    }

    /// Returns the valid jobs, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.states.values().filter_map(FolderState::installed)
    }

    /// Returns a valid job.
    pub(crate) fn get(&self, name: &JobName) -> Option<&Arc<Job>> {
        self.states.get(OsStr::new(name.as_str()))?.installed()
    }

    /// Returns the names of all job folders, valid or not.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &OsStr> {
        self.states.keys().map(OsString::as_os_str)
    }

    /// Returns whether there is a job folder of this name, valid or not.
    pub(crate) fn has_folder(&self, name: &OsStr) -> bool {
        self.states.contains_key(name)
    }

    /// Returns the faults of invalid folders, by name, including those not reported yet.
    pub(crate) fn rejections(&self) -> impl Iterator<Item = &Arc<Rejection>> {
        self.states.values().filter_map(FolderState::rejection)
    }

    pub(crate) fn skipped(&self) -> impl Iterator<Item = &OsStr> {
        self.skipped.iter().map(OsString::as_os_str)
    }

    /// Records that a name is not a job; only the first time is a change.
    fn report_skipped(&mut self, name: &OsStr) -> Option<Change> {
        let is_new = self.skipped.insert(name.to_owned());
        is_new.then(|| Change::Skipped(self.loader.folder().join(name)))
    }

    fn inspect(&mut self, name: &OsStr, now: Timestamp) -> Option<Change> {
        let old = self.states.remove(name);
        let last = old.as_ref().and_then(FolderState::stamps);
        let inspection = self.loader.inspect(name, last, now);
        let is_skipped = matches!(inspection, Inspection::Skipped);
        if !is_skipped {
            self.skipped.remove(name);
        }
        let (state, change) = apply(old, inspection, now);
        if is_skipped && change.is_none() {
            return self.report_skipped(name);
        }
        if let Some(state) = state {
            self.states.insert(name.to_owned(), state);
        }
        change
    }
}

#[cfg(test)]
mod tests;
