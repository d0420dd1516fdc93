//! What the engine watches: the folders that a stage acts on, `action/done`, and the jobs.
//!
//! **Invariant.** Watches are restored before everything is looked at, never after: what changed while
//! a folder was not watched is found by that look, and later changes cause events.
//!
//! **Failure.** Where nothing can be watched, the scans alone carry on, and the log says so once. Each
//! scan tries again to watch what is not watched.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use jiff::Timestamp;
use slog::{info, warn};

use super::engine::Engine;
use super::{DaemonError, Event};
use crate::chain::Chain;
use crate::disk::FileId;
use crate::spool::{Folder, SpoolError};
use crate::wake::Hint;
use crate::watch::{WatchError, Watcher};

/// How many folders are always watched: six of the spool, and that of the jobs.
const FIXED: usize = 7;

/// The watches, if there are any.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    watcher: Option<Watcher>,
    /// The folders that are always watched, each with what it was then.
    fixed: BTreeMap<PathBuf, FileId>,
    /// The names of the jobs' folders that are watched.
    jobs: BTreeSet<OsString>,
    /// Whether the log says that the limit of watches is reached or inotify is missing.
    is_limited: bool,
    /// The folders of which the log says that they are not watched.
    told: BTreeSet<PathBuf>,
}

impl Engine {
    /// Begins to watch: before the first look, so that nothing is missed between the two.
    pub(crate) fn watch(&mut self, events: Sender<Event>) {
        self.events = Some(events);
        self.restore_watches();
    }

    /// Does what a hint asks for.
    pub(crate) fn hear(&mut self, hint: &Hint) {
        match hint {
            Hint::Path(path) => self.look_where(path),
            Hint::Everything => {
                self.distrust_watches();
                self.review.renew();
                self.look_everywhere(self.parts.clock.now());
            }
        }
    }

    /// Has everything watched again: a folder that was removed and made again is another one.
    fn distrust_watches(&mut self) {
        self.watches.fixed.clear();
        let runners = self.runners();
        for name in std::mem::take(&mut self.watches.jobs) {
            if let Some(watcher) = &mut self.watches.watcher {
                watcher.unwatch(&runners.join(name));
            }
        }
    }

    /// Watches what should be watched and is not. The caller looks at everything afterwards.
    fn restore_watches(&mut self) {
        let Some(events) = self.events.clone() else { return };
        if self.watches.watcher.is_none() {
            let started = Watcher::start(&self.parts.log, move |hint| {
                events.send(Event::Hint(hint)).ok();
            });
            match started {
                Ok(watcher) => self.watches.watcher = Some(watcher),
                Err(error) => return self.scans_alone(&error),
            }
        }
        let watched = |folder: &Folder| folder.is_active() || *folder == Folder::ActionDone;
        let layout = self.parts.spool.layout();
        let mut folders: Vec<PathBuf> = Folder::ALL
            .into_iter()
            .filter(watched)
            .map(|folder| layout.folder(folder))
            .chain([self.runners()])
            .collect();
        // A folder that was replaced is no longer watched. There is no event for that if its parent
        // was moved away.
        folders.retain(|folder| {
            let there = self.identity(folder);
            there.is_none() || there.as_ref() != self.watches.fixed.get(folder)
        });
        for folder in folders {
            let identity = self.identity(&folder);
            if let (Ok(()), Some(identity)) = (self.watch_folder(&folder), identity) {
                if self.parts.spool.layout().folder(Folder::ActionDone) == folder {
                    self.review.renew();
                }
                self.watches.fixed.insert(folder, identity);
            }
        }
        let _jobs = self.watch_jobs(None);
        self.tell_restored();
    }

    /// Returns the identity of a folder, which another folder of the same name does not have.
    fn identity(&self, folder: &Path) -> Option<FileId> {
        self.parts.spool.disk().file_id(folder).ok().flatten()
    }

    /// Logs that all folders are watched again.
    fn tell_restored(&mut self) {
        let watches = &mut self.watches;
        let Some(watcher) = &watches.watcher else { return };
        watches.told.retain(|folder| !watcher.has(folder));
        let is_complete = watches.fixed.len() == FIXED
            && self.parts.calendar.folders().count() == watches.jobs.len();
        if is_complete && std::mem::take(&mut watches.is_limited) {
            info!(self.parts.log, "folders are watched again");
        }
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
        // Old watches are removed first, to make room for new ones.
        let (gone, new): (Vec<OsString>, Vec<OsString>) =
            differing.into_iter().partition(|name| watched.contains(name));
        for name in gone {
            self.watches.jobs.remove(&name);
            if let Some(watcher) = &mut self.watches.watcher {
                watcher.unwatch(&runners.join(&name));
            }
        }
        let mut folders = Vec::new();
        for name in new {
            let folder = runners.join(&name);
            match self.watch_folder(&folder) {
                Ok(()) => {
                    self.watches.jobs.insert(name);
                    folders.push(folder);
                }
                // It is the same for every other folder.
                Err(WatchError::Limit { .. }) => break,
                Err(WatchError::Start { .. } | WatchError::Folder { .. }) => {}
            }
        }
        folders
    }

    /// Returns whether changes in a folder cause hints.
    pub(super) fn is_watched(&self, folder: &Path) -> bool {
        self.watches.fixed.contains_key(folder)
    }

    /// Watches a folder, and says in the log if that fails.
    fn watch_folder(&mut self, folder: &Path) -> Result<(), WatchError> {
        let Some(watcher) = &mut self.watches.watcher else { return Ok(()) };
        let watched = watcher.watch(folder);
        if let Err(error) = &watched
            // A folder that was removed a moment ago is not a fault.
            && !error.is_gone()
        {
            self.scans_alone(error);
        }
        watched
    }

    /// Says that something is not watched, once until it is.
    fn scans_alone(&mut self, error: &WatchError) {
        let is_news = match error {
            WatchError::Start { .. } | WatchError::Limit { .. } => {
                !std::mem::replace(&mut self.watches.is_limited, true)
            }
            WatchError::Folder { path, .. } => self.watches.told.insert(path.clone()),
        };
        if is_news {
            warn!(self.parts.log, "cannot watch, changes are found by scans alone";
                "error" => Chain(error), "check_s" => self.parts.settings.check_span.as_secs());
        }
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
        // Also where no run is due: the runner's own old files may be what fills the disk.
        self.look_for_room();
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
        if self.mend() {
            // The watched folders are gone as well.
            self.distrust_watches();
        }
        self.restore_watches();
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
