//! Runs that wait for a worker, in the order in which they came, each once.

use std::collections::{BTreeSet, VecDeque};

use super::index::Key;

/// A queue in which a run stands only once.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    order: VecDeque<Key>,
    members: BTreeSet<Key>,
}

impl Queue {
    /// Lets a run stand at the end, unless it stands somewhere already.
    pub(crate) fn push(&mut self, key: &Key) {
        if self.members.insert(key.clone()) {
            self.order.push_back(key.clone());
        }
    }

    /// Returns the run that has waited longest.
    pub(crate) fn pop(&mut self) -> Option<Key> {
        let key = self.order.pop_front()?;
        self.members.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::Family;

    #[test]
    fn each_stands_once_and_comes_in_its_order() {
        let key = |id: &str| (Family::Action, id.parse().unwrap());
        let (one, other) = (key("b.20261122T120000Z"), key("a.20261122T120000Z"));
        let mut queue = Queue::default();
        for key in [&one, &other, &one] {
            queue.push(key);
        }
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(one.clone()), Some(other), None));
        queue.push(&one);
        assert_eq!(queue.pop(), Some(one));
    }
}
