//! Which job is due next.
//!
//! Ten thousand idle jobs cost nothing: only those that are due are examined. When the clock is set
//! back, the times in this table are no longer reliable, so all jobs are due at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// Keys and the times at which they are due.
#[derive(Debug)]
pub(crate) struct Table<K> {
    /// When each key is due; `None` if it becomes due only when the clock is set back.
    wakes: BTreeMap<K, Option<Timestamp>>,
    /// The same, sorted by time.
    order: BTreeSet<(Timestamp, K)>,
    /// The last time passed to [`Table::due`].
    last_now: Timestamp,
}

impl<K: Ord + Clone> Table<K> {
    pub(crate) fn new() -> Table<K> {
        Table { wakes: BTreeMap::new(), order: BTreeSet::new(), last_now: Timestamp::MIN }
    }

    /// Makes `key` due at `wake`.
    pub(crate) fn set(&mut self, key: K, wake: Option<Timestamp>) {
        self.remove(&key);
        if let Some(wake) = wake {
            self.order.insert((wake, key.clone()));
        }
        self.wakes.insert(key, wake);
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(Some(wake)) = self.wakes.remove(key) {
            self.order.remove(&(wake, key.clone()));
        }
    }

    /// Saves memory after many keys were set in order: a map that is filled in order has half-empty
    /// nodes; one that is built at once has full nodes.
    pub(crate) fn compact(&mut self) {
        self.wakes = std::mem::take(&mut self.wakes).into_iter().collect();
        self.order = std::mem::take(&mut self.order).into_iter().collect();
    }

    /// Returns when the next key is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(wake, _)| *wake)
    }

    /// Returns the keys that are due at `now`, the longest due first. Each remains in the table
    /// until it is set again.
    pub(crate) fn due(&mut self, now: Timestamp) -> Vec<K> {
        let went_back = now < self.last_now;
        self.last_now = now;
        if went_back {
            let keys: Vec<K> = self.wakes.keys().cloned().collect();
            keys.into_iter().for_each(|key| self.set(key, Some(Timestamp::MIN)));
        }
        let due = self.order.iter().take_while(|(wake, _)| *wake <= now);
        due.map(|(_, key)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn table() -> Table<&'static str> {
        let mut table = Table::new();
        table.set("late", Some(second(30)));
        table.set("soon", Some(second(10)));
        table.set("finished", None);
        table
    }

    #[test]
    fn keys_are_due_at_their_time() {
        let mut table = table();
        assert_eq!(table.next(), Some(second(10)));
        assert!(table.due(second(9)).is_empty());
        assert_eq!(table.due(second(10)), ["soon"]);
        assert_eq!(table.due(second(30)), ["soon", "late"]);
        table.set("soon", Some(second(40)));
        assert_eq!(table.due(second(30)), ["late"]);
        table.remove(&"late");
        assert_eq!(table.next(), Some(second(40)));
    }

    #[test]
    fn clock_set_back_makes_all_keys_due_until_they_are_set() {
        let mut table = table();
        assert!(table.due(second(5)).is_empty());
        for _ in 0..2 {
            assert_eq!(table.due(second(4)), ["finished", "late", "soon"]);
        }
        table.set("finished", None);
        table.set("late", Some(second(30)));
        assert_eq!(table.due(second(4)), ["soon"]);
    }
}
