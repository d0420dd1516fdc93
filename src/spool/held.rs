//! The runner's hold on its spool: it ends when another file system is mounted over the spool, or
//! the spool is moved away, because the lock is then on something that no path leads to.

use std::io;

use slog::warn;

use super::{Folder, Layout, Spool, SpoolError, found};
use crate::disk::{Disk, FileId, PathLock, PathState};

/// What the runner holds.
#[derive(Debug)]
pub(super) struct Held {
    /// Which folder the spool is.
    root: Option<FileId>,
    mark: PathLock,
}

impl Held {
    /// Locks a spool that is marked as one.
    ///
    /// # Errors
    /// Another runner has it, or the disk does not do what it is asked.
    pub(super) fn take(disk: &Disk, layout: &Layout) -> Result<Held, SpoolError> {
        let mark = lock(disk, layout)?;
        Ok(Held { root: disk.file_id(layout.root())?, mark })
    }
}

fn lock(disk: &Disk, layout: &Layout) -> Result<PathLock, SpoolError> {
    PathLock::acquire(disk, &layout.lock()).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => SpoolError::Locked { path: layout.root().to_owned() },
        _ => SpoolError::Disk { source: error },
    })
}

impl Spool {
    /// Refuses to write if the spool's lock file is not the one that this runner has locked.
    ///
    /// # Errors
    /// It is not, or cannot be looked at.
    pub(super) fn check_held(&self) -> Result<(), SpoolError> {
        match self.held.mark.state(&self.disk)? {
            PathState::Unchanged => Ok(()),
            PathState::Replaced | PathState::Missing => {
                Err(SpoolError::Replaced { path: self.layout.root().to_owned() })
            }
        }
    }

    /// Makes sure that the spool is the one that was opened, and locked; a lock file that was
    /// removed is made again.
    ///
    /// # Errors
    /// The spool was replaced, or another runner has it.
    pub(crate) fn hold(&mut self) -> Result<(), SpoolError> {
        if self.check_held().is_ok() {
            return Ok(());
        }
        if self.disk.file_id(self.layout.root())? != self.held.root {
            return Err(SpoolError::Replaced { path: self.layout.root().to_owned() });
        }
        found(&self.disk, &self.layout)?;
        self.held.mark = lock(&self.disk, &self.layout)?;
        let path = self.layout.lock();
        warn!(self.log, "the lock file was gone or another one, and is locked anew";
            "path" => %path.display());
        Ok(())
    }

    /// Makes the folders that were removed; returns whether there were any.
    ///
    /// # Errors
    /// The spool is not the one that was opened, or the disk does not do what it is asked.
    pub(crate) fn mend(&mut self) -> Result<bool, SpoolError> {
        self.hold()?;
        let mut mended = false;
        for folder in Folder::ALL.map(|folder| self.layout.folder(folder)) {
            if self.disk.find(&folder)?.is_none() {
                self.disk.make_folders(&folder)?;
                warn!(self.log, "folder was gone and is made anew"; "path" => %folder.display());
                mended = true;
            }
        }
        Ok(mended)
    }
}

#[cfg(test)]
mod tests {
    use crate::disk::{Fs, RealFs};
    use crate::spool::SpoolError;
    use crate::spool::testing::{open, record, spool};

    #[test]
    fn a_spool_that_is_replaced_is_not_written() {
        let (folder, mut spool) = spool();
        spool.hold().unwrap();
        let (path, away) = (folder.path().join("spool"), folder.path().join("away"));
        RealFs.rename(&path, &away).unwrap();
        let replaced = |result| matches!(result, Err(SpoolError::Replaced { .. }));
        // Nothing is there, an empty folder, and the spool of another runner.
        assert!(replaced(spool.hold()));
        RealFs.make_folder(&path).unwrap();
        assert!(replaced(spool.mend().map(drop)));
        assert!(RealFs.list(&path).unwrap().is_empty());
        let other = open(folder.path()).unwrap();
        assert!(replaced(spool.hold()));
        assert!(replaced(spool.launch(record("a.20261122T041500Z")).map(drop)));
        let run = other.launch(record("b.20261122T041500Z")).unwrap();
        let moved = spool.follow(run, super::super::Transition::Refused, |_| {});
        assert!(replaced(moved.map(drop)));
        drop(other);
        // It is the one that was opened again.
        RealFs.rename(&path, &folder.path().join("other")).unwrap();
        RealFs.rename(&away, &path).unwrap();
        spool.hold().unwrap();
        drop(spool.launch(record("a.20261122T041500Z")).unwrap());
    }

    #[test]
    fn a_lock_file_that_is_gone_is_made_and_locked_anew() {
        let (folder, mut spool) = spool();
        let mark = spool.layout().lock();
        RealFs.unlink(&mark).unwrap();
        assert!(matches!(
            spool.launch(record("a.20261122T041500Z")),
            Err(SpoolError::Replaced { .. })
        ));
        spool.hold().unwrap();
        drop(spool.launch(record("a.20261122T041500Z")).unwrap());
        assert!(matches!(open(folder.path()), Err(SpoolError::Locked { .. })));
        // Another runner was faster.
        RealFs.unlink(&mark).unwrap();
        super::found(&spool.disk, &spool.layout).unwrap();
        let other = spool.disk().lock(&mark).unwrap();
        assert!(matches!(spool.hold(), Err(SpoolError::Locked { .. })));
        drop(other);
        crate::testing::retried(|| spool.hold(), |_| true).unwrap();
    }
}
