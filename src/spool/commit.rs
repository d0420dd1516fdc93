//! Commits changes of runs: each is a change of one file, and those of a batch share the fsyncs.

use std::io;

use slog::{info, warn};

use super::entry::Run;
use super::folder::Folder;
use super::record::Record;
use super::transitions::{Transition, checked};
use super::{Spool, SpoolError};
use crate::chain::Chain;
use crate::disk::{Committed, DiskError, FileChange, Stamp};

/// A change of a run's file, to be committed with those of other runs.
///
/// It consumes the [`Run`] that it changes.
#[derive(Debug)]
pub(crate) enum RunChange {
    /// Creates the file of a run in a folder.
    Create { folder: Folder, record: Record },
    /// Moves a run whose record has changed: creates its new file, then removes its old one.
    Advance { from: Folder, to: Folder, record: Record, old: Stamp },
    /// Rewrites the file of a run in its folder.
    Rewrite { folder: Folder, record: Record, old: Stamp },
    /// Moves a run with an unchanged record: one rename.
    Rename { from: Folder, to: Folder, record: Record },
}

impl RunChange {
    /// Creates a run in `action/new`. `Taken` if the run already exists there.
    pub(crate) fn launch(record: Record) -> RunChange {
        RunChange::Create { folder: Folder::New, record }
    }

    /// Moves a run as `transition` says, after applying `change` to its record.
    ///
    /// # Errors
    /// `NoTransition` if the transition does not begin in the folder of the run.
    pub(crate) fn changed(
        run: Run,
        transition: Transition,
        change: impl FnOnce(&mut Record),
    ) -> Result<RunChange, SpoolError> {
        let Run { folder: from, mut record, stamp: old } = run;
        let to = checked(from, transition)?;
        change(&mut record);
        record.seq = record.seq.saturating_add(1);
        Ok(if from == to {
            RunChange::Rewrite { folder: from, record, old }
        } else {
            RunChange::Advance { from, to, record, old }
        })
    }

    /// Moves a run as `transition` says, with an unchanged record.
    ///
    /// # Errors
    /// As [`RunChange::changed`].
    pub(crate) fn unchanged(run: Run, transition: Transition) -> Result<RunChange, SpoolError> {
        let to = checked(run.folder, transition)?;
        Ok(RunChange::Rename { from: run.folder, to, record: run.record })
    }

    /// Returns the folder in which the change ends, and the record.
    fn end(&self) -> (Folder, &Record) {
        match self {
            RunChange::Create { folder, record } | RunChange::Rewrite { folder, record, .. } => {
                (*folder, record)
            }
            RunChange::Advance { to, record, .. } | RunChange::Rename { to, record, .. } => {
                (*to, record)
            }
        }
    }

    /// Returns what an error of the disk means for the run.
    fn explain(&self, error: DiskError) -> SpoolError {
        let (end, record) = self.end();
        let id = || record.id.clone();
        match (self, error.kind()) {
            (RunChange::Rewrite { .. }, io::ErrorKind::NotFound) => {
                SpoolError::Gone { id: id(), folder: end }
            }
            (RunChange::Rename { from, .. }, io::ErrorKind::NotFound) => {
                SpoolError::Gone { id: id(), folder: *from }
            }
            (
                RunChange::Create { .. } | RunChange::Advance { .. } | RunChange::Rename { .. },
                io::ErrorKind::AlreadyExists,
            ) => SpoolError::Taken { id: id(), folder: end },
            _ => SpoolError::Disk { source: error },
        }
    }
}

impl Spool {
    /// Makes changes of different runs durable together; returns each change's tag with the run as
    /// it is now.
    ///
    /// # Errors
    /// `Gone` if another process moved the run away from a folder in which it should stay, `Taken`
    /// if the target name exists. In both cases the next scan finds the run where it is.
    pub(crate) fn commit<T>(
        &self,
        changes: Vec<(T, RunChange)>,
    ) -> Vec<(T, Result<Run, SpoolError>)> {
        let (mut results, mut files) = (Vec::with_capacity(changes.len()), Vec::new());
        for (tag, change) in changes {
            match self.file_change(&change) {
                Ok(file) => files.push(((tag, change), file)),
                Err(error) => results.push((tag, Err(error))),
            }
        }
        for ((tag, change), committed) in self.disk.commit(files) {
            results.push((tag, self.committed(change, committed)));
        }
        results
    }

    /// Makes a single change durable; returns the run as it is now.
    ///
    /// # Errors
    /// As [`Spool::commit`].
    pub(super) fn commit_one(&self, change: RunChange) -> Result<Run, SpoolError> {
        let committed = self.disk.commit_one(self.file_change(&change)?);
        self.committed(change, committed)
    }

    /// Returns the change of the file that a change of a run begins with.
    fn file_change(&self, change: &RunChange) -> Result<FileChange, SpoolError> {
        self.check_lock()?;
        let (folder, record) = change.end();
        let path = self.layout.run(folder, &record.id);
        Ok(match change {
            RunChange::Create { .. } | RunChange::Advance { .. } => {
                FileChange::Create { path, bytes: encode(record)? }
            }
            RunChange::Rewrite { old, .. } => {
                FileChange::Rewrite { path, expected: Some(old.inode), bytes: encode(record)? }
            }
            RunChange::Rename { from, .. } => {
                FileChange::Rename { from: self.layout.run(*from, &record.id), to: path }
            }
        })
    }

    /// Finishes a change whose file is durable; returns the run as it is now.
    fn committed(
        &self,
        change: RunChange,
        committed: Result<Committed, DiskError>,
    ) -> Result<Run, SpoolError> {
        let committed = committed.map_err(|error| change.explain(error))?;
        match change {
            RunChange::Create { folder, record } => {
                info!(self.log, "run created"; "run" => %record.id, "folder" => %folder);
                self.arrived(folder, record)
            }
            RunChange::Advance { from, to, record, old } => {
                info!(self.log, "run moved"; "run" => %record.id, "from" => %from, "to" => %to);
                self.end_advance(from, to, &record, old);
                self.arrived(to, record)
            }
            RunChange::Rewrite { folder, record, .. } => {
                if let Committed::Displaced(displaced) = committed {
                    self.reject_displaced(&displaced, record.id.file_name().as_ref())?;
                }
                self.arrived(folder, record)
            }
            RunChange::Rename { from, to, record } => {
                info!(self.log, "run moved"; "run" => %record.id, "from" => %from, "to" => %to);
                self.arrived(to, record)
            }
        }
    }

    /// Removes the old file of a run whose new file is durable. If it stays, it is an older
    /// duplicate.
    fn end_advance(&self, from: Folder, to: Folder, record: &Record, old: Stamp) {
        match self.remove_old(from, record, old) {
            Ok(true) => {}
            Ok(false) => {
                warn!(self.log, "entry was moved by another process during its transition";
                    "run" => %record.id, "from" => %from, "to" => %to);
            }
            Err(error) => {
                warn!(self.log, "cannot remove older duplicate; retrying later";
                    "run" => %record.id, "error" => Chain(&error));
            }
        }
    }

    /// Removes the old file of a run that has moved on. Returns `false` if the old name is gone or
    /// has another file: another process may already have moved the new file back there, where it
    /// is the only one.
    fn remove_old(&self, from: Folder, record: &Record, old: Stamp) -> Result<bool, DiskError> {
        let path = self.layout.run(from, &record.id);
        let found = self.disk.find(&path)?;
        if found.is_none_or(|meta| meta.stamp.inode != old.inode) {
            return Ok(false);
        }
        match self.disk.unlink(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true),
        }
    }

    /// Returns the run as it now is in its folder, or `Gone` if it was moved meanwhile.
    pub(super) fn arrived(&self, folder: Folder, record: Record) -> Result<Run, SpoolError> {
        match self.disk.find(&self.layout.run(folder, &record.id)) {
            Ok(Some(meta)) => Ok(Run { folder, record, stamp: meta.stamp }),
            Ok(None) => Err(SpoolError::Gone { id: record.id, folder }),
            Err(source) => Err(SpoolError::Disk { source }),
        }
    }
}

pub(super) fn encode(record: &Record) -> Result<Vec<u8>, SpoolError> {
    record.to_bytes().map_err(|source| SpoolError::Encode { id: record.id.clone(), source })
}
