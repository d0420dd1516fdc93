//! The events that any client can cause again and again: each kind is logged when it first occurs
//! and then at growing intervals.

use std::collections::HashMap;
use std::mem::Discriminant;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::route::Route;
use crate::logging::LogInterval;

/// An event that a client without authentication can cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Repeatable {
    /// A heartbeat with the queue of this host's agent.
    LocalQueue,
    /// An API key that cannot be looked up.
    KeyLookup,
    /// A request that the server has no room for.
    Busy,
    /// A request to this route that has failed with this status.
    Failure(Discriminant<Route>, u16),
}

/// When these events are logged.
#[derive(Debug, Default)]
pub(in crate::platform) struct Repeats(Mutex<HashMap<Repeatable, LogInterval>>);

impl Repeats {
    /// Records an event. If it is to be logged, returns the number of those that were suppressed
    /// before it.
    pub(super) fn record(&self, event: Repeatable, now: Timestamp) -> Option<u64> {
        let mut intervals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        intervals.entry(event).or_default().record(now)
    }
}
