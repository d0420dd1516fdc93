//! Runs that wait for a worker of one pool: each job in its turn, and of one job the run that has
//! waited longest.
//!
//! A job with a thousand runs that wait holds no other job up for longer than one with a single run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::index::Key;
use crate::names::JobName;

/// The owner of a turn: a job, or all actions that were put in by hand together.
pub(crate) type Party = Option<JobName>;

/// A queue in which a run stands only once.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// The runs of each party that has any.
    lines: BTreeMap<Party, VecDeque<Key>>,
    /// The same parties, in the order of their turns.
    turns: VecDeque<Party>,
    members: BTreeSet<Key>,
}

impl Queue {
    /// Lets a run stand at the end of its party's line, unless it stands there already.
    pub(crate) fn push(&mut self, key: &Key, party: Party) {
        if self.members.insert(key.clone()) {
            self.line(party).push_back(key.clone());
        }
    }

    /// Lets a run that had its turn, and needs another worker, be the first of its party again.
    pub(crate) fn push_first(&mut self, key: &Key, party: Party) {
        if self.members.insert(key.clone()) {
            self.line(party).push_front(key.clone());
        }
    }

    /// Returns the run whose turn it is; its party's next turn comes after those of all others.
    pub(crate) fn pop(&mut self) -> Option<Key> {
        let party = self.turns.pop_front()?;
        let line = self.lines.get_mut(&party)?;
        let key = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&party);
        } else {
            self.turns.push_back(party);
        }
        self.members.remove(key.as_ref()?);
        key
    }

    /// Returns how many runs stand here.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    fn line(&mut self, party: Party) -> &mut VecDeque<Key> {
        if !self.lines.contains_key(&party) {
            self.turns.push_back(party.clone());
        }
        self.lines.entry(party).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::Family;

    fn key(id: &str) -> Key {
        (Family::Action, id.parse().unwrap())
    }

    fn push(queue: &mut Queue, id: &str) {
        let key = key(id);
        let job = key.1.stem().parse().unwrap();
        queue.push(&key, Some(job));
    }

    fn order(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.pop()).map(|(_, id)| id.to_string()).collect()
    }

    #[test]
    fn each_job_has_its_turn_and_each_run_stands_once() {
        let mut queue = Queue::default();
        let [a1, a2, a3] = ["0", "1", "2"].map(|n| format!("a.2026112{n}T120000Z"));
        let [b1, c1, c2] = ["b", "c", "c"].map(|job| format!("{job}.20261122T120000Z"));
        let c2 = c2.replace("T12", "T13");
        for id in [&a1, &a2, &a1, &a3, &c1, &c2, &b1] {
            push(&mut queue, id);
        }
        let by_hand = "mine.20261122T120000Z-abcdef";
        queue.push(&key(by_hand), None);
        assert_eq!(queue.len(), 7);
        let expected = [&a1, &c1, &b1, by_hand, &a2, &c2, &a3];
        assert_eq!(order(&mut queue), expected);
        assert!(queue.turns.is_empty() && queue.lines.is_empty() && queue.members.is_empty());
        push(&mut queue, &a1);
        assert_eq!(order(&mut queue), [a1]);
    }

    #[test]
    fn a_run_that_needs_another_worker_stays_the_first_of_its_job() {
        let mut queue = Queue::default();
        let [a1, a2] = ["a.20261122T120000Z", "a.20261122T130000Z"];
        for id in [a1, a2, "b.20261122T120000Z"] {
            push(&mut queue, id);
        }
        let first = queue.pop().unwrap();
        queue.push_first(&first, Some("a".parse().unwrap()));
        assert_eq!(order(&mut queue), ["b.20261122T120000Z", a1, a2]);
        // Of a job whose line was empty.
        queue.push_first(&first, Some("a".parse().unwrap()));
        assert_eq!(order(&mut queue), [a1]);
    }
}
