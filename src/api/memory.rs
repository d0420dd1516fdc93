//! Limits how many large values are in memory at once, in the whole process.
//!
//! A value of the largest size needs three times its size for a moment: it is parsed in the buffer
//! that it was read into, copied to the buffer of a document, and the values that waited for it may
//! be as large. Any number of threads may receive one at the same time. So each thread that holds a
//! large value has one of a few permits, and the others wait.
//!
//! **Invariant.** A thread that has a permit waits only for the network and the disk, never for
//! another thread that may need a permit.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Size from which a value is large, in bytes.
pub(crate) const LARGE_BYTES: usize = 1 << 20;
/// Maximum number of threads that hold large values.
const PERMITS: usize = 4;

static STATE: Mutex<State> = Mutex::new(State { taken: 0, waiting: 0 });
static RETURNED: Condvar = Condvar::new();

thread_local! {
    /// Number of permits that this thread has; they count as one.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// Numbers of threads.
#[derive(Debug)]
struct State {
    taken: usize,
    waiting: usize,
}

/// The permit of this thread to hold large values.
#[derive(Debug)]
pub(crate) struct LargePermit {
    /// It stays in its thread.
    _thread: PhantomData<*const ()>,
}

impl LargePermit {
    /// Waits for a permit, unless this thread has one.
    pub(crate) fn wait() -> LargePermit {
        if HELD.get() == 0 {
            let mut state = state();
            state.waiting += 1;
            while state.taken >= PERMITS {
                state = RETURNED.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.waiting -= 1;
            state.taken += 1;
        }
        HELD.set(HELD.get() + 1);
        LargePermit { _thread: PhantomData }
    }

    /// Waits for a permit if `bytes` is the size of a large value.
    pub(crate) fn wait_for(bytes: u64) -> Option<LargePermit> {
        let is_large = usize::try_from(bytes).map_or(true, |bytes| bytes > LARGE_BYTES);
        is_large.then(LargePermit::wait)
    }
}

impl Drop for LargePermit {
    fn drop(&mut self) {
        HELD.set(HELD.get().saturating_sub(1));
        if HELD.get() == 0 {
            let mut state = state();
            state.taken = state.taken.saturating_sub(1);
            RETURNED.notify_one();
        }
    }
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::api::limit::{Limits, Meter};
    use crate::api::wanted::{Value, Wanted};
    use crate::api::wire::walk;
    use crate::testing::retried;

    const LIMITS: Limits =
        Limits { answer_bytes_max: 1 << 30, item_bytes_max: 64 << 20, replaces_large: true };
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Receives a large value and passes it to `sink`.
    fn receive(sink: &mut dyn FnMut()) {
        let value = format!(r#"{{"x":"{}"}}"#, "y".repeat(LARGE_BYTES));
        let page = format!(
            r#"{{"collection":{{"items":[{{"data":[{{"name":"x","value":{value}}}]}},{{"data":[]}}]}}}}"#
        );
        let mut pass = |_: Value<'_>| {
            sink();
            Ok(())
        };
        walk(page.as_bytes(), &Meter::new(LIMITS), Wanted::Named(|name| name == "x"), &mut pass)
            .unwrap();
    }

    #[test]
    fn few_large_values_are_in_memory_at_once() {
        let (entered, entries) = channel();
        let gate = Mutex::new(());
        thread::scope(|scope| {
            let closed = gate.lock().unwrap();
            for _ in 0..2 * PERMITS {
                let (entered, gate) = (entered.clone(), &gate);
                scope.spawn(move || {
                    receive(&mut || {
                        // A second large value of this thread needs no second permit.
                        let _nested = LargePermit::wait();
                        entered.send(()).unwrap();
                        drop(gate.lock());
                    });
                });
            }
            for _ in 0..PERMITS {
                entries.recv_timeout(PATIENCE).unwrap();
            }
            let others_wait = || if state().waiting >= PERMITS { Ok(()) } else { Err(()) };
            let waited = retried(others_wait, |()| true);
            let more = entries.try_recv();
            drop(closed);
            waited.unwrap();
            assert!(more.is_err(), "a fifth large value is in memory");
            for _ in 0..PERMITS {
                entries.recv_timeout(PATIENCE).unwrap();
            }
        });
        assert!(HELD.get() == 0);
    }

    #[test]
    fn permit_is_returned_when_the_next_value_is_small() {
        let large = format!(r#"{{"data":[{{"name":"x","value":"{}"}}]}}"#, "y".repeat(LARGE_BYTES));
        let small = r#"{"data":[{"name":"x","value":"z"}]}"#;
        let page = format!(r#"{{"collection":{{"items":[{small},{large},{small},{small}]}}}}"#);
        let mut held = Vec::new();
        let mut pass = |_: Value<'_>| {
            held.push(HELD.get());
            Ok(())
        };
        let meter = Meter::new(LIMITS);
        walk(page.as_bytes(), &meter, Wanted::Named(|name| name == "x"), &mut pass).unwrap();
        assert_eq!(held, [0, 1, 0, 0]);
    }
}
