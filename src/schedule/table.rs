//! Which job is to be looked at next.
//!
//! Ten thousand jobs that have nothing to do cost nothing: only those whose
//! time has come are looked at. A clock that goes back makes every time in
//! here a guess made by another clock, so then all are looked at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// Keys, and when to look at them.
#[derive(Debug)]
pub(crate) struct Table<K> {
    /// When each is due; nothing if only a clock that goes back can change anything.
    wakes: BTreeMap<K, Option<Timestamp>>,
    /// The same by time.
    order: BTreeSet<(Timestamp, K)>,
    /// What the clock showed last.
    seen: Timestamp,
}

impl<K: Ord + Clone> Table<K> {
    /// Returns a table without keys.
    pub(crate) fn new() -> Table<K> {
        Table { wakes: BTreeMap::new(), order: BTreeSet::new(), seen: Timestamp::MIN }
    }

    /// Notes that `key` is to be looked at when the clock shows `wake`, and not before.
    pub(crate) fn set(&mut self, key: K, wake: Option<Timestamp>) {
        self.remove(&key);
        if let Some(wake) = wake {
            self.order.insert((wake, key.clone()));
        }
        self.wakes.insert(key, wake);
    }

    /// Forgets `key`.
    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(Some(wake)) = self.wakes.remove(key) {
            self.order.remove(&(wake, key.clone()));
        }
    }

    /// Returns when the next key is to be looked at.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(wake, _)| *wake)
    }

    /// Returns the keys that are to be looked at `now`, the longest due first; each stays
    /// in the table as it is until it is set again.
    pub(crate) fn due(&mut self, now: Timestamp) -> Vec<K> {
        let went_back = now < self.seen;
        self.seen = now;
        if went_back {
            return self.wakes.keys().cloned().collect();
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
    fn keys_are_due_when_their_time_has_come() {
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
    fn a_clock_that_goes_back_makes_all_due_once() {
        let mut table = table();
        assert!(table.due(second(5)).is_empty());
        assert_eq!(table.due(second(4)), ["finished", "late", "soon"]);
        assert!(table.due(second(4)).is_empty());
    }
}
