//! The runner's lock on its spool.
//!
//! A lock belongs to a file, not to its name. If another file system is mounted over the spool, or
//! the spool is moved away, the runner still has a lock, but on a file that no path leads to.
//! Therefore the daemon checks in each turn of its loop that the path still leads to the locked
//! file, and the spool checks it before it creates a run or applies a transition that changes the
//! record.

use std::io;

use slog::warn;

use super::{Folder, Layout, Spool, SpoolError, mark_as_spool};
use crate::disk::{Disk, FileId, PathLock, PathState};

/// The lock on a spool, with the identity of the locked folder.
#[derive(Debug)]
pub(super) struct SpoolLock {
    root: Option<FileId>,
    file: PathLock,
}

impl SpoolLock {
    /// Locks a folder that is marked as a spool; `Locked` if another runner has the lock.
    pub(super) fn take(disk: &Disk, layout: &Layout) -> Result<SpoolLock, SpoolError> {
        let file = lock(disk, layout)?;
        Ok(SpoolLock { root: disk.file_id(layout.root())?, file })
    }
}

fn lock(disk: &Disk, layout: &Layout) -> Result<PathLock, SpoolError> {
    PathLock::acquire(disk, &layout.lock()).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => SpoolError::Locked { path: layout.root().to_owned() },
        _ => SpoolError::Disk { source: error },
    })
}

impl Spool {
    /// Checks that the path of the lock file leads to the file that this runner has locked;
    /// `Replaced` if not.
    pub(super) fn check_lock(&self) -> Result<(), SpoolError> {
        match self.lock.file.state(&self.disk)? {
            PathState::Unchanged => Ok(()),
            PathState::Replaced | PathState::Missing => {
                Err(SpoolError::Replaced { path: self.layout.root().to_owned() })
            }
        }
    }

    /// Checks that the spool is the one that was opened and locked, and recreates and locks a lock
    /// file that was removed.
    ///
    /// # Errors
    /// `Replaced` if the spool was replaced, `Locked` if another runner has locked it.
    pub(crate) fn ensure_locked(&mut self) -> Result<(), SpoolError> {
        if self.check_lock().is_ok() {
            return Ok(());
        }
        if self.disk.file_id(self.layout.root())? != self.lock.root {
            return Err(SpoolError::Replaced { path: self.layout.root().to_owned() });
        }
        mark_as_spool(&self.disk, &self.layout)?;
        self.lock.file = lock(&self.disk, &self.layout)?;
        let path = self.layout.lock();
        warn!(self.log, "lock file was missing or replaced; locked a new one";
            "path" => %path.display());
        Ok(())
    }

    /// Recreates folders that were removed; returns whether any was missing. Errors are those of
    /// [`Spool::ensure_locked`].
    pub(crate) fn restore_folders(&mut self) -> Result<bool, SpoolError> {
        self.ensure_locked()?;
        let mut any_missing = false;
        for folder in Folder::ALL.map(|folder| self.layout.folder(folder)) {
            if self.disk.find(&folder)?.is_none() {
                self.disk.make_folders(&folder)?;
                warn!(self.log, "recreated missing folder"; "path" => %folder.display());
                any_missing = true;
            }
        }
        Ok(any_missing)
    }
}

#[cfg(test)]
mod tests {
    use crate::disk::{Fs, RealFs};
    use crate::spool::SpoolError;
    use crate::spool::testing::{open, record, spool};

    #[test]
    fn replaced_spool_is_not_written() {
        let (folder, mut spool) = spool();
        spool.ensure_locked().unwrap();
        let (path, away) = (folder.path().join("spool"), folder.path().join("away"));
        RealFs.rename(&path, &away).unwrap();
        let replaced = |result| matches!(result, Err(SpoolError::Replaced { .. }));
        // First no folder at all, then an empty one, then the spool of another runner.
        assert!(replaced(spool.ensure_locked()));
        RealFs.make_folder(&path).unwrap();
        assert!(replaced(spool.restore_folders().map(drop)));
        assert!(RealFs.list(&path).unwrap().is_empty());
        let other = open(folder.path()).unwrap();
        assert!(replaced(spool.ensure_locked()));
        assert!(replaced(spool.launch(record("a.20261122T041500Z")).map(drop)));
        let run = other.launch(record("b.20261122T041500Z")).unwrap();
        let moved = spool.apply(run, super::super::Transition::Refused, |_| {});
        assert!(replaced(moved.map(drop)));
        drop(other);
        // The original spool is back.
        RealFs.rename(&path, &folder.path().join("other")).unwrap();
        RealFs.rename(&away, &path).unwrap();
        spool.ensure_locked().unwrap();
        drop(spool.launch(record("a.20261122T041500Z")).unwrap());
    }

    #[test]
    fn missing_lock_file_is_recreated_and_locked() {
        let (folder, mut spool) = spool();
        let mark = spool.layout().lock();
        RealFs.unlink(&mark).unwrap();
        assert!(matches!(
            spool.launch(record("a.20261122T041500Z")),
            Err(SpoolError::Replaced { .. })
        ));
        spool.ensure_locked().unwrap();
        drop(spool.launch(record("a.20261122T041500Z")).unwrap());
        assert!(matches!(open(folder.path()), Err(SpoolError::Locked { .. })));
        // Another runner was faster.
        RealFs.unlink(&mark).unwrap();
        super::mark_as_spool(&spool.disk, &spool.layout).unwrap();
        let other = spool.disk().lock(&mark).unwrap();
        assert!(matches!(spool.ensure_locked(), Err(SpoolError::Locked { .. })));
        drop(other);
        crate::testing::retried(|| spool.ensure_locked(), |_| true).unwrap();
    }
}
