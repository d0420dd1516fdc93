//! The open connections of the API.
//!
//! Their number is limited. On loopback all clients have the same address, so none can be preferred
//! by it. If a new connection finds no place, the one that has been useless for longest is closed:
//! first of those that never sent an authenticated request, then of the others. A connection whose
//! request is being processed is never closed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// What a connection is doing. The order is that in which connections are closed to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// The server waits for its client, which was never authenticated.
    Unknown,
    /// The server waits for its client, which was authenticated before.
    Known,
    /// The server works for it.
    Working,
}

#[derive(Debug)]
struct Entry {
    standing: Standing,
    is_known: bool,
    /// The number of the last event of the connection.
    since: u64,
    task: Option<AbortHandle>,
}

#[derive(Debug, Default)]
struct Entries {
    /// The number of the next connection or event.
    next: u64,
    open: HashMap<u64, Entry>,
    /// Whether it was logged that no place is free.
    is_logged: bool,
}

impl Entries {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Closes the connection that is the first to be closed; returns `false` if there is none.
    fn evict(&mut self) -> bool {
        let waiting = self.open.iter().filter(|(_, entry)| entry.standing < Standing::Working);
        let first = waiting.min_by_key(|(_, entry)| (entry.standing, entry.since));
        let Some(number) = first.map(|(number, _)| *number) else { return false };
        if let Some(task) = self.open.remove(&number).and_then(|entry| entry.task) {
            task.abort();
        }
        true
    }
}

#[derive(Debug)]
pub(super) struct Connections {
    limit: usize,
    entries: Mutex<Entries>,
    log: slog::Logger,
}

impl Connections {
    /// Returns a table with `limit` places.
    pub(super) fn new(limit: usize, log: slog::Logger) -> Arc<Connections> {
        Arc::new(Connections { limit, entries: Mutex::default(), log })
    }

    /// Returns a place for a new connection, for which another one may be closed; `None` if the
    /// server works for all connections.
    pub(super) fn enter(self: &Arc<Connections>) -> Option<Place> {
        let mut entries = self.entries();
        if entries.open.len() >= self.limit {
            if !std::mem::replace(&mut entries.is_logged, true) {
                slog::warn!(self.log, "all connections are in use; closing idle ones"; "connections" => self.limit);
            }
            if !entries.evict() {
                return None;
            }
        }
        let (number, since) = (entries.number(), entries.number());
        let entry = Entry { standing: Standing::Unknown, is_known: false, since, task: None };
        entries.open.insert(number, entry);
        Some(Place { number, connections: Arc::clone(self) })
    }

    /// Closes the connection that is the first to be closed, if there is one.
    pub(super) fn evict(&self) {
        self.entries().evict();
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a connection, which is free again once this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    connections: Arc<Connections>,
}

impl Place {
    /// Sets the task that is aborted to close the connection.
    pub(super) fn evicted_by(&self, task: AbortHandle) {
        self.change(|entry| entry.task = Some(task));
    }

    /// Records that the server works for the connection.
    pub(super) fn work(&self) {
        self.change(|entry| entry.standing = Standing::Working);
    }

    /// Records that the client was authenticated.
    pub(super) fn know(&self) {
        self.change(|entry| entry.is_known = true);
    }

    /// Records that the client has done something, or that the server waits for it from now on.
    pub(super) fn wait(&self) {
        self.change(|entry| {
            entry.standing = if entry.is_known { Standing::Known } else { Standing::Unknown };
        });
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.connections.entries();
        let since = entries.number();
        // A connection that is being closed has no entry any more.
        if let Some(entry) = entries.open.get_mut(&self.number) {
            entry.since = since;
            change(entry);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut entries = self.connections.entries();
        entries.open.remove(&self.number);
        if entries.open.len() <= self.connections.limit / 2 {
            entries.is_logged = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(connections: &Connections) -> Vec<u64> {
        let mut open: Vec<u64> = connections.entries().open.keys().copied().collect();
        open.sort_unstable();
        open
    }

    #[test]
    fn useless_connections_are_closed_first_and_working_ones_never() {
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let connections = Connections::new(3, log);
        let places: Vec<Place> = (0..3).map(|_| connections.enter().unwrap()).collect();
        let [known, working, useless] = places.as_slice() else { panic!("{places:?}") };
        known.know();
        known.wait();
        working.work();
        useless.wait();
        let numbers: Vec<u64> = places.iter().map(|place| place.number).collect();
        let new = connections.enter().unwrap();
        assert_eq!(open(&connections), [numbers[0], numbers[1], new.number]);
        new.work();
        let newer = connections.enter().unwrap();
        assert_eq!(open(&connections), [numbers[1], new.number, newer.number]);
        newer.work();
        assert!(connections.enter().is_none());
        drop(new);
        assert!(connections.enter().is_some());
    }

    #[test]
    fn of_equal_connections_the_one_that_waits_longest_is_closed() {
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let connections = Connections::new(2, log);
        let (first, second) = (connections.enter().unwrap(), connections.enter().unwrap());
        first.wait();
        let third = connections.enter().unwrap();
        assert_eq!(open(&connections), [first.number, third.number]);
        second.work();
        assert_eq!(open(&connections).len(), 2, "a closed connection does not come back");
    }
}
