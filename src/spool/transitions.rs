//! The transitions between states: the only code that moves a run.
//!
//! A move consumes the [`Run`] that it moves, so that no code can act on an entry that is no longer
//! there. If the record changes, the new file is created first, which commits the move, and the old
//! one is unlinked afterwards. A crash in between leaves an older duplicate, which
//! [`Spool::settle`] removes.
//!
//! The moves of several runs are committed together ([`Spool::commit`]): they share the fsyncs. A
//! run has at most one move in a batch, and no move in it depends on another one.

use super::commit::RunChange;
use super::entry::Run;
use super::folder::Folder;
use super::record::Record;
use super::{Spool, SpoolError};
use crate::disk::Stamp;

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
    /// Moves a single run as `transition` says, after applying `change` to its record.
    ///
    /// # Errors
    /// As [`RunChange::changed`] and [`Spool::commit`].
    pub(crate) fn apply(
        &self,
        run: Run,
        transition: Transition,
        change: impl FnOnce(&mut Record),
    ) -> Result<Run, SpoolError> {
        self.commit_one(RunChange::changed(run, transition, change)?)
    }

    /// Creates the record of an action that the original runner posted.
    pub(crate) fn adopt(&self, record: Record) -> Result<Run, SpoolError> {
        self.commit_one(RunChange::Create { folder: Folder::ActionInflight, record })
    }

    /// Creates the command records of actions that have ended, unless they have one; returns each
    /// record's tag with its result.
    pub(crate) fn make_ready<T>(
        &self,
        records: Vec<(T, Record)>,
    ) -> Vec<(T, Result<(), SpoolError>)> {
        let (mut results, mut changes) = (Vec::with_capacity(records.len()), Vec::new());
        for (tag, record) in records {
            match self.holders(&record.id, super::Family::Command) {
                Ok(holders) if holders.is_empty() => {
                    changes.push((tag, RunChange::Create { folder: Folder::Ready, record }));
                }
                Ok(_) => results.push((tag, Ok(()))),
                Err(error) => results.push((tag, Err(error))),
            }
        }
        for (tag, created) in self.commit(changes) {
            let ready = match created {
                Ok(_) | Err(SpoolError::Taken { .. }) => Ok(()),
                Err(error) => Err(error),
            };
            results.push((tag, ready));
        }
        results
    }

    /// Rewrites the file of a run that was read with this `stamp`. A file that another process put
    /// in its place meanwhile becomes a dead letter.
    pub(super) fn rewrite(
        &self,
        folder: Folder,
        record: Record,
        stamp: Stamp,
    ) -> Result<Run, SpoolError> {
        self.commit_one(RunChange::Rewrite { folder, record, old: stamp })
    }
}

/// Returns the folder in which a transition ends, if it begins in `from`.
pub(super) fn checked(from: Folder, transition: Transition) -> Result<Folder, SpoolError> {
    let (starts, to) = transition.ends();
    if starts.contains(&from) { Ok(to) } else { Err(SpoolError::NoTransition { from, transition }) }
}

#[cfg(test)]
mod tests {
    use super::super::commit::encode;
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
        for _ in 0..2 {
            let ready = spool.make_ready(vec![((), run.record().clone())]);
            assert!(matches!(ready[..], [((), Ok(()))]), "{ready:?}");
        }
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
