//! The transitions between states: the only code that moves a run.
//!
//! A move consumes the [`Run`] that it moves, so that no code can act on an entry that is no longer
//! there. If the record changes, the new file is created first, which commits the move, and the old
//! one is unlinked afterwards. A crash in between leaves an older duplicate, which
//! [`Spool::settle`] removes.

use std::io;

use slog::{info, warn};

use super::entry::Run;
use super::folder::Folder;
use super::record::Record;
use super::{Spool, SpoolError};
use crate::chain::Chain;
use crate::disk::{DiskError, Rewritten, Stamp};

/// An event that moves a run to another folder or changes its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    /// The operator put the run back, so it is tried again.
    Renewed,
    /// The action was signed; the request to be posted is durable.
    Signed,
    /// Signing or a POST failed, or it became known that the platform does not have the action.
    Noted,
    /// The API accepted the action.
    Accepted,
    /// The action was refused permanently, or its deadline passed.
    Refused,
    /// A newer run of the job took its place before it was sent.
    Superseded,
    /// The action was sent, and the runner does not fetch the results.
    SentOnly,
    /// The action has ended, and its command record exists.
    Collected,
    /// An entry that the operator moved to `action/done` got its command record, and is marked as
    /// collected.
    Marked,
    /// The record lacks what its folder needs.
    Misplaced,
    /// Fetching begins.
    Begun,
    /// An attempt to fetch failed, or the operator put the run back.
    FetchNoted,
    /// The results are on disk.
    Fetched,
    /// The results could not be fetched within the time limit.
    FetchGivenUp,
    /// A plugin accepted the results, failed or was given up, or the operator put the run back.
    Delivered,
    /// No delivery is owed any more.
    Finished,
}

impl Transition {
    /// Returns the folders in which the transition may begin, and the folder in which it ends.
    const fn ends(self) -> (&'static [Folder], Folder) {
        match self {
            Transition::Renewed | Transition::Signed | Transition::Noted => {
                (&[Folder::New], Folder::New)
            }
            // From `action/inflight` if another process moved the run there during its POST.
            Transition::Accepted => {
                (&[Folder::New, Folder::ActionInflight], Folder::ActionInflight)
            }
            Transition::Refused => (&[Folder::New], Folder::Invalid),
            Transition::Superseded => (&[Folder::New], Folder::ActionDone),
            Transition::SentOnly | Transition::Collected => {
                (&[Folder::ActionInflight], Folder::ActionDone)
            }
            Transition::Marked => (&[Folder::ActionDone], Folder::ActionDone),
            Transition::Misplaced => {
                (&[Folder::ActionInflight, Folder::ActionDone], Folder::Invalid)
            }
            Transition::Begun => (&[Folder::Ready], Folder::CommandInflight),
            Transition::FetchNoted => (&[Folder::CommandInflight], Folder::CommandInflight),
            Transition::Fetched => (&[Folder::CommandInflight], Folder::Returned),
            Transition::FetchGivenUp => (&[Folder::CommandInflight], Folder::CommandDone),
            Transition::Delivered => (&[Folder::Returned], Folder::Returned),
            Transition::Finished => (&[Folder::Returned], Folder::CommandDone),
        }
    }

    /// Returns whether the transition may begin in this folder.
    pub(crate) fn begins_in(self, folder: Folder) -> bool {
        self.ends().0.contains(&folder)
    }
}

impl Spool {
    /// Creates a run in `action/new`.
    ///
    /// # Errors
    /// `Taken` if the run already exists there.
    pub(crate) fn launch(&self, record: Record) -> Result<Run, SpoolError> {
        self.place(Folder::New, record)
    }

    /// Creates the record of an action that the original runner posted.
    pub(crate) fn adopt(&self, record: Record) -> Result<Run, SpoolError> {
        self.place(Folder::ActionInflight, record)
    }

    /// Creates the command record of an action that has ended, unless it has one.
    pub(crate) fn make_ready(&self, record: Record) -> Result<(), SpoolError> {
        if !self.holders(&record.id, super::Family::Command)?.is_empty() {
            return Ok(());
        }
        match self.place(Folder::Ready, record) {
            Ok(_) | Err(SpoolError::Taken { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn place(&self, folder: Folder, record: Record) -> Result<Run, SpoolError> {
        self.check_lock()?;
        let path = self.layout.run(folder, &record.id);
        match self.disk.create(&path, &encode(&record)?) {
            Ok(()) => {
                info!(self.log, "run created"; "run" => %record.id, "folder" => %folder);
                self.arrived(folder, record)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(SpoolError::Taken { id: record.id, folder })
            }
            Err(source) => Err(SpoolError::Disk { source }),
        }
    }

    /// Moves a run as `transition` says, after applying `change` to its record.
    ///
    /// # Errors
    /// `Gone` if another process moved the run away from a folder in which it should stay, `Taken`
    /// if the target name exists. In both cases the next scan finds the run where it is.
    pub(crate) fn apply(
        &self,
        run: Run,
        transition: Transition,
        change: impl FnOnce(&mut Record),
    ) -> Result<Run, SpoolError> {
        self.check_lock()?;
        let (folder, mut record, stamp) = (run.folder, run.record, run.stamp);
        let to = checked(folder, transition)?;
        change(&mut record);
        record.seq = record.seq.saturating_add(1);
        if folder != to {
            return self.advance(folder, to, record, stamp);
        }
        self.rewrite(folder, record, stamp)
    }

    /// Rewrites the file of a run that was read with this `stamp`. A file that another process put
    /// in its place meanwhile becomes a dead letter.
    pub(super) fn rewrite(
        &self,
        folder: Folder,
        record: Record,
        stamp: Stamp,
    ) -> Result<Run, SpoolError> {
        let path = self.layout.run(folder, &record.id);
        match self.disk.rewrite(&path, Some(stamp.inode), &encode(&record)?) {
            Ok(Rewritten::Expected) => self.arrived(folder, record),
            Ok(Rewritten::Displaced(displaced)) => {
                self.reject_displaced(&displaced, record.id.file_name().as_ref())?;
                self.arrived(folder, record)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(SpoolError::Gone { id: record.id, folder })
            }
            Err(source) => Err(SpoolError::Disk { source }),
        }
    }

    /// Moves a run as `transition` says, with an unchanged record: one rename.
    ///
    /// # Errors
    /// As [`Spool::apply`].
    pub(crate) fn apply_unchanged(
        &self,
        run: Run,
        transition: Transition,
    ) -> Result<Run, SpoolError> {
        let (from, record) = (run.folder, run.record);
        let to = checked(from, transition)?;
        let moved =
            self.disk.rename(&self.layout.run(from, &record.id), &self.layout.run(to, &record.id));
        match moved {
            Ok(()) => {
                info!(self.log, "run moved"; "run" => %record.id, "from" => %from, "to" => %to);
                self.arrived(to, record)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(SpoolError::Gone { id: record.id, folder: from })
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(SpoolError::Taken { id: record.id, folder: to })
            }
            Err(source) => Err(SpoolError::Disk { source }),
        }
    }

    /// Creates the new file of a run in the folder `to`, then removes its old file.
    fn advance(
        &self,
        from: Folder,
        to: Folder,
        record: Record,
        old: Stamp,
    ) -> Result<Run, SpoolError> {
        match self.disk.create(&self.layout.run(to, &record.id), &encode(&record)?) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(SpoolError::Taken { id: record.id, folder: to });
            }
            Err(source) => return Err(SpoolError::Disk { source }),
        }
        info!(self.log, "run moved"; "run" => %record.id, "from" => %from, "to" => %to);
        // The move is committed: if the old file stays, it is an older duplicate.
        match self.remove_old(from, &record, old) {
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
        self.arrived(to, record)
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

fn checked(from: Folder, transition: Transition) -> Result<Folder, SpoolError> {
    let (starts, to) = transition.ends();
    if starts.contains(&from) { Ok(to) } else { Err(SpoolError::NoTransition { from, transition }) }
}

pub(super) fn encode(record: &Record) -> Result<Vec<u8>, SpoolError> {
    record.to_bytes().map_err(|source| SpoolError::Encode { id: record.id.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{record, spool};
    use super::*;
    use crate::names::ActionId;
    use crate::spool::Family;

    const ID: &str = "job.20261122T120000Z";

    #[test]
    fn run_passes_through_its_folders() {
        let (_folder, spool) = spool();
        let run = spool.launch(record(ID)).unwrap();
        let run = spool.apply(run, Transition::Signed, |r| r.error = None).unwrap();
        let run =
            spool.apply(run, Transition::Accepted, |r| r.action_id = Some(ActionId(7))).unwrap();
        assert_eq!((run.folder(), run.record().seq), (Folder::ActionInflight, 3));
        let id = run.record().id.clone();
        assert_eq!(spool.holders(&id, Family::Action).unwrap(), [Folder::ActionInflight]);
        spool.make_ready(run.record().clone()).unwrap();
        spool.make_ready(run.record().clone()).unwrap();
        drop(spool.apply(run, Transition::Collected, |_| ()).unwrap());
        let run = spool.read_run(Folder::Ready, &id).unwrap().unwrap();
        let run = spool.apply_unchanged(run, Transition::Begun).unwrap();
        let run = spool.apply(run, Transition::Fetched, |_| ()).unwrap();
        drop(spool.apply_unchanged(run, Transition::Finished).unwrap());
        assert_eq!(spool.holders(&id, Family::Command).unwrap(), [Folder::CommandDone]);
        assert_eq!(spool.holders(&id, Family::Action).unwrap(), [Folder::ActionDone]);
    }

    #[test]
    fn transition_from_a_wrong_folder_is_refused() {
        let (_folder, spool) = spool();
        let run = spool.launch(record(ID)).unwrap();
        let error = spool.apply(run, Transition::Collected, |_| ()).unwrap_err();
        assert!(matches!(error, SpoolError::NoTransition { .. }), "{error}");
    }

    #[test]
    fn slot_is_launched_once() {
        let (_folder, spool) = spool();
        drop(spool.launch(record(ID)).unwrap());
        assert!(matches!(spool.launch(record(ID)), Err(SpoolError::Taken { .. })));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test moves files as an operator does")]
    fn another_file_under_the_old_name_is_not_removed() {
        let (_folder, spool) = spool();
        let run = spool.launch(record(ID)).unwrap();
        let path = spool.layout.run(Folder::New, &run.record().id);
        let (id, other) = (run.record().id.clone(), path.with_extension("other"));
        // Put there during the move.
        std::fs::write(&other, encode(run.record()).unwrap()).unwrap();
        std::fs::rename(&other, &path).unwrap();
        drop(spool.apply(run, Transition::Accepted, |_| ()).unwrap());
        let both = [Folder::New, Folder::ActionInflight];
        assert_eq!(spool.holders(&id, Family::Action).unwrap(), both);
        let counts = spool.settle(&id, Family::Action).unwrap().unwrap();
        assert_eq!(counts.folder(), Folder::ActionInflight);
    }

    #[test]
    fn run_moved_away_is_not_rewritten_but_accepted_action_is_kept() {
        let (_folder, spool) = spool();
        for (transition, kept) in [(Transition::Noted, false), (Transition::Accepted, true)] {
            let run = spool.launch(record(ID)).unwrap();
            let id = run.record().id.clone();
            spool.disk.unlink(&spool.layout.run(Folder::New, &id)).unwrap();
            assert_eq!(spool.apply(run, transition, |_| ()).is_ok(), kept, "{transition:?}");
        }
    }
}
