//! Group commit: changes of files that share their fsyncs.
//!
//! The disk completes several fsyncs at once in little more time than a single one, because one
//! commit of the file system's journal covers all of them. So the changes of a batch pass through
//! their steps together:
//!
//! 1. write the temporary files
//! 2. fsync them, several at once
//! 3. give the files their names, one after the other, in the order of the batch
//! 4. fsync each folder once, several at once
//! 5. remove the files that were replaced
//!
//! Only the fsyncs run on helper threads. A single change takes the same steps without them.
//!
//! **Failure.** Each change has a result of its own. A change whose step fails takes no further
//! steps, and the others continue. If the fsync of a folder fails, every change that has named a file
//! in it returns this error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::{Context, Disk, DiskError, FsFile, parent};

/// Maximum number of changes that take their steps together: each keeps a file open.
const BATCH_MAX: usize = 128;

/// A change of one file.
#[derive(Debug)]
pub(crate) enum FileChange {
    /// Creates a file; `AlreadyExists` if the name is taken.
    Create { path: PathBuf, bytes: Vec<u8> },
    /// Replaces the content of a file; `NotFound` if another process has moved it away.
    ///
    /// If the file at `path` does not have the inode `expected`, it is kept in the scratch folder.
    Rewrite { path: PathBuf, expected: Option<u64>, bytes: Vec<u8> },
    /// Moves a file, unchanged; `AlreadyExists` if the new name is taken, `NotFound` if the old
    /// name does not exist.
    Rename { from: PathBuf, to: PathBuf },
}

/// A change that is durable.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a displaced file belongs to another process or user and must be kept"]
pub(crate) enum Committed {
    /// A file that was replaced was the expected one, and has been removed.
    Done,
    /// Another file than the expected one was replaced. It is now at this path in the scratch
    /// folder.
    Displaced(PathBuf),
}

impl FileChange {
    /// Returns the name that the change gives to a file.
    fn path(&self) -> &Path {
        match self {
            FileChange::Create { path, .. } | FileChange::Rewrite { path, .. } => path,
            FileChange::Rename { to, .. } => to,
        }
    }
}

/// A change of a batch and how far it has come.
struct Pending<T> {
    tag: T,
    change: FileChange,
    /// The temporary file; after a rewrite, the file that was replaced.
    temporary: Option<PathBuf>,
    error: Option<DiskError>,
}

impl<T> Pending<T> {
    /// Notes the error of a step.
    fn note<R>(&mut self, done: Result<R, DiskError>) -> Option<R> {
        match done {
            Ok(done) => Some(done),
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }
}

impl Disk {
    /// Makes changes durable together. The changes of one call must not depend on each other: they
    /// have different paths, and after a crash each of them has happened or not.
    ///
    /// Returns each change's tag with its result, in the order of the changes.
    pub(crate) fn commit<T>(
        &self,
        changes: Vec<(T, FileChange)>,
    ) -> Vec<(T, Result<Committed, DiskError>)> {
        let mut results = Vec::with_capacity(changes.len());
        let mut changes = changes.into_iter();
        loop {
            let batch: Vec<_> = changes.by_ref().take(BATCH_MAX).collect();
            if batch.is_empty() {
                return results;
            }
            results.extend(self.commit_batch(batch));
        }
    }

    /// Makes a single change durable.
    pub(crate) fn commit_one(&self, change: FileChange) -> Result<Committed, DiskError> {
        let results = self.commit(vec![((), change)]);
        results.into_iter().try_fold(Committed::Done, |_, ((), result)| result)
    }

    fn commit_batch<T>(
        &self,
        changes: Vec<(T, FileChange)>,
    ) -> Vec<(T, Result<Committed, DiskError>)> {
        let pending = |(tag, change)| Pending { tag, change, temporary: None, error: None };
        let mut batch: Vec<Pending<T>> = changes.into_iter().map(pending).collect();
        self.write_temporaries(&mut batch);
        for pending in batch.iter_mut().filter(|pending| pending.error.is_none()) {
            let named = self.name(pending);
            pending.note(named);
        }
        self.sync_new_names(&mut batch);
        batch.into_iter().map(|pending| self.finish(pending)).collect()
    }

    /// Writes the temporary files of a batch, and makes their content durable.
    fn write_temporaries<T>(&self, batch: &mut [Pending<T>]) {
        let mut files = Vec::new();
        for (at, pending) in batch.iter_mut().enumerate() {
            let (FileChange::Create { bytes, .. } | FileChange::Rewrite { bytes, .. }) =
                &pending.change
            else {
                continue;
            };
            let begun = self.begin_temporary(bytes);
            if let Some((temporary, file)) = pending.note(begun) {
                pending.temporary = Some(temporary);
                files.push((at, file));
            }
        }
        let sync = |(at, mut file): (usize, Box<dyn FsFile>)| (at, file.sync());
        for (at, synced) in in_parallel(files, self.fs.syncs_at_once(), sync) {
            let Some(pending) = batch.get_mut(at) else { continue };
            let Some(temporary) = &pending.temporary else { continue };
            if let Err(error) = synced.context("write", temporary) {
                self.remove_temporary(temporary);
                (pending.temporary, pending.error) = (None, Some(error));
            }
        }
    }

    /// Gives the file of a change its name.
    fn name<T>(&self, pending: &mut Pending<T>) -> Result<(), DiskError> {
        let temporary = pending.temporary.take();
        match (&pending.change, temporary) {
            (FileChange::Rename { from, to }, _) => {
                self.rename_no_replace(from, to).context("move", from)
            }
            (FileChange::Create { path, .. }, Some(temporary)) => {
                let created = self.rename_no_replace(&temporary, path).context("create", path);
                if created.is_err() {
                    self.remove_temporary(&temporary);
                }
                created
            }
            (FileChange::Rewrite { path, expected, .. }, Some(temporary)) => {
                pending.temporary = Some(self.replace(path, *expected, temporary)?);
                Ok(())
            }
            // Its content could not be written, so this step is not reached.
            (FileChange::Create { .. } | FileChange::Rewrite { .. }, None) => Ok(()),
        }
    }

    /// Replaces a file by a temporary one; returns the path of the file that was replaced.
    fn replace(
        &self,
        path: &Path,
        expected: Option<u64>,
        mut temporary: PathBuf,
    ) -> Result<PathBuf, DiskError> {
        if let Some(expected) = expected {
            temporary = self.record_inodes(&temporary, path, expected)?;
        }
        match self.exchange(&temporary, path, expected).context("rewrite", path) {
            Ok(()) => Ok(temporary),
            Err(error) => {
                self.remove_temporary(&temporary);
                Err(error)
            }
        }
    }

    /// Makes the new names of a batch durable: each folder is synced once.
    fn sync_new_names<T>(&self, batch: &mut [Pending<T>]) {
        let named = batch.iter().filter(|pending| pending.error.is_none());
        let folders: BTreeSet<&Path> =
            named.filter_map(|pending| parent(pending.change.path())).collect();
        let folders: Vec<PathBuf> = folders.into_iter().map(Path::to_owned).collect();
        let sync = |folder: PathBuf| {
            let synced = self.sync_names(&folder);
            (folder, synced)
        };
        let synced = in_parallel(folders, self.fs.syncs_at_once(), sync);
        let failed: BTreeMap<PathBuf, DiskError> = synced
            .into_iter()
            .filter_map(|(folder, synced)| synced.err().map(|error| (folder, error)))
            .collect();
        for pending in batch.iter_mut().filter(|pending| pending.error.is_none()) {
            let folder = parent(pending.change.path());
            pending.error = folder.and_then(|folder| failed.get(folder)).map(DiskError::copy);
        }
    }

    /// Removes the file that a rewrite replaced; returns the result of the change.
    fn finish<T>(&self, pending: Pending<T>) -> (T, Result<Committed, DiskError>) {
        let Pending { tag, change, temporary, error } = pending;
        let replaced = match (&change, &temporary) {
            (FileChange::Rewrite { expected, .. }, Some(replaced)) => {
                self.remove_replaced(replaced, *expected)
            }
            _ => Ok(Committed::Done),
        };
        (tag, error.map_or(replaced, Err))
    }

    /// Removes the file that was exchanged with a temporary one, unless it has another inode than
    /// `expected`.
    fn remove_replaced(
        &self,
        temporary: &Path,
        expected: Option<u64>,
    ) -> Result<Committed, DiskError> {
        let old = self.find(temporary)?.map(|meta| meta.stamp.inode);
        if old.is_some() && expected.is_some() && old != expected {
            return Ok(Committed::Displaced(temporary.to_owned()));
        }
        self.remove_temporary(temporary);
        Ok(Committed::Done)
    }
}

/// Passes each item to `work`, on at most `threads` threads, this one included; returns the results
/// in the order of the items.
fn in_parallel<T: Send, R: Send>(
    items: Vec<T>,
    threads: usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = threads.min(items.len());
    if threads <= 1 {
        return items.into_iter().map(work).collect();
    }
    let (items, results) = (Mutex::new(items.into_iter().enumerate()), Mutex::new(Vec::new()));
    let serve = || {
        loop {
            let next = lock(&items).next();
            let Some((at, item)) = next else { break };
            let result = work(item);
            lock(&results).push((at, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            let helper = thread::Builder::new().name("sync".to_owned());
            if helper.spawn_scoped(scope, serve).is_err() {
                // Fewer threads only take longer.
                break;
            }
        }
        serve();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
