//! Which job is due next.
//!
//! Ten thousand idle jobs cost nothing: only those that are due are examined. When the clock is set
//! back, the times in this table are no longer reliable, so all jobs are due at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// Keys, the times at which they are due, and a value of each.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    /// When each key is due, and its value. [`Timestamp::MAX`] if it becomes due only when the clock
    /// is set back.
    entries: BTreeMap<K, (Timestamp, V)>,
    /// The keys sorted by time, without those that become due only when the clock is set back.
    order: BTreeSet<(Timestamp, K)>,
    /// The last time passed to [`Table::due`].
    last_now: Timestamp,
}

impl<K: Ord + Clone, V> Table<K, V> {
    pub(crate) fn new() -> Table<K, V> {
        Table { entries: BTreeMap::new(), order: BTreeSet::new(), last_now: Timestamp::MIN }
    }

    /// Makes `key` due at `wake` and keeps a value of it.
    pub(crate) fn set(&mut self, key: K, wake: Option<Timestamp>, value: V) {
        self.remove(&key);
        let wake = wake.unwrap_or(Timestamp::MAX);
        if wake < Timestamp::MAX {
            self.order.insert((wake, key.clone()));
        }
        self.entries.insert(key, (wake, value));
    }

    /// Returns the value of a key.
    pub(crate) fn value(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some((wake, _)) = self.entries.remove(key) {
            self.order.remove(&(wake, key.clone()));
        }
    }

    /// Saves memory after many keys were set in order: a map that is filled in order has half-empty
    /// nodes; one that is built at once has full nodes.
    pub(crate) fn compact(&mut self) {
        self.entries = std::mem::take(&mut self.entries).into_iter().collect();
        self.order = std::mem::take(&mut self.order).into_iter().collect();
    }

    /// Returns when the next key is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(wake, _)| *wake)
    }

    /// Returns the keys that are due at `now`, the longest due first, and at most `count` of them.
    /// Each remains in the table until it is set again.
    pub(crate) fn due(&mut self, now: Timestamp, count: usize) -> Vec<K> {
        if now < self.last_now {
            self.entries.values_mut().for_each(|(wake, _)| *wake = Timestamp::MIN);
            self.order = self.entries.keys().map(|key| (Timestamp::MIN, key.clone())).collect();
        }
        self.last_now = now;
        let due = self.order.iter().take_while(|(wake, _)| *wake <= now);
        due.map(|(_, key)| key.clone()).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn table() -> Table<&'static str, u8> {
        let mut table = Table::new();
        table.set("late", Some(second(30)), 0);
        table.set("soon", Some(second(10)), 0);
        table.set("finished", None, 0);
        table
    }

    #[test]
    fn keys_are_due_at_their_time() {
        let mut table = table();
        assert_eq!(table.next(), Some(second(10)));
        assert!(table.due(second(9), 9).is_empty());
        assert_eq!(table.due(second(10), 9), ["soon"]);
        assert_eq!(table.due(second(30), 9), ["soon", "late"]);
        assert_eq!(table.due(second(30), 1), ["soon"]);
        table.set("soon", Some(second(40)), 0);
        assert_eq!(table.due(second(30), 9), ["late"]);
        table.set("late", Some(second(30)), 1);
        assert_eq!((table.value(&"late"), table.value(&"unknown")), (Some(&1), None));
        table.remove(&"late");
        assert_eq!(table.next(), Some(second(40)));
    }

    #[test]
    fn clock_set_back_makes_all_keys_due_until_they_are_set() {
        let mut table = table();
        assert!(table.due(second(5), 9).is_empty());
        for _ in 0..2 {
            assert_eq!(table.due(second(4), 9), ["finished", "late", "soon"]);
        }
        table.set("finished", None, 0);
        table.set("late", Some(second(30)), 0);
        assert_eq!(table.due(second(4), 9), ["soon"]);
    }
}
