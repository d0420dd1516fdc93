//! The inotify watches: on the folders that a stage acts on, on `action/done`, and on the jobs.
//!
//! **Invariant.** Watches are restored before a full scan, never after: the scan finds what changed
//! while a folder was not watched, and later changes cause events.
//!
//! **Failure.** Folders that cannot be watched are covered by the periodic scans alone, which is
//! logged once. Each scan tries again to watch them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use slog::{Logger, info, warn};

use super::Event;
use super::job_calendar::JobCalendar;
use super::watched_jobs::{Watched, WatchedJobs};
use crate::chain::Chain;
use crate::disk::{Disk, FileId};
use crate::spool::{Folder, Spool};
use crate::watch::{WatchError, Watcher};

/// Number of folders that are always watched: six of the spool, and the jobs folder.
const FIXED: usize = 7;

/// Which watches are new.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NewWatches {
    /// That of `action/done`.
    pub(super) done: bool,
    /// That of a job.
    pub(super) jobs: bool,
}

/// The watches, if the system grants any.
#[derive(Debug)]
pub(super) struct Watches {
    log: Logger,
    /// The jobs folder.
    runners: PathBuf,
    /// Time between two full scans, for the log.
    check_span: Duration,
    watcher: Option<Watcher>,
    /// The folders that are always watched, each with its identity when the watch was set.
    fixed: BTreeMap<PathBuf, FileId>,
    jobs: WatchedJobs,
    /// Whether it was logged that the limit of watches is reached or that inotify is unavailable.
    is_limit_logged: bool,
    /// The folders for which a failure was logged.
    logged: BTreeSet<PathBuf>,
}

impl Watches {
    /// Returns no watches yet; `runners` is the jobs folder.
    pub(super) fn new(log: Logger, runners: PathBuf, check_span: Duration) -> Watches {
        let jobs = WatchedJobs::new(runners.clone(), check_span);
        Watches {
            log,
            runners,
            check_span,
            watcher: None,
            fixed: BTreeMap::new(),
            jobs,
            is_limit_logged: false,
            logged: BTreeSet::new(),
        }
    }

    /// Forgets all watches, so that the next restore sets each of them again: a folder that was
    /// removed and created again is another folder.
    pub(super) fn discard(&mut self) {
        self.fixed.clear();
        for name in self.jobs.take() {
            if let Some(watcher) = &mut self.watcher {
                watcher.unwatch(&self.runners.join(&*name));
            }
        }
    }

    /// Returns the watches on the jobs.
    pub(super) fn jobs(&self) -> &WatchedJobs {
        &self.jobs
    }

    /// Sets the watches that are missing. The caller scans everything afterwards.
    pub(super) fn restore(
        &mut self,
        spool: &Spool,
        calendar: &JobCalendar,
        events: &Sender<Event>,
    ) -> NewWatches {
        if self.watcher.is_none() {
            let events = events.clone();
            let started = Watcher::start(&self.log, move |hint| {
                events.send(Event::Hint(hint)).ok();
            });
            match started {
                Ok(watcher) => self.watcher = Some(watcher),
                Err(error) => {
                    self.log_failure(&error);
                    return NewWatches::default();
                }
            }
        }
        if let Some(watcher) = &self.watcher {
            self.jobs.set_written(watcher.take_written());
        }
        let (disk, layout) = (spool.disk(), spool.layout());
        let is_watched = |folder: &Folder| folder.is_active() || *folder == Folder::ActionDone;
        let mut folders: Vec<PathBuf> = Folder::ALL
            .into_iter()
            .filter(is_watched)
            .map(|folder| layout.folder(folder))
            .chain([self.runners.clone()])
            .collect();
        // A folder that was replaced is no longer watched. If its parent was moved away, there was
        // no event.
        folders.retain(|folder| {
            let identity = identity(disk, folder);
            identity.is_none() || identity.as_ref() != self.fixed.get(folder)
        });
        let mut is_done_new = false;
        for folder in folders {
            let identity = identity(disk, &folder);
            if let (Ok(()), Some(identity)) = (self.watch(&folder), identity) {
                is_done_new |= layout.folder(Folder::ActionDone) == folder;
                self.fixed.insert(folder, identity);
            }
        }
        let jobs = self.watch_jobs(spool.disk(), calendar, None);
        self.log_restored(calendar);
        NewWatches { done: is_done_new, jobs: !jobs.is_empty() }
    }

    /// Logs that all folders are watched again, if it was logged that some are not.
    fn log_restored(&mut self, calendar: &JobCalendar) {
        let Some(watcher) = &self.watcher else { return };
        self.logged.retain(|folder| !watcher.has(folder));
        let is_complete =
            self.fixed.len() == FIXED && calendar.folders().count() == self.jobs.len();
        if is_complete && std::mem::take(&mut self.is_limit_logged) {
            info!(self.log, "watching all folders again");
        }
    }

    /// Watches the folders of all jobs, or of the job that `path` leads into, including jobs that
    /// are not complete yet; returns those that were not watched before.
    pub(super) fn watch_jobs(
        &mut self,
        disk: &Disk,
        calendar: &JobCalendar,
        path: Option<&Path>,
    ) -> Vec<PathBuf> {
        if self.watcher.is_none() {
            return Vec::new();
        }
        // Old watches are removed first, to make room for new ones.
        let (gone, new): (Vec<Arc<OsStr>>, Vec<Arc<OsStr>>) = self
            .differing(calendar, path)
            .into_iter()
            .partition(|name| self.jobs.get(name).is_some());
        for name in gone {
            self.jobs.remove(&name);
            if let Some(watcher) = &mut self.watcher {
                watcher.unwatch(&self.runners.join(&*name));
            }
        }
        let mut folders = Vec::new();
        for name in new {
            let folder = self.runners.join(&*name);
            // Before the watch: if another folder takes the name meanwhile, the identities differ,
            // and scans examine the job's files.
            let watched = watched(disk, &folder);
            match self.watch(&folder) {
                Ok(()) => {
                    self.jobs.insert(name, watched);
                    folders.push(folder);
                }
                // Every other folder would fail in the same way.
                Err(WatchError::Limit { .. }) => break,
                Err(WatchError::Start { .. } | WatchError::Folder { .. }) => {}
            }
        }
        if path.is_none() && !folders.is_empty() {
            self.jobs.compact();
        }
        folders
    }

    /// Returns the names of folders that are watched but no longer exist, or not watched yet: all of
    /// them, or the one that `path` leads into.
    fn differing(&self, calendar: &JobCalendar, path: Option<&Path>) -> BTreeSet<Arc<OsStr>> {
        let below = match path.map(|path| path.strip_prefix(&self.runners)) {
            Some(Err(_)) => return BTreeSet::new(),
            Some(Ok(below)) => below.components().next(),
            None => None,
        };
        let watched = &self.jobs;
        let differs =
            |name: &&Arc<OsStr>| calendar.folder(name).is_some() != watched.get(name).is_some();
        // Few of many jobs differ. After a change in one folder, only its job can differ.
        match below {
            Some(name) => {
                let name = name.as_os_str();
                let names = [calendar.folder(name), watched.get(name)].into_iter().flatten();
                names.filter(differs).cloned().collect()
            }
            // Usually both lists are equal, which a single comparison shows.
            None if calendar.folders().eq(watched.names()) => BTreeSet::new(),
            None => {
                let names = calendar.folders().chain(watched.names());
                names.filter(differs).cloned().collect()
            }
        }
    }

    /// Returns whether one of the folders that are always watched is watched now.
    pub(super) fn has(&self, folder: &Path) -> bool {
        self.fixed.contains_key(folder)
    }

    /// Watches a folder, and logs a failure.
    fn watch(&mut self, folder: &Path) -> Result<(), WatchError> {
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        let watched = watcher.watch(folder);
        if let Err(error) = &watched
            // A folder that has just been removed is not a fault.
            && !error.is_gone()
        {
            self.log_failure(error);
        }
        watched
    }

    /// Logs that a folder or all folders cannot be watched, once until they are watched again.
    fn log_failure(&mut self, error: &WatchError) {
        let is_new = match error {
            WatchError::Start { .. } | WatchError::Limit { .. } => {
                !std::mem::replace(&mut self.is_limit_logged, true)
            }
            WatchError::Folder { path, .. } => self.logged.insert(path.clone()),
        };
        if is_new {
            warn!(self.log, "cannot watch for changes; relying on periodic scans";
                "error" => Chain(error), "scan_interval_s" => self.check_span.as_secs());
        }
    }
}

/// Returns what a name in the jobs folder leads to.
///
/// When a file system is unmounted, the watch of its mount point ends without an event. When the file
/// system is mounted again, the folder has the same identity, so the lost watch cannot be detected.
fn watched(disk: &Disk, folder: &Path) -> Watched {
    match disk.folder_stamp(folder) {
        Some(_) if !disk.is_local(folder) => Watched::Shared,
        Some(found) if !disk.is_mounted(folder) => Watched::Folder(found.id()),
        Some(_) | None => identity(disk, folder).map_or(Watched::Shared, Watched::Alias),
    }
}

/// Returns the identity of a folder, which another folder of the same name does not have.
fn identity(disk: &Disk, folder: &Path) -> Option<FileId> {
    disk.file_id(folder).ok().flatten()
}
