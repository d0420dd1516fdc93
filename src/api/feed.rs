//! JSON values parsed one by one from a stream.
//!
//! serde_json's parser is several times faster on memory than on a stream, which it reads byte by
//! byte. So the feed buffers the stream until a value is complete, and parses the value in its
//! buffer.
//!
//! **Invariant.** The buffer holds one value and the bytes that were read along with it: the meter
//! refuses a value beyond its limit, unless the feed skips it. An incomplete value is parsed again
//! only when the buffer has doubled, so the cost per byte does not depend on the length of a value.

use std::io::{self, ErrorKind, Read};

use serde::de::Error as _;
use serde_json::Error;

use super::cursor::{self, Cursor};
use super::limit::{Meter, Metered};
use super::memory::{LARGE_BYTES, LargePermit};

/// A document that could not be read to its end.
#[derive(Debug)]
pub(super) enum WireError {
    /// It is not a document of the API.
    Json(serde_json::Error),
    /// The connection broke, or a limit was exceeded.
    Read(io::Error),
    Sink(io::Error),
}

/// Size limit, in bytes, of a read from the connection. What is buffered of an incomplete value is
/// parsed again after the next read, so reads contain many values.
const READ_BYTES: usize = 256 << 10;

/// A buffered stream of JSON.
#[derive(Debug)]
pub(super) struct Feed<'m, R> {
    reader: Metered<'m, R>,
    meter: &'m Meter,
    bytes: Vec<u8>,
    /// The range of `bytes` that is not consumed.
    begin: usize,
    end: usize,
    is_ended: bool,
    /// Held while the buffer is large.
    permit: Option<LargePermit>,
}

impl<'m, R: Read> Feed<'m, R> {
    /// Returns a feed that reads `reader` through `meter`.
    pub(super) fn new(reader: R, meter: &'m Meter) -> Feed<'m, R> {
        let (bytes, reader) = (vec![0; READ_BYTES], Metered::new(reader, meter));
        Feed { reader, meter, bytes, begin: 0, end: 0, is_ended: false, permit: None }
    }

    /// Skips white space and consumes the next byte if it is `wanted`; returns whether it was.
    pub(super) fn takes(&mut self, wanted: u8) -> Result<bool, WireError> {
        let is_it = self.peek()? == Some(wanted);
        if is_it {
            self.begin += 1;
        }
        Ok(is_it)
    }

    /// Skips white space and consumes the next byte, which must be `wanted`; `what` describes the
    /// expected syntax in the error.
    pub(super) fn expect(&mut self, wanted: u8, what: &str) -> Result<(), WireError> {
        match self.takes(wanted)? {
            true => Ok(()),
            false => Err(self.unexpected(what)),
        }
    }

    /// Consumes a value that `parse` reads. `parse` is called again whenever the value turns out to
    /// be incomplete.
    pub(super) fn value<T>(
        &mut self,
        mut parse: impl FnMut(&mut Cursor<'_>) -> Result<T, Error>,
    ) -> Result<T, WireError> {
        loop {
            match self.value_within_limit(&mut parse)? {
                Some(value) => return Ok(value),
                // The meter refuses the next byte, unless the stream ends here.
                None => self.fill()?,
            }
        }
    }

    /// As [`Feed::value`]; returns `None` if the value exceeds the limit of an item. Then the feed
    /// has buffered the beginning of the value.
    pub(super) fn value_within_limit<T>(
        &mut self,
        mut parse: impl FnMut(&mut Cursor<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, WireError> {
        self.peek()?;
        loop {
            let rest = self.rest();
            let mut cursor = Cursor::new(rest);
            let parsed = parse(&mut cursor);
            let length = cursor.at();
            match parsed {
                // The end of a number is known only from the byte that follows.
                Ok(value) if self.is_ended || length < rest.len() || is_closed(rest) => {
                    self.begin += length;
                    self.meter.start_item(self.rest().len());
                    self.release();
                    return Ok(Some(value));
                }
                // An error at the very end may be due to an incomplete value: the parser reports
                // half a number, such as `1.`, as an invalid one.
                Err(error) if self.is_ended || length < rest.len() && !error.is_eof() => {
                    return Err(error.into());
                }
                Ok(_) | Err(_) if self.meter.item_room() == 0 => return Ok(None),
                Ok(_) | Err(_) => self.fill()?,
            }
        }
    }

    /// Returns whether values beyond the limit of an item are replaced.
    pub(super) fn replaces_large(&self) -> bool {
        self.meter.limits().replaces_large && self.rest().starts_with(b"{")
    }

    pub(super) fn item_bytes_max(&self) -> u64 {
        self.meter.limits().item_bytes_max
    }

    /// Returns the beginning of the next value, as far as it is buffered.
    pub(super) fn beginning(&self) -> &[u8] {
        self.rest()
    }

    /// Skips an object of any size without storing it. Returns the number of bytes skipped, and
    /// whether they are all of it.
    ///
    /// The object's own syntax is not checked.
    pub(super) fn skip_object(&mut self) -> (u64, Result<(), WireError>) {
        let (mut nesting, mut skipped) = (Nesting::default(), 0);
        loop {
            let rest = self.rest();
            let end = nesting.end_in(rest);
            let count = end.unwrap_or(rest.len());
            self.begin += count;
            skipped += u64::try_from(count).unwrap_or(u64::MAX);
            self.release();
            if end.is_some() {
                self.meter.start_item(self.rest().len());
                return (skipped, Ok(()));
            }
            if self.is_ended {
                return (skipped, Err(cursor::premature_end().into()));
            }
            self.meter.start_item(0);
            if let Err(error) = self.fill() {
                return (skipped, Err(error));
            }
        }
    }

    /// Releases the memory that a large value needed, unless what follows it is large as well.
    fn release(&mut self) {
        if self.permit.is_none() || self.rest().len() > LARGE_BYTES {
            return;
        }
        let rest = self.rest().to_vec();
        (self.begin, self.end) = (0, rest.len());
        self.bytes = rest;
        self.bytes.resize(self.end.max(READ_BYTES), 0);
        self.permit = None;
    }

    /// Checks that only white space follows, up to the end of the stream.
    pub(super) fn finish(&mut self) -> Result<(), WireError> {
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(Error::custom("trailing characters").into()),
        }
    }

    /// Returns the error for a byte other than `what`, or for the end of the stream.
    fn unexpected(&self, what: &str) -> WireError {
        let is_end = self.rest().is_empty();
        if is_end { cursor::premature_end().into() } else { cursor::unexpected(what).into() }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.begin..self.end).unwrap_or_default()
    }

    /// Skips white space and returns the next byte, if there is one.
    fn peek(&mut self) -> Result<Option<u8>, WireError> {
        loop {
            let rest = self.rest();
            let blank = cursor::space(rest);
            let next = rest.get(blank).copied();
            self.begin += blank;
            if next.is_some() || self.is_ended {
                return Ok(next);
            }
            self.fill()?;
        }
    }

    /// Reads until the unconsumed bytes have doubled, the item reaches its limit, or the stream ends.
    fn fill(&mut self) -> Result<(), WireError> {
        self.bytes.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        let wanted = self.end.saturating_mul(2).max(1);
        // At the limit, the meter refuses one more byte.
        let room = self.meter.item_room().max(1).saturating_add(self.end);
        let room = wanted.max(READ_BYTES).min(room);
        if room > LARGE_BYTES && self.permit.is_none() {
            self.permit = Some(LargePermit::wait());
        }
        if room > self.bytes.len() {
            self.bytes.resize(room, 0);
        }
        while self.end < wanted.min(room) && !self.is_ended {
            let free = self.bytes.get_mut(self.end..room).unwrap_or_default();
            match self.reader.read(free) {
                Ok(count) => {
                    self.end += count;
                    self.is_ended = count == 0;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(WireError::Read(error)),
            }
        }
        Ok(())
    }
}

/// The position in an object that is read in pieces.
#[derive(Debug, Default)]
struct Nesting {
    /// Number of open objects and lists.
    depth: u64,
    in_string: bool,
    is_escaped: bool,
}

impl Nesting {
    /// Returns the length of the part of `bytes` that belongs to the object, if the object ends in
    /// it.
    fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = self.in_string,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// Returns whether a value that ends with the buffer is certainly complete.
fn is_closed(value: &[u8]) -> bool {
    value.ends_with(b"}") || value.ends_with(b"]") || value.ends_with(b"\"")
}

impl From<Error> for WireError {
    fn from(error: Error) -> WireError {
        WireError::Json(error)
    }
}
