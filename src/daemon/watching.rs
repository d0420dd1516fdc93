//! What the engine watches: the folders that a stage acts on, and the jobs.
//!
//! **Failure.** Where nothing can be watched, the scans alone carry on, and the
//! log says so once.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use jiff::Timestamp;
use slog::warn;

use super::engine::Engine;
use super::{DaemonError, Event};
use crate::chain::Chain;
use crate::spool::{Folder, SpoolError};
use crate::watch::{WatchError, Watcher};

/// The watches, if there are any.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    watcher: Option<Watcher>,
    /// The names of the jobs' folders that are watched.
    jobs: BTreeSet<OsString>,
    /// It was told that there are no more watches to be had.
    told: bool,
}

impl Engine {
    /// Begins to watch: before the first look, so that nothing is missed between the two.
    pub(crate) fn watch(&mut self, events: Sender<Event>) {
        let started = Watcher::start(&self.parts.log, move |hint| {
            events.send(Event::Hint(hint)).ok();
        });
        match started {
            Ok(watcher) => self.watches.watcher = Some(watcher),
            Err(error) => self.scans_alone(&error),
        }
        self.rewatch();
    }

    /// Watches everything again: a folder that was removed and made again is another one.
    pub(crate) fn rewatch(&mut self) {
        let spool = Folder::ALL.into_iter().filter(|folder| folder.is_active());
        let mut folders: Vec<PathBuf> =
            spool.map(|folder| self.parts.spool.layout().folder(folder)).collect();
        folders.push(self.runners());
        for folder in folders {
            self.watch_folder(&folder);
        }
        let runners = self.runners();
        for name in std::mem::take(&mut self.watches.jobs) {
            if let Some(watcher) = &mut self.watches.watcher {
                watcher.unwatch(&runners.join(name));
            }
        }
        // Whoever watches everything again looks at everything afterwards.
        let _jobs = self.watch_jobs(None);
    }

    /// Watches the folders of all jobs, or of the one that a path leads into, also of those that are
    /// not complete yet; returns those that were not watched before.
    pub(super) fn watch_jobs(&mut self, path: Option<&Path>) -> Vec<PathBuf> {
        if self.watches.watcher.is_none() {
            return Vec::new();
        }
        let runners = self.runners();
        let below = match path.map(|path| path.strip_prefix(&runners)) {
            Some(Err(_)) => return Vec::new(),
            Some(Ok(below)) => below.components().next(),
            None => None,
        };
        let (calendar, watched) = (&self.parts.calendar, &self.watches.jobs);
        let differs = |name: &&OsStr| calendar.has_folder(name) != watched.contains(*name);
        // Of ten thousand jobs hardly any differs, and where one has changed only that one can.
        let differing: BTreeSet<OsString> = match below {
            Some(name) => {
                Some(name.as_os_str()).filter(differs).map(OsStr::to_owned).into_iter().collect()
            }
            // Most often all are as they were, which shows at one look at each.
            None if calendar.folders().eq(watched.iter().map(OsString::as_os_str)) => {
                return Vec::new();
            }
            None => {
                let names = calendar.folders().chain(watched.iter().map(OsString::as_os_str));
                names.filter(differs).map(OsStr::to_owned).collect()
            }
        };
        let mut new = Vec::new();
        for name in differing {
            let folder = runners.join(&name);
            if self.watches.jobs.remove(&name) {
                if let Some(watcher) = &mut self.watches.watcher {
                    watcher.unwatch(&folder);
                }
            } else {
                self.watch_folder(&folder);
                self.watches.jobs.insert(name);
                new.push(folder);
            }
        }
        new
    }

    fn watch_folder(&mut self, folder: &Path) {
        let Some(watcher) = &mut self.watches.watcher else { return };
        match watcher.watch(folder) {
            // It was removed meanwhile: there is nothing to watch.
            Err(error) if error.is_gone() => {}
            Err(error) => self.scans_alone(&error),
            Ok(()) => {}
        }
    }

    fn scans_alone(&mut self, error: &WatchError) {
        if matches!(error, WatchError::Limit { .. })
            && std::mem::replace(&mut self.watches.told, true)
        {
            // It is the same for every folder.
            return;
        }
        warn!(self.parts.log, "cannot watch, changes are found by scans alone";
            "error" => Chain(error), "check_s" => self.parts.settings.check_span.as_secs());
    }

    fn runners(&self) -> PathBuf {
        self.parts.settings.directory.join("runners")
    }

    /// Reads everything for the first time.
    pub(crate) fn begin(&mut self) -> Result<(), DaemonError> {
        let now = self.parts.clock.now();
        self.compare_clock(now).map_err(SpoolError::from)?;
        self.parts.calendar.begin(&self.parts.spool, now, &self.parts.log)?;
        for folder in self.watch_jobs(None) {
            self.look_at_jobs(Some(&folder), now);
        }
        for job in self.parts.calendar.names() {
            self.adopt(&job);
        }
        self.scan();
        self.has_begun = true;
        Ok(())
    }

    /// Looks at all jobs and at the whole spool.
    pub(crate) fn look_everywhere(&mut self, now: Timestamp) {
        if now < self.looked {
            // What was put off by the clock as it was would wait until that time is there again.
            warn!(self.parts.log, "the clock was set back: all that waits is tried";
                "from" => %self.looked);
            self.try_all_now();
        }
        self.looked = now;
        self.look_at_jobs(None, now);
        self.scan();
    }

    /// Looks where a hint leads.
    pub(crate) fn look_where(&mut self, path: &Path) {
        if !self.look_at_path(path) {
            self.look_at_jobs(Some(path), self.parts.clock.now());
        }
    }
}
