//! Watches folders with inotify and passes changes on as hints.
//!
//! A hint only says where to check; the disk has the actual state. So no change may go unnoticed,
//! but a change may cause several hints.
//!
//! **Invariants.** Reading a file or listing a folder causes no hint; otherwise each scan would
//! cause the next one. Only the folders themselves are watched, not the folders below them: files
//! created between the creation of a folder and its watch would be missed.
//!
//! **Failure.** If a folder cannot be watched, a [`WatchError`] is returned and the caller must
//! rely on its scans. If events were lost, or a watched folder was removed or moved away, the hint
//! is [`Hint::Everything`]: the receiver must scan all folders and watch each of them again.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
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
    /// The limit of inotify instances may have been reached.
    #[error("cannot watch folders: has fs.inotify.max_user_instances been reached?")]
    Start { source: notify::Error },
    /// The limit of watches has been reached.
    #[error("cannot watch {}: raise fs.inotify.max_user_watches", path.display())]
    Limit { path: PathBuf, source: notify::Error },
    /// The folder does not exist, or its file system cannot be watched.
    #[error("cannot watch {}", path.display())]
    Folder { path: PathBuf, source: notify::Error },
}

impl WatchError {
    /// Returns whether the folder no longer exists.
    pub(crate) fn is_gone(&self) -> bool {
        let WatchError::Folder { source, .. } = self else { return false };
        match &source.kind {
            notify::ErrorKind::PathNotFound => true,
            notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

/// The watched folders, shared with the thread that receives the events.
type SharedFolders = Arc<Mutex<Folders>>;

/// The paths of the watched folders, of which it keeps only a number: the library keeps each path
/// twice. If two paths have the same number, which is practically impossible, the removal of a file
/// may cause an unnecessary scan of all folders.
#[derive(Debug, Default)]
struct Folders {
    numbers: HashSet<u64>,
    /// Those with a file that was written since [`Watcher::take_written`].
    written: HashSet<u64>,
    hasher: RandomState,
}

impl Folders {
    fn insert(&mut self, path: &Path) {
        self.numbers.insert(self.hasher.hash_one(path));
    }

    fn remove(&mut self, path: &Path) {
        self.numbers.remove(&self.hasher.hash_one(path));
    }

    fn contains(&self, path: &Path) -> bool {
        self.numbers.contains(&self.hasher.hash_one(path))
    }

    /// Records that a file was written. This causes no hint, because the write is in progress.
    fn note_written(&mut self, file: &Path) {
        let number = file.parent().map(|folder| self.hasher.hash_one(folder));
        self.written.extend(number.filter(|number| self.numbers.contains(number)));
    }
}

/// Watched folders with a file that was written, and perhaps not closed.
#[derive(Debug, Default)]
pub(crate) struct WrittenFolders {
    numbers: HashSet<u64>,
    hasher: RandomState,
}

impl WrittenFolders {
    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    pub(crate) fn contains(&self, folder: &Path) -> bool {
        self.numbers.contains(&self.hasher.hash_one(folder))
    }
}

/// Watches folders until it is dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    inotify: INotifyWatcher,
    folders: SharedFolders,
}

impl Watcher {
    /// Returns a watcher that passes each hint to `on_hint` on a thread of its own. `on_hint` must
    /// return quickly, because otherwise the kernel's queue of events overflows.
    pub(crate) fn start(
        log: &Logger,
        on_hint: impl Fn(Hint) + Send + 'static,
    ) -> Result<Watcher, WatchError> {
        let folders = SharedFolders::default();
        let (log, known) = (log.clone(), Arc::clone(&folders));
        let handler = move |event: notify::Result<Event>| match event {
            Ok(event) => {
                let mut folders = lock(&known);
                if matches!(event.kind, EventKind::Modify(ModifyKind::Data(_))) {
                    event.paths.iter().for_each(|path| folders.note_written(path));
                }
                hints(&event, &folders).into_iter().for_each(&on_hint);
            }
            Err(error) => {
                warn!(log, "lost inotify events; scanning all folders"; "error" => Chain(&error));
                on_hint(Hint::Everything);
            }
        };
        // If the library cannot start its thread, it returns no error and panics later. Therefore
        // test first whether a thread can be started.
        std::thread::Builder::new()
            .spawn(|| ())
            .map_err(|error| WatchError::Start { source: notify::Error::io(error) })?
            .join()
            .ok();
        let inotify = INotifyWatcher::new(handler, notify::Config::default())
            .map_err(|source| WatchError::Start { source })?;
        Ok(Watcher { inotify, folders })
    }

    /// Watches a folder, without the folders below it. Must be called again for a folder that was
    /// removed and created again.
    pub(crate) fn watch(&mut self, folder: &Path) -> Result<(), WatchError> {
        // Added before it is watched, because it may be removed immediately.
        lock(&self.folders).insert(folder);
        self.inotify.watch(folder, RecursiveMode::NonRecursive).map_err(|source| {
            lock(&self.folders).remove(folder);
            let path = folder.to_owned();
            match source.kind {
                notify::ErrorKind::MaxFilesWatch => WatchError::Limit { path, source },
                _ => WatchError::Folder { path, source },
            }
        })
    }

    /// Returns whether a folder is watched. It may have been removed without the event being read
    /// yet.
    pub(crate) fn has(&self, folder: &Path) -> bool {
        lock(&self.folders).contains(folder)
    }

    /// Returns the folders with files that were written since the last call. The end of a write also
    /// causes a hint, but a truncated file causes none, nor does one that stays open.
    pub(crate) fn take_written(&self) -> WrittenFolders {
        let mut folders = lock(&self.folders);
        let numbers = std::mem::take(&mut folders.written);
        WrittenFolders { numbers, hasher: folders.hasher.clone() }
    }

    /// Stops watching a folder. A folder that is not watched is not an error.
    pub(crate) fn unwatch(&mut self, folder: &Path) {
        lock(&self.folders).remove(folder);
        // This fails if the folder was removed, because its watch was removed with it.
        self.inotify.unwatch(folder).ok();
    }
}

fn lock(folders: &Mutex<Folders>) -> MutexGuard<'_, Folders> {
    folders.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Converts an event to hints.
fn hints(event: &Event, folders: &Folders) -> Vec<Hint> {
    let is_lost = |path: &PathBuf| {
        matches!(name_change(&event.kind), NameChange::Gone) && folders.contains(path)
    };
    if event.need_rescan() || event.paths.iter().any(is_lost) {
        return vec![Hint::Everything];
    }
    match name_change(&event.kind) {
        NameChange::None => Vec::new(),
        NameChange::New | NameChange::Gone => event.paths.iter().cloned().map(Hint::Path).collect(),
    }
}

/// The change of a name that an event reports, ignoring writes in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameChange {
    /// No change: another process reads, or writes and has not finished.
    None,
    /// A name is new, or its file has new content or permissions.
    New,
    /// A name no longer exists.
    Gone,
}

fn name_change(kind: &EventKind) -> NameChange {
    match kind {
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
            NameChange::Gone
        }
        // Separate events have already reported both names of a rename within the folder.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both) | ModifyKind::Data(_)) => {
            NameChange::None
        }
        EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Access(AccessKind::Close(AccessMode::Write)) => NameChange::New,
        EventKind::Access(_) | EventKind::Any | EventKind::Other => NameChange::None,
    }
}

#[cfg(test)]
mod tests;
