//! Folders watched by inotify, told on as hints.
//!
//! A hint says "look there": what is true is on the disk. What matters is
//! therefore that no change is silent, not that each is told once.
//!
//! **Invariants.** Reading a file or listing a folder makes no hint, or each look
//! would cause the next one. Only the folders themselves are watched, never what
//! is below them: between a new folder and the watch on it, files would be missed.
//!
//! **Failure.** What cannot be watched is a [`WatchError`], and the caller lives
//! by its scans alone. When events were lost, or a watched folder was removed or
//! moved away, the hint is [`Hint::Everything`]: whoever hears it looks
//! everywhere, and watches each of its folders again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, INotifyWatcher, RecursiveMode, Watcher as _};
use slog::{Logger, warn};

use crate::chain::Chain;
use crate::wake::Hint;

/// Why a folder is not watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    /// The system gives no inotify instance.
    #[error("cannot watch folders: is fs.inotify.max_user_instances used up?")]
    Start { source: notify::Error },
    /// The user has as many watches as the system allows.
    #[error("cannot watch {}: raise fs.inotify.max_user_watches", path.display())]
    Limit { path: PathBuf, source: notify::Error },
    /// The folder is not there, or its file system cannot be watched.
    #[error("cannot watch {}", path.display())]
    Folder { path: PathBuf, source: notify::Error },
}

impl WatchError {
    /// Returns whether the folder does not exist any more.
    pub(crate) fn is_gone(&self) -> bool {
        let WatchError::Folder { source, .. } = self else { return false };
        match &source.kind {
            notify::ErrorKind::PathNotFound => true,
            notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

/// The folders that are watched, shared with the thread that hears the events.
type Folders = Arc<Mutex<HashSet<PathBuf>>>;

/// Watches folders as long as it lives.
#[derive(Debug)]
pub(crate) struct Watcher {
    inotify: INotifyWatcher,
    folders: Folders,
}

impl Watcher {
    /// Returns a watcher that gives each hint to `hear`, on a thread of its own:
    /// `hear` must be quick, or the system's queue of events overflows.
    ///
    /// # Errors
    /// There is no inotify to be had: the caller must scan.
    pub(crate) fn start(
        log: &Logger,
        hear: impl Fn(Hint) + Send + 'static,
    ) -> Result<Watcher, WatchError> {
        let folders = Folders::default();
        let (log, known) = (log.clone(), Arc::clone(&folders));
        let handler = move |event: notify::Result<Event>| match event {
            Ok(event) => hints(&event, &lock(&known)).into_iter().for_each(&hear),
            Err(error) => {
                warn!(log, "lost events of watched folders"; "error" => Chain(&error));
                hear(Hint::Everything);
            }
        };
        // The library does not report that its thread cannot be started, and would panic later. So a
        // thread is tried first.
        std::thread::Builder::new()
            .spawn(|| ())
            .map_err(|error| WatchError::Start { source: notify::Error::io(error) })?
            .join()
            .ok();
        let inotify = INotifyWatcher::new(handler, notify::Config::default())
            .map_err(|source| WatchError::Start { source })?;
        Ok(Watcher { inotify, folders })
    }

    /// Watches a folder, not what is below it; done again, it takes up a folder that was made anew.
    ///
    /// # Errors
    /// The folder is not watched: the caller must scan it.
    pub(crate) fn watch(&mut self, folder: &Path) -> Result<(), WatchError> {
        // Known before it is watched: it may be removed at once.
        lock(&self.folders).insert(folder.to_owned());
        self.inotify.watch(folder, RecursiveMode::NonRecursive).map_err(|source| {
            lock(&self.folders).remove(folder);
            let path = folder.to_owned();
            match source.kind {
                notify::ErrorKind::MaxFilesWatch => WatchError::Limit { path, source },
                _ => WatchError::Folder { path, source },
            }
        })
    }

    /// Returns whether a folder is watched, as far as is known.
    pub(crate) fn has(&self, folder: &Path) -> bool {
        lock(&self.folders).contains(folder)
    }

    /// Watches a folder no longer; that it is not watched is no error.
    pub(crate) fn unwatch(&mut self, folder: &Path) {
        lock(&self.folders).remove(folder);
        // It fails where there is nothing to end: the folder is gone, and its watch with it.
        self.inotify.unwatch(folder).ok();
    }
}

fn lock(folders: &Mutex<HashSet<PathBuf>>) -> MutexGuard<'_, HashSet<PathBuf>> {
    folders.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells where an event makes it worth looking.
fn hints(event: &Event, folders: &HashSet<PathBuf>) -> Vec<Hint> {
    let lost = |path: &PathBuf| matches!(news(&event.kind), News::Gone) && folders.contains(path);
    if event.need_rescan() || event.paths.iter().any(lost) {
        return vec![Hint::Everything];
    }
    match news(&event.kind) {
        News::None => Vec::new(),
        News::Look | News::Gone => event.paths.iter().cloned().map(Hint::Path).collect(),
    }
}

/// What an event means to somebody who does not read what is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// Nothing: somebody looks, or writes and has not finished.
    None,
    /// A name is new or stands for something new.
    Look,
    /// A name is gone.
    Gone,
}

fn news(kind: &EventKind) -> News {
    match kind {
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => News::Gone,
        // Both names of a rename within the folder were told one by one before.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both) | ModifyKind::Data(_)) => News::None,
        EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Access(AccessKind::Close(AccessMode::Write)) => News::Look,
        EventKind::Access(_) | EventKind::Any | EventKind::Other => News::None,
    }
}

#[cfg(test)]
mod tests;
