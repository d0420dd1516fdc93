//! The queues of runs that wait for a worker, one for each pool.
//!
//! The jobs take turns, and the runs of one job go in order of arrival. A job with a thousand
//! waiting runs therefore delays another job no longer than a job with a single run does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::index::Key;
use super::pools::Pool;
use crate::names::JobName;

/// Whose turn a run uses: its job's, or that of all actions without a job together.
pub(super) type Owner = Option<JobName>;

/// One queue for each pool.
#[derive(Debug, Default)]
pub(super) struct Queues {
    submit: Queue,
    query: Queue,
    fetch: Queue,
    deliver: Queue,
}

impl Queues {
    pub(super) fn of(&mut self, pool: Pool) -> &mut Queue {
        match pool {
            Pool::Submit => &mut self.submit,
            Pool::Query => &mut self.query,
            Pool::Fetch => &mut self.fetch,
            Pool::Deliver => &mut self.deliver,
        }
    }

    /// Returns whether no run waits for a worker.
    pub(super) fn are_empty(&self) -> bool {
        [&self.submit, &self.query, &self.fetch, &self.deliver].into_iter().all(Queue::is_empty)
    }

    /// Returns the number of queued runs.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        [&self.submit, &self.query, &self.fetch, &self.deliver].map(Queue::len).iter().sum()
    }
}

/// A queue that holds each run at most once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// The runs of each owner that has any.
    runs: BTreeMap<Owner, VecDeque<Key>>,
    /// The same owners, in the order of their turns.
    turns: VecDeque<Owner>,
    members: BTreeSet<Key>,
}

impl Queue {
    /// Adds a run behind the other runs of its owner, unless it is queued already.
    pub(super) fn push(&mut self, key: &Key, owner: Owner) {
        if self.members.insert(key.clone()) {
            self.runs_of(owner).push_back(key.clone());
        }
    }

    /// Adds a run that needs another worker, ahead of the other runs of its owner.
    pub(super) fn push_first(&mut self, key: &Key, owner: Owner) {
        if self.members.insert(key.clone()) {
            self.runs_of(owner).push_front(key.clone());
        }
    }

    /// Removes and returns the next run; the next turn of its owner comes after those of all
    /// others.
    pub(super) fn pop(&mut self) -> Option<Key> {
        let owner = self.turns.pop_front()?;
        let runs = self.runs.get_mut(&owner)?;
        let key = runs.pop_front();
        if runs.is_empty() {
            self.runs.remove(&owner);
        } else {
            self.turns.push_back(owner);
        }
        self.members.remove(key.as_ref()?);
        key
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns the number of queued runs.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.members.len()
    }

    fn runs_of(&mut self, owner: Owner) -> &mut VecDeque<Key> {
        if !self.runs.contains_key(&owner) {
            self.turns.push_back(owner.clone());
        }
        self.runs.entry(owner).or_default()
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
    fn jobs_take_turns_and_each_run_is_queued_once() {
        let mut queue = Queue::default();
        let [a1, a2, a3] = ["0", "1", "2"].map(|n| format!("a.2026112{n}T120000Z"));
        let [b1, c1, c2] = ["b", "c", "c"].map(|job| format!("{job}.20261122T120000Z"));
        let c2 = c2.replace("T12", "T13");
        for id in [&a1, &a2, &a1, &a3, &c1, &c2, &b1] {
            push(&mut queue, id);
        }
        let without_job = "mine.20261122T120000Z-abcdef";
        queue.push(&key(without_job), None);
        assert_eq!(queue.len(), 7);
        let expected = [&a1, &c1, &b1, without_job, &a2, &c2, &a3];
        assert_eq!(order(&mut queue), expected);
        assert!(queue.turns.is_empty() && queue.runs.is_empty() && queue.members.is_empty());
        push(&mut queue, &a1);
        assert_eq!(order(&mut queue), [a1]);
    }

    #[test]
    fn run_that_needs_another_worker_stays_first_of_its_job() {
        let mut queue = Queue::default();
        let [a1, a2] = ["a.20261122T120000Z", "a.20261122T130000Z"];
        for id in [a1, a2, "b.20261122T120000Z"] {
            push(&mut queue, id);
        }
        let first = queue.pop().unwrap();
        queue.push_first(&first, Some("a".parse().unwrap()));
        assert_eq!(order(&mut queue), ["b.20261122T120000Z", a1, a2]);
        // The job has no other run in the queue.
        queue.push_first(&first, Some("a".parse().unwrap()));
        assert_eq!(order(&mut queue), [a1]);
    }
}
