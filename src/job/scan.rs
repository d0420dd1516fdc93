//! All job folders, and which of them to look at when.
//!
//! A look at all of them is what correctness rests on; a look at one of them, after
//! a hint, is for speed. Both do the same to a folder. A look costs two calls for a
//! folder that did not change.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::change::{Change, State, settle};
use super::load::{Loader, Seen, is_hidden};
use super::{Job, Rejection};
use crate::disk::{Disk, DiskError};
use crate::names::JobName;

/// All jobs of a runner.
#[derive(Debug)]
pub(crate) struct Jobs {
    loader: Loader,
    states: BTreeMap<OsString, State>,
    /// Names that are not jobs, which was logged.
    skipped: BTreeSet<OsString>,
}

impl Jobs {
    /// Returns the jobs in `folder`, none of which is known yet. The folder and all in it must
    /// belong to `user` or root; `zone` is that of jobs that name none.
    pub(crate) fn new(disk: Disk, folder: PathBuf, user: u32, zone: TimeZone) -> Jobs {
        let loader = Loader::new(disk, folder, user, zone);
        Jobs { loader, states: BTreeMap::new(), skipped: BTreeSet::new() }
    }

    /// Looks at every folder and returns what changed, by name.
    ///
    /// # Errors
    /// The folder of all jobs cannot be listed; the jobs stay as they are.
    pub(crate) fn look(&mut self, now: Timestamp) -> Result<Vec<Change>, DiskError> {
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
            names.iter().filter_map(|name| self.look_at(name, now)).collect();
        changes.extend(skipped.iter().filter_map(|name| self.skip(name)));
        if is_first {
            // Filled in order, the nodes of the map are half empty; made at once, they are full.
            self.states = std::mem::take(&mut self.states).into_iter().collect();
        }
        Ok(changes)
    }

    /// Looks at the folder that a path leads into and returns what changed; at every folder,
    /// if it is the folder of all jobs.
    ///
    /// # Errors
    /// As for [`Jobs::look`].
    pub(crate) fn look_into(
        &mut self,
        path: &Path,
        now: Timestamp,
    ) -> Result<Vec<Change>, DiskError> {
        let Ok(below) = path.strip_prefix(self.loader.folder()) else { return Ok(Vec::new()) };
        match below.components().next() {
            None => self.look(now),
            Some(Component::Normal(name)) if !is_hidden(name) => {
                let name = name.to_owned();
                Ok(self.look_at(&name, now).into_iter().collect())
            }
            Some(_) => Ok(Vec::new()),
        }
    }

    /// Looks again at the bad folders whose time has come, and returns what changed.
    pub(crate) fn look_at_bad(&mut self, now: Timestamp) -> Vec<Change> {
        let is_due = |state: &State| state.wake().is_some_and(|wake| wake <= now);
        let due = self.states.iter().filter(|(_, state)| is_due(state));
        let names: Vec<_> = due.map(|(name, _)| name.clone()).collect();
        names.iter().filter_map(|name| self.look_at(name, now)).collect()
    }

    /// Returns when [`Jobs::look_at_bad`] has something to do.
    pub(crate) fn wake(&self) -> Option<Timestamp> {
        self.states.values().filter_map(State::wake).min()
    }

    /// Returns the jobs in force, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.states.values().filter_map(State::installed)
    }

    /// Returns a job in force.
    pub(crate) fn get(&self, name: &JobName) -> Option<&Arc<Job>> {
        self.states.get(OsStr::new(name.as_str()))?.installed()
    }

    /// Returns the names of all folders that were found, good and bad.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &OsStr> {
        self.states.keys().map(OsString::as_os_str)
    }

    /// Tells whether a folder of this name was found, good or bad.
    pub(crate) fn has_folder(&self, name: &OsStr) -> bool {
        self.states.contains_key(name)
    }

    /// Returns what is wrong with bad folders, by name, also what is not reported yet.
    pub(crate) fn rejections(&self) -> impl Iterator<Item = &Arc<Rejection>> {
        self.states.values().filter_map(State::rejection)
    }

    /// Returns the names of entries that are not jobs.
    pub(crate) fn skipped(&self) -> impl Iterator<Item = &OsStr> {
        self.skipped.iter().map(OsString::as_os_str)
    }

    /// Notes that a name is not a job; only the first time is a change.
    fn skip(&mut self, name: &OsStr) -> Option<Change> {
        let is_new = self.skipped.insert(name.to_owned());
        is_new.then(|| Change::Skipped(self.loader.folder().join(name)))
    }

    fn look_at(&mut self, name: &OsStr, now: Timestamp) -> Option<Change> {
        let old = self.states.remove(name);
        let last = old.as_ref().and_then(State::stamps);
        let seen = self.loader.look(name, last, now);
        let is_skipped = matches!(seen, Seen::Skipped);
        if !is_skipped {
            self.skipped.remove(name);
        }
        let (state, change) = settle(old, seen, now);
        if is_skipped && change.is_none() {
            return self.skip(name);
        }
        if let Some(state) = state {
            self.states.insert(name.to_owned(), state);
        }
        change
    }
}

#[cfg(test)]
mod tests;
