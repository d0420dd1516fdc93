//! Size limits of responses.
//!
//! **Invariant.** At most `item_bytes_max` bytes are read between two calls of
//! [`Meter::start_item`], so the memory that a parser needs for an item is bounded whatever the
//! server sends. What is skipped is not stored, so each read of it starts anew.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};

/// Size limit, in bytes, of the beginning of a response that is kept for messages.
const HEAD_BYTES_MAX: usize = 256;

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) answer_bytes_max: u64,
    pub(super) item_bytes_max: u64,
    /// Whether an item beyond its limit is replaced by a placeholder. Otherwise it is an error.
    pub(super) replaces_large: bool,
}

/// Counts the bytes read of a response.
#[derive(Debug)]
pub(super) struct Meter {
    limits: Limits,
    answer_bytes: Cell<u64>,
    item_bytes: Cell<u64>,
    exceeded: Cell<Option<u64>>,
    head: RefCell<Vec<u8>>,
}

impl Meter {
    pub(super) fn new(limits: Limits) -> Meter {
        Meter {
            limits,
            answer_bytes: Cell::new(0),
            item_bytes: Cell::new(0),
            exceeded: Cell::new(None),
            head: RefCell::new(Vec::new()),
        }
    }

    /// Starts a new item after the parser has released the last one. `bytes` of the new item have
    /// already been read.
    pub(super) fn start_item(&self, bytes: usize) {
        self.item_bytes.set(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Returns the number of further bytes that this item may have.
    pub(super) fn item_room(&self) -> usize {
        let room = self.limits.item_bytes_max.saturating_sub(self.item_bytes.get());
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn exceeded(&self) -> Option<u64> {
        self.exceeded.get()
    }

    /// Returns the beginning of the response.
    pub(super) fn head(&self) -> String {
        String::from_utf8_lossy(&self.head.borrow()).into_owned()
    }

    /// Counts bytes; fails once they exceed a limit.
    fn count(&self, bytes: &[u8]) -> io::Result<()> {
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

/// A reader whose bytes a meter counts.
#[derive(Debug)]
pub(super) struct Metered<'m, R> {
    inner: R,
    meter: &'m Meter,
}

impl<'m, R: Read> Metered<'m, R> {
    pub(super) fn new(inner: R, meter: &'m Meter) -> Metered<'m, R> {
        Metered { inner, meter }
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.meter.count(buf.get(..count).unwrap_or_default())?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { answer_bytes_max: 10, item_bytes_max: 4, replaces_large: false };

    #[test]
    fn an_item_beyond_its_limit_is_refused() {
        let meter = Meter::new(LIMITS);
        let mut reader = Metered::new(&b"12345"[..], &meter);
        assert_eq!(reader.read(&mut [0; 4]).unwrap(), 4);
        assert!(reader.read(&mut [0; 4]).is_err());
        assert_eq!(meter.exceeded(), Some(4));
    }

    #[test]
    fn a_response_beyond_its_limit_is_refused() {
        let meter = Meter::new(LIMITS);
        let mut reader = Metered::new(io::repeat(b'x'), &meter);
        let mut reads = 0;
        while reader.read(&mut [0; 2]).is_ok() {
            meter.start_item(0);
            reads += 1;
        }
        assert_eq!((reads, meter.exceeded()), (5, Some(10)));
        assert_eq!(meter.head(), "xxxxxxxxxxxx");
    }
}
