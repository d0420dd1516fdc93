//! All job folders, and when to inspect which of them.
//!
//! Correctness rests on scans of all folders. An inspection of one folder after an event only finds
//! a change earlier. Both inspect a folder in the same way. Inspecting an unchanged job takes two
//! system calls, one for each file.
//!
//! A scan saves these calls for a job whose watch is *active*: a single call shows that the folder
//! is still the watched one and that no name in it has changed, and the watch reports every write
//! to its files, also while they stay open. The watch of a job is active if
//! * the job's folder is no link, and is the folder that the watch was set on,
//! * the folder is on a local file system, and no other watch is on the same folder,
//! * both files are in the folder itself: neither links nor mounted there, with one name each,
//! * the job is valid, and its files were inspected after the watch was set.
//!
//! Whatever happens to a watch without an event (a file that is mounted over another, a second name
//! for a file, an event that the kernel or a library drops) is found by examining the files of every
//! job in turn, [`JobWatches::scans`] scans apart. After events were lost and on SIGHUP, one scan
//! examines the files of all jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::change::{Change, FolderState, FolderWatch, apply};
use super::load::{Inspected, Inspection, Loader, is_hidden};
use super::shared_values::SharedValues;
use super::{Job, Rejection};
use crate::disk::{Disk, DiskError, FileId};
use crate::names::JobName;

/// The watches on job folders.
pub(crate) trait JobWatches {
    /// Returns the identity of the folder that the watch of this name was set on; `None` if the
    /// name is not watched, or if its watch does not report every change of the folder.
    fn folder_id(&self, name: &OsStr) -> Option<FileId>;

    /// Returns the number of scans of which at least one examines the files of a job, although its
    /// watch reports no change.
    fn scans(&self) -> u16;
}

/// No watches: each scan examines all files.
#[derive(Debug)]
pub(crate) struct NoWatches;

impl JobWatches for NoWatches {
    fn folder_id(&self, _name: &OsStr) -> Option<FileId> {
        None
    }

    fn scans(&self) -> u16 {
        1
    }
}

/// What a scan examines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The files of every job.
    Files,
    /// Only the folder of a job whose watch is active.
    Folders,
}

/// The jobs of a runner.
#[derive(Debug)]
pub(crate) struct Jobs {
    loader: Loader,
    states: BTreeMap<Arc<OsStr>, FolderState>,
    shared: SharedValues,
    /// The folders with a fault that was not reported yet: few, so that each turn of the daemon can
    /// look at all of them.
    unreported: BTreeSet<Arc<OsStr>>,
    /// Whether a job was replaced or removed since the last scan.
    has_replaced: bool,
    /// Entries that are not jobs and were reported as such.
    skipped: BTreeSet<OsString>,
    /// In which scan the next job's files are examined again: a different one for each job, so that
    /// no scan examines all.
    next_turn: u16,
}

impl Jobs {
    /// Returns a set of the jobs in `folder` that is empty until the first scan. The folder and
    /// everything in it must belong to `user` or root. Jobs that set no time zone use `zone`.
    pub(crate) fn new(disk: Disk, folder: PathBuf, user: u32, zone: TimeZone) -> Jobs {
        let loader = Loader::new(disk, folder, user, zone);
        Jobs {
            loader,
            states: BTreeMap::new(),
            shared: SharedValues::default(),
            unreported: BTreeSet::new(),
            has_replaced: false,
            skipped: BTreeSet::new(),
            next_turn: 0,
        }
    }

    /// Inspects the files of every folder and returns the changes, by name. After an error, because
    /// the folder of all jobs cannot be listed, the jobs stay as they are.
    pub(crate) fn scan(&mut self, now: Timestamp) -> Result<Vec<Change>, DiskError> {
        self.scan_watched(Depth::Files, &NoWatches, now)
    }

    /// Scans like [`Jobs::scan`]; some of the folders are watched.
    pub(crate) fn scan_watched(
        &mut self,
        depth: Depth,
        watches: &dyn JobWatches,
        now: Timestamp,
    ) -> Result<Vec<Change>, DiskError> {
        // Not earlier: the caller of the last scan had the old jobs.
        if std::mem::take(&mut self.has_replaced) {
            self.shared.remove_unused();
        }
        let (mut new, mut skipped) = (Vec::new(), Vec::new());
        // Usually there is no new name, so the names are compared first, without storing them.
        if self.loader.has_name_except(|name| self.states.contains_key(name))? {
            (new, skipped) = self.loader.list()?;
            new.retain(|name| !self.states.contains_key(name.as_os_str()));
            new.sort_unstable();
        }
        self.skipped.retain(|name| skipped.contains(name) || new.binary_search(name).is_ok());
        let mut changes = if self.states.is_empty() {
            self.inspect_first(&new, watches, now)
        } else {
            let mut names = self.possibly_changed(depth, watches);
            names.extend(new.into_iter().map(Arc::from));
            names.sort_unstable();
            names.iter().filter_map(|name| self.inspect(name, watches, now)).collect()
        };
        changes.extend(skipped.iter().filter_map(|name| self.report_skipped(name)));
        Ok(changes)
    }

    /// Returns the names of the known folders that must be inspected.
    fn possibly_changed(&mut self, depth: Depth, watches: &dyn JobWatches) -> Vec<Arc<OsStr>> {
        let loader = &self.loader;
        let names = self.states.iter_mut().filter_map(|(name, state)| {
            let is_unchanged =
                depth == Depth::Folders && is_unchanged(loader, name, state, watches);
            (!is_unchanged).then(|| Arc::clone(name))
        });
        names.collect()
    }

    /// Inspects the job folder that contains `path`, or scans every folder if `path` is the folder
    /// of all jobs; returns the changes.
    pub(crate) fn scan_path(
        &mut self,
        path: &Path,
        watches: &dyn JobWatches,
        now: Timestamp,
    ) -> Result<Vec<Change>, DiskError> {
        let Ok(below) = path.strip_prefix(self.loader.folder()) else { return Ok(Vec::new()) };
        match below.components().next() {
            None => self.scan_watched(Depth::Folders, watches, now),
            Some(Component::Normal(name)) if !is_hidden(name) => {
                Ok(self.inspect(name, watches, now).into_iter().collect())
            }
            Some(_) => Ok(Vec::new()),
        }
    }

    /// Inspects again the invalid folders that are due to be reported, and returns the changes.
    pub(crate) fn recheck_invalid(
        &mut self,
        watches: &dyn JobWatches,
        now: Timestamp,
    ) -> Vec<Change> {
        let is_due = |name: &&Arc<OsStr>| self.recheck_of(name).is_some_and(|next| next <= now);
        let names: Vec<_> = self.unreported.iter().filter(is_due).cloned().collect();
        names.iter().filter_map(|name| self.inspect(name, watches, now)).collect()
    }

    /// Returns when [`Jobs::recheck_invalid`] is next due.
    pub(crate) fn next_recheck(&self) -> Option<Timestamp> {
        self.unreported.iter().filter_map(|name| self.recheck_of(name)).min()
    }

    fn recheck_of(&self, name: &OsStr) -> Option<Timestamp> {
        self.states.get(name)?.next_recheck()
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
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Arc<OsStr>> {
        self.states.keys()
    }

    /// Returns the name of a job folder, valid or not, to share it.
    pub(crate) fn folder(&self, name: &OsStr) -> Option<&Arc<OsStr>> {
        self.states.get_key_value(name).map(|(name, _)| name)
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

    /// Returns after how many scans the files of a job are examined although its watch reports no
    /// change, at least once in `scans` scans.
    fn scans_left(&mut self, state: Option<&FolderState>, scans: u16) -> u16 {
        let last = scans.saturating_sub(1);
        match state.map(FolderState::scans_left) {
            None => {
                self.next_turn =
                    self.next_turn.checked_add(1).filter(|next| *next <= last).unwrap_or(0);
                self.next_turn
            }
            Some(0) => last,
            Some(left) => left.min(last),
        }
    }

    /// Inspects all folders for the first time. To save memory, the map is built at once: a map that
    /// is filled in order has half-empty nodes.
    fn inspect_first(
        &mut self,
        names: &[OsString],
        watches: &dyn JobWatches,
        now: Timestamp,
    ) -> Vec<Change> {
        let (mut states, mut changes) = (Vec::with_capacity(names.len()), Vec::new());
        for name in names {
            let (state, change) =
                self.inspect_folder(Arc::from(name.as_os_str()), None, watches, now);
            states.extend(state);
            changes.extend(change);
        }
        self.states = states.into_iter().collect();
        changes
    }

    /// Inspects a folder, and records its new state.
    fn inspect(
        &mut self,
        name: &OsStr,
        watches: &dyn JobWatches,
        now: Timestamp,
    ) -> Option<Change> {
        let (name, old) = match self.states.remove_entry(name) {
            Some((name, state)) => (name, Some(state)),
            None => (Arc::from(name), None),
        };
        let (state, change) = self.inspect_folder(name, old, watches, now);
        self.states.extend(state);
        change
    }

    /// Returns the new state of a folder, if it is still a job folder, and what has changed.
    fn inspect_folder(
        &mut self,
        name: Arc<OsStr>,
        old: Option<FolderState>,
        watches: &dyn JobWatches,
        now: Timestamp,
    ) -> (Option<(Arc<OsStr>, FolderState)>, Option<Change>) {
        // Before its files are examined: a change after this call gives the folder another stamp,
        // or causes an event.
        let watched = watches.folder_id(&name).and_then(|id| {
            let folder = self.loader.folder_stamp(&name);
            folder.filter(|folder| folder.id() == id)
        });
        let last = old.as_ref().and_then(FolderState::stamps);
        let scans_left = self.scans_left(old.as_ref(), watches.scans());
        let inspected = self.loader.inspect(&name, last, watched, now);
        let Inspected { mut inspection, folder } = inspected;
        if let Inspection::Valid(job, _) = &mut inspection {
            self.shared.share(job);
        }
        let is_skipped = matches!(inspection, Inspection::Skipped);
        if !is_skipped {
            self.skipped.remove(&*name);
        }
        let (state, change) = apply(old, inspection, now);
        if state.as_ref().is_some_and(|state| state.next_recheck().is_some()) {
            self.unreported.insert(Arc::clone(&name));
        } else {
            self.unreported.remove(&*name);
        }
        if is_skipped && change.is_none() {
            return (None, self.report_skipped(&name));
        }
        let state = state.map(|mut state| {
            state.set_watch(FolderWatch { folder, scans_left });
            (name, state)
        });
        self.has_replaced |= !matches!(change, None | Some(Change::Added(_) | Change::Skipped(_)));
        (state, change)
    }
}

/// Returns whether the active watch of a job shows that its files have not changed.
fn is_unchanged(
    loader: &Loader,
    name: &OsStr,
    state: &mut FolderState,
    watches: &dyn JobWatches,
) -> bool {
    state.pass_scan().is_some_and(|expected| {
        watches.folder_id(name) == Some(expected.id())
            && loader.folder_stamp(name) == Some(expected)
    })
}

#[cfg(test)]
mod tests;
