//! An answer that is read no further than its limits.
//!
//! **Invariant.** Between two calls of [`Meter::item_done`] at most
//! `item_bytes_max` bytes pass, so what a parser holds of an item is bounded
//! whatever the other side sends.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};

/// How much of the beginning is kept for messages, in bytes.
const HEAD_BYTES_MAX: usize = 256;

/// How much of an answer is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The most for the whole answer.
    pub(super) answer_bytes_max: u64,
    /// The most for one of its items.
    pub(super) item_bytes_max: u64,
}

/// What has passed of an answer.
#[derive(Debug)]
pub(super) struct Meter {
    limits: Limits,
    answer_bytes: Cell<u64>,
    item_bytes: Cell<u64>,
    exceeded: Cell<Option<u64>>,
    head: RefCell<Vec<u8>>,
}

impl Meter {
    /// Returns a meter through which nothing has passed.
    pub(super) fn new(limits: Limits) -> Meter {
        Meter {
            limits,
            answer_bytes: Cell::new(0),
            item_bytes: Cell::new(0),
            exceeded: Cell::new(None),
            head: RefCell::new(Vec::new()),
        }
    }

    /// Begins a new item, of which `bytes` have passed: the parser let go of the last one.
    pub(super) fn item_done(&self, bytes: usize) {
        self.item_bytes.set(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Returns how many bytes it takes to exceed the limit of this item.
    pub(super) fn item_room(&self) -> usize {
        let room = self.limits.item_bytes_max.saturating_sub(self.item_bytes.get());
        usize::try_from(room).unwrap_or(usize::MAX).saturating_add(1)
    }

    /// Returns the limit that was exceeded, if one was.
    pub(super) fn exceeded(&self) -> Option<u64> {
        self.exceeded.get()
    }

    /// Returns how the answer begins.
    pub(super) fn head(&self) -> String {
        String::from_utf8_lossy(&self.head.borrow()).into_owned()
    }

    /// Counts bytes that pass; fails once they are too many.
    fn pass(&self, bytes: &[u8]) -> io::Result<()> {
        let mut head = self.head.borrow_mut();
        let room = HEAD_BYTES_MAX.saturating_sub(head.len());
        head.extend(bytes.iter().take(room));
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        for (passed, limit) in [
            (&self.answer_bytes, self.limits.answer_bytes_max),
            (&self.item_bytes, self.limits.item_bytes_max),
        ] {
            passed.set(passed.get().saturating_add(count));
            if passed.get() > limit {
                self.exceeded.set(Some(limit));
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
        Ok(())
    }
}

/// A reader that a meter watches.
#[derive(Debug)]
pub(super) struct Metered<'m, R> {
    inner: R,
    meter: &'m Meter,
}

impl<'m, R: Read> Metered<'m, R> {
    /// Returns `inner`, watched by `meter`.
    pub(super) fn new(inner: R, meter: &'m Meter) -> Metered<'m, R> {
        Metered { inner, meter }
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.meter.pass(buf.get(..count).unwrap_or_default())?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { answer_bytes_max: 10, item_bytes_max: 4 };

    #[test]
    fn an_item_may_not_exceed_its_limit() {
        let meter = Meter::new(LIMITS);
        let mut reader = Metered::new(&b"12345"[..], &meter);
        assert_eq!(reader.read(&mut [0; 4]).unwrap(), 4);
        assert!(reader.read(&mut [0; 4]).is_err());
        assert_eq!(meter.exceeded(), Some(4));
    }

    #[test]
    fn the_whole_may_not_exceed_its_limit_in_however_many_items() {
        let meter = Meter::new(LIMITS);
        let mut reader = Metered::new(io::repeat(b'x'), &meter);
        let mut reads = 0;
        while reader.read(&mut [0; 2]).is_ok() {
            meter.item_done(0);
            reads += 1;
        }
        assert_eq!((reads, meter.exceeded()), (5, Some(10)));
        assert_eq!(meter.head(), "xxxxxxxxxxxx");
    }
}
