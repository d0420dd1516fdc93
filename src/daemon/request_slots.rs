//! Slots for requests to the API: only so many are under way at once.
//!
//! More runs than that are being submitted, so that the next ones are signed and recorded while
//! requests of others are under way. Their requests wait here, in the order in which they were
//! queued. When the circuit breaker trips, they are turned away, so that an API that is down is not
//! sent one after the other.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The slots of a runner.
#[derive(Debug, Clone)]
pub(super) struct RequestSlots(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug)]
struct State {
    /// Number of slots that are free.
    free: usize,
    /// The requests that wait, by number.
    waiting: VecDeque<u64>,
    /// Number of the next request.
    next: u64,
    /// Requests with smaller numbers no longer wait.
    turned_away: u64,
}

/// A request that waits for its slot, or has it until it is dropped.
#[derive(Debug)]
pub(super) struct QueuedRequest {
    slots: RequestSlots,
    number: u64,
    has_slot: bool,
}

impl RequestSlots {
    pub(super) fn new(count: usize) -> RequestSlots {
        let state = State { free: count, waiting: VecDeque::new(), next: 0, turned_away: 0 };
        RequestSlots(Arc::new((Mutex::new(state), Condvar::new())))
    }

    /// Queues a request behind those that wait.
    pub(super) fn queue(&self) -> QueuedRequest {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.waiting.push_back(number);
        QueuedRequest { slots: self.clone(), number, has_slot: false }
    }

    /// Turns away all requests that wait.
    pub(super) fn turn_away(&self) {
        let mut state = self.lock();
        state.waiting.clear();
        state.turned_away = state.next;
        drop(state);
        self.0.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueuedRequest {
    /// Waits until a slot is free and all requests before this one have theirs. Returns `false` if
    /// the request was turned away and must not be sent.
    pub(super) fn wait(&mut self) -> bool {
        let is_waiting = |state: &mut State| {
            let is_first = state.waiting.front() == Some(&self.number);
            self.number >= state.turned_away && !(is_first && state.free > 0)
        };
        let waited = self.slots.0.1.wait_while(self.slots.lock(), is_waiting);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if self.number < state.turned_away {
            return false;
        }
        state.waiting.pop_front();
        state.free -= 1;
        drop(state);
        self.has_slot = true;
        // The next one may have a free slot too.
        self.slots.0.1.notify_all();
        true
    }

    /// Turns away all requests that wait.
    pub(super) fn turn_others_away(&self) {
        self.slots.turn_away();
    }
}

impl Drop for QueuedRequest {
    fn drop(&mut self) {
        let mut state = self.slots.lock();
        if self.has_slot {
            state.free += 1;
        } else {
            // Its worker could not be started.
            state.waiting.retain(|number| *number != self.number);
        }
        drop(state);
        self.slots.0.1.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn requests_get_their_slots_in_order() {
        let slots = RequestSlots::new(2);
        let (mut first, mut second) = (slots.queue(), slots.queue());
        assert!(first.wait() && second.wait());
        let (sender, served) = channel();
        let queued: Vec<_> = (0..3).map(|number| (number, slots.queue())).collect();
        // Their threads begin in another order.
        let waiting: Vec<_> = queued
            .into_iter()
            .rev()
            .map(|(number, mut request)| {
                let sender = sender.clone();
                thread::spawn(move || {
                    assert!(request.wait());
                    sender.send(number).unwrap();
                    // It keeps its slot until the test ends.
                    request
                })
            })
            .collect();
        // A request that is dropped before it begins does not stop those behind it.
        let abandoned = slots.queue();
        assert!(served.try_recv().is_err());
        drop(second);
        assert_eq!(served.recv(), Ok(0));
        drop(abandoned);
        drop(first);
        assert_eq!(served.recv(), Ok(1));
        assert_eq!(slots.lock().free, 0);
        let kept = waiting.into_iter().rev();
        let mut requests = kept.map(|thread| thread.join().unwrap());
        drop(requests.next());
        assert_eq!(served.recv(), Ok(2));
        drop(requests.next());
        drop(requests.next());
        assert_eq!(slots.lock().free, 2);
    }

    #[test]
    fn requests_that_wait_are_turned_away_and_later_ones_are_not() {
        let slots = RequestSlots::new(1);
        let mut first = slots.queue();
        assert!(first.wait());
        let mut waiting = slots.queue();
        let waiter = thread::spawn(move || waiting.wait());
        slots.turn_away();
        assert!(!waiter.join().unwrap());
        let mut later = slots.queue();
        drop(first);
        assert!(later.wait());
        assert_eq!(slots.lock().free, 0);
    }
}
