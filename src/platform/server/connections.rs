//! The open connections of the API.
//!
//! Their number is limited. On loopback all clients have the same address, so none can be preferred
//! by it. A client is *known* once a request on its connection was authenticated. A reverse proxy that
//! reuses its connections counts as one client.
//!
//! If a new connection finds no place, another one is closed:
//!
//! 1. of those of unknown clients for which the server waits, the one that has been idle longest;
//! 2. then the one of an unknown client that has taken up nothing of its response for longest;
//! 3. then, in the same order, those of known clients, but only if they have all places.
//!
//! A connection whose request is being processed, or waits for its turn, is never closed. If there is
//! none to close, the new connection waits until there is one, and the kernel keeps those behind it.
//! So:
//!
//! - A connection without a request is closed when another client needs its place.
//! - False tokens do not push out the requests that wait before them: otherwise a flood of new
//!   connections would close all of them, and no new client would ever be served. They delay new
//!   clients only until the requests before them were checked, because requests of unknown clients
//!   have their turn in the order of their arrival, and wait for a limited time (see `exchange`).
//! - They do not close the idle connections of known clients, which have threads of their own.
//!
//! A connection that only drops what its client still sends counts as one of an unknown client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::clock::Clock;
use crate::logging::{LogInterval, Suppressed};

/// What a connection is doing. The order is that in which connections are closed to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Activity {
    /// The server waits for the client.
    Idle,
    /// The client takes up a response.
    Sending,
    /// A request is processed or waits for its turn.
    Working,
}

#[derive(Debug)]
struct Entry {
    is_known: bool,
    activity: Activity,
    /// The number of the last event of the connection.
    since: u64,
    task: Option<AbortHandle>,
}

#[derive(Debug, Default)]
struct Entries {
    /// The number of the next connection or event.
    next: u64,
    open: HashMap<u64, Entry>,
    /// When it is logged that no place is free.
    full: LogInterval,
}

impl Entries {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Closes the connection that is the first to be closed; returns `false` if there is none.
    fn evict(&mut self) -> bool {
        let is_unknown_served = self.open.values().any(|entry| !entry.is_known && entry.is_busy());
        let idle = self.open.iter().filter(|(_, entry)| !entry.is_busy());
        let first = idle.min_by_key(|(_, entry)| (entry.is_known, entry.activity, entry.since));
        let Some((number, _)) = first.filter(|(_, entry)| !(entry.is_known && is_unknown_served))
        else {
            return false;
        };
        let number = *number;
        if let Some(task) = self.open.remove(&number).and_then(|entry| entry.task) {
            task.abort();
        }
        true
    }
}

impl Entry {
    fn is_busy(&self) -> bool {
        self.activity == Activity::Working
    }
}

#[derive(Debug)]
pub(super) struct Connections {
    limit: usize,
    entries: Mutex<Entries>,
    /// Signalled when a connection has changed, which may make room for another one.
    changed: Notify,
    clock: Arc<dyn Clock>,
    log: slog::Logger,
}

impl Connections {
    /// Returns a table with `limit` places.
    pub(super) fn new(limit: usize, clock: Arc<dyn Clock>, log: slog::Logger) -> Arc<Connections> {
        let (entries, changed) = (Mutex::default(), Notify::new());
        Arc::new(Connections { limit, entries, changed, clock, log })
    }

    /// Waits until there is a place for a new connection, for which another one may be closed.
    pub(super) async fn enter(self: &Arc<Connections>) -> Place {
        loop {
            if let Some(place) = self.try_enter() {
                return place;
            }
            self.changed.notified().await;
        }
    }

    /// Returns a place for a new connection; `None` if no other one may be closed for it.
    fn try_enter(self: &Arc<Connections>) -> Option<Place> {
        let mut entries = self.entries();
        if entries.open.len() >= self.limit {
            if let Some(suppressed) = entries.full.record(self.clock.now()) {
                slog::warn!(self.log, "all connections are in use; closing idle ones";
                    "connections" => self.limit, Suppressed(suppressed));
            }
            if !entries.evict() {
                return None;
            }
        }
        let (number, since) = (entries.number(), entries.number());
        let entry = Entry { is_known: false, activity: Activity::Idle, since, task: None };
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

    /// Records that a request has arrived.
    pub(super) fn work(&self) {
        self.change(|entry| entry.activity = Activity::Working);
    }

    /// Records that a request was authenticated.
    pub(super) fn know(&self) {
        self.change(|entry| entry.is_known = true);
    }

    /// Returns whether a request was authenticated.
    pub(super) fn is_known(&self) -> bool {
        self.connections.entries().open.get(&self.number).is_some_and(|entry| entry.is_known)
    }

    /// Records that the client has a response to take up, or has taken up a part of it.
    pub(super) fn send(&self) {
        self.change(|entry| entry.activity = Activity::Sending);
    }

    /// Records that the server waits for the client from now on.
    pub(super) fn wait(&self) {
        self.change(|entry| entry.activity = Activity::Idle);
    }

    /// Records that there are no further requests, and only the client's last bytes are dropped.
    pub(super) fn linger(&self) {
        self.change(|entry| (entry.is_known, entry.activity) = (false, Activity::Idle));
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.connections.entries();
        let since = entries.number();
        // A connection that is being closed has no entry any more.
        if let Some(entry) = entries.open.get_mut(&self.number) {
            entry.since = since;
            change(entry);
        }
        self.connections.changed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.entries().open.remove(&self.number);
        self.connections.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn table(limit: usize) -> Arc<Connections> {
        let log = slog::Logger::root(slog::Discard, slog::o!());
        Connections::new(limit, Arc::new(SystemClock), log)
    }

    fn open(connections: &Connections) -> Vec<u64> {
        let mut open: Vec<u64> = connections.entries().open.keys().copied().collect();
        open.sort_unstable();
        open
    }

    /// Fills a table, and returns its places.
    fn filled<const N: usize>() -> (Arc<Connections>, [Place; N]) {
        let connections = table(N);
        let places = std::array::from_fn(|_| connections.try_enter().unwrap());
        (connections, places)
    }

    #[test]
    fn idle_unknown_clients_are_closed_first_and_those_with_a_request_never() {
        let (connections, [known, working, sending, idle]) = filled();
        known.know();
        known.wait();
        working.work();
        sending.send();
        idle.wait();
        let first = connections.try_enter().unwrap();
        assert_eq!(open(&connections), [&known, &working, &sending, &first].map(|p| p.number));
        first.work();
        let second = connections.try_enter().unwrap();
        assert_eq!(open(&connections), [&known, &working, &first, &second].map(|p| p.number));
        second.work();
        assert!(connections.try_enter().is_none(), "the known client keeps its place");
        for place in [&working, &first, &second] {
            place.know();
        }
        let third = connections.try_enter().unwrap();
        assert_eq!(open(&connections), [&working, &first, &second, &third].map(|p| p.number));
    }

    #[test]
    fn of_equal_connections_the_one_that_waits_longest_is_closed() {
        let (connections, [first, second]) = filled();
        first.wait();
        let third = connections.try_enter().unwrap();
        assert_eq!(open(&connections), [first.number, third.number]);
        second.work();
        assert_eq!(open(&connections).len(), 2, "a closed connection does not come back");
    }

    #[test]
    fn connection_that_lingers_is_closed_like_an_unknown_one() {
        let (connections, [known, lingering]) = filled();
        known.know();
        lingering.know();
        known.wait();
        lingering.linger();
        let new = connections.try_enter().unwrap();
        assert_eq!(open(&connections), [known.number, new.number]);
    }

    #[test]
    fn new_connection_waits_until_a_request_is_finished() {
        let (connections, [first, second]) = filled();
        first.work();
        second.work();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let waiting = {
                let connections = Arc::clone(&connections);
                async move { connections.enter().await.number }
            };
            let entered = tokio::spawn(waiting);
            tokio::task::yield_now().await;
            assert!(!entered.is_finished());
            first.send();
            assert!(entered.await.unwrap() > second.number);
        });
        assert_eq!(open(&connections), [second.number], "the new place was dropped");
    }
}
