//! The moves that need no worker and wait to be made.
//!
//! A move takes a few milliseconds, during which nothing else is processed and the service manager
//! receives no keep-alive. Any number of moves may be due at once, so each turn of the daemon's loop
//! makes at most [`MOVES_MAX`]. The folders take turns, and so do the jobs in each folder: many
//! moves of one kind do not delay the others.

use std::collections::{BTreeMap, VecDeque};

use super::index::Key;
use super::queues::{Owner, Queue};
use crate::spool::Folder;
use crate::stage::Move;

/// Maximum number of moves in one turn.
pub(super) const MOVES_MAX: usize = 32;

/// A move that was decided on. The move is made later, even if the stage would then decide otherwise:
/// a run that a newer run supersedes must not be sent after the newer run. Only if the run becomes due
/// again first, the stage decides again.
#[derive(Debug)]
pub(super) struct PlannedMove {
    /// The folder that the run was in.
    pub(super) folder: Folder,
    pub(super) kind: PlannedKind,
}

#[derive(Debug)]
pub(super) enum PlannedKind {
    Move(Move),
    /// The run becomes a dead letter, for this reason.
    Reject(String),
}

/// The planned moves, at most one for each run.
#[derive(Debug, Default)]
pub(super) struct MoveQueue {
    planned: BTreeMap<Key, PlannedMove>,
    /// The runs of each folder, in the order of the folders' turns. A run whose move was cancelled
    /// or replaced may remain in a queue until its turn.
    queues: VecDeque<(Folder, Queue)>,
}

impl MoveQueue {
    /// Plans a move of a run in place of an earlier one.
    pub(super) fn push(&mut self, key: &Key, owner: Owner, planned: PlannedMove) {
        let folder = planned.folder;
        if !self.queues.iter().any(|(other, _)| *other == folder) {
            self.queues.push_back((folder, Queue::default()));
        }
        if let Some((_, queue)) = self.queues.iter_mut().find(|(other, _)| *other == folder) {
            queue.push(key, owner);
        }
        self.planned.insert(key.clone(), planned);
    }

    /// Cancels the move of a run, if any is planned.
    pub(super) fn cancel(&mut self, key: &Key) {
        self.planned.remove(key);
    }

    /// Removes and returns the next move.
    pub(super) fn pop(&mut self) -> Option<(Key, PlannedMove)> {
        while let Some((folder, mut queue)) = self.queues.pop_front() {
            let Some(key) = queue.pop() else { continue };
            self.queues.push_back((folder, queue));
            if let Some(planned) = self.planned.remove(&key) {
                return Some((key, planned));
            }
        }
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.planned.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Family, Transition};

    fn key(id: &str) -> Key {
        (Family::Action, id.parse().unwrap())
    }

    fn push(moves: &mut MoveQueue, folder: Folder, id: &str) {
        let kind = PlannedKind::Reject(id.to_owned());
        moves.push(&key(id), key(id).1.stem().parse().ok(), PlannedMove { folder, kind });
    }

    #[test]
    fn folders_take_turns_and_jobs_do_in_each() {
        let ids = ["a.20261122T100000Z", "a.20261122T110000Z", "b.20261122T100000Z"];
        let mut moves = MoveQueue::default();
        for id in ids {
            push(&mut moves, Folder::New, id);
        }
        push(&mut moves, Folder::ActionInflight, "c.20261122T100000Z");
        let order: Vec<_> = std::iter::from_fn(|| moves.pop()).map(|(key, _)| key).collect();
        let expected = [ids[0], "c.20261122T100000Z", ids[2], ids[1]].map(key);
        assert_eq!(order, expected);
        assert!(moves.is_empty() && moves.queues.is_empty());
    }

    #[test]
    fn run_has_one_move_and_a_cancelled_one_is_not_made() {
        let [a, b] = ["a.20261122T100000Z", "b.20261122T100000Z"];
        let mut moves = MoveQueue::default();
        push(&mut moves, Folder::New, a);
        push(&mut moves, Folder::New, b);
        moves.cancel(&key(b));
        let kind = PlannedKind::Move(Move::unchanged(Transition::Collected));
        let folder = Folder::ActionInflight;
        moves.push(&key(a), None, PlannedMove { folder, kind });
        let (popped, planned) = moves.pop().unwrap();
        assert_eq!((popped, planned.folder), (key(a), Folder::ActionInflight));
        assert!(moves.is_empty() && moves.pop().is_none());
    }
}
