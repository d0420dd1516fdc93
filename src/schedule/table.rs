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
