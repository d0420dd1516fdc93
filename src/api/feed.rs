//! JSON values taken one by one from a stream.
//!
//! A parser that reads a stream takes it byte by byte; one that reads memory takes
//! it several times as fast. So what arrives is kept until a value is whole, and
//! the value is parsed where it lies.
//!
//! **Invariant.** What is kept is one value and what was read with it: the meter
//! refuses a value beyond its limit. A value that is not whole is looked at again
//! only when twice as much has come, so a long one costs no more for each byte.

use std::io::{ErrorKind, Read};

use serde::de::{Error as _, IgnoredAny};
use serde_json::de::SliceRead;
use serde_json::{Deserializer, Error};

use super::limit::{Meter, Metered};
use super::wire::WireError;

/// What parses a value where it lies.
pub(super) type Parser<'b> = Deserializer<SliceRead<'b>>;

/// How much is read from the connection at once, in bytes.
const READ_BYTES: usize = 64 << 10;

/// What has arrived of a stream and was not taken yet.
#[derive(Debug)]
pub(super) struct Feed<'m, R> {
    reader: Metered<'m, R>,
    meter: &'m Meter,
    bytes: Vec<u8>,
    /// Where in `bytes` what was not taken begins and ends.
    begin: usize,
    end: usize,
    /// Whether there is no more to come.
    is_over: bool,
}

impl<'m, R: Read> Feed<'m, R> {
    /// Returns the feed of a stream that `meter` watches.
    pub(super) fn new(reader: R, meter: &'m Meter) -> Feed<'m, R> {
        let (bytes, reader) = (vec![0; READ_BYTES], Metered::new(reader, meter));
        Feed { reader, meter, bytes, begin: 0, end: 0, is_over: false }
    }

    /// Takes the byte after white space if it is `wanted`; tells whether it was.
    pub(super) fn takes(&mut self, wanted: u8) -> Result<bool, WireError> {
        let is_it = self.peek()? == Some(wanted);
        if is_it {
            self.begin += 1;
        }
        Ok(is_it)
    }

    /// Takes the byte after white space, which must be `wanted`, as a part of `what`.
    pub(super) fn expect(&mut self, wanted: u8, what: &str) -> Result<(), WireError> {
        match self.takes(wanted)? {
            true => Ok(()),
            false => Err(self.unexpected(what)),
        }
    }

    /// Takes a value as `parse` reads it, which is asked anew as long as the value is not whole.
    pub(super) fn value<T>(
        &mut self,
        mut parse: impl FnMut(&mut Parser<'_>) -> Result<T, Error>,
    ) -> Result<T, WireError> {
        self.peek()?;
        loop {
            let rest = self.rest();
            let mut parser = Deserializer::from_slice(rest);
            let parsed = parse(&mut parser);
            let length = parser.into_iter::<IgnoredAny>().byte_offset();
            match parsed {
                // The end of a number is known only by what follows.
                Ok(value) if self.is_over || length < rest.len() || is_closed(rest) => {
                    self.begin += length;
                    self.meter.item_done(self.rest().len());
                    return Ok(value);
                }
                Err(error) if self.is_over || !error.is_eof() => return Err(error.into()),
                Ok(_) | Err(_) => self.fill()?,
            }
        }
    }

    /// Reads to the end, before which there may be nothing but white space.
    pub(super) fn finish(&mut self) -> Result<(), WireError> {
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(Error::custom("trailing characters").into()),
        }
    }

    /// Returns the error that something else stands where `what` should be, or nothing at all.
    fn unexpected(&self, what: &str) -> WireError {
        if self.rest().is_empty() {
            return ended();
        }
        Error::custom(format_args!("expected {what}")).into()
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.begin..self.end).unwrap_or_default()
    }

    /// Returns the next byte that is no white space, if there is one.
    fn peek(&mut self) -> Result<Option<u8>, WireError> {
        loop {
            let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
            let rest = self.rest();
            let blank = rest.iter().take_while(|byte| space(byte)).count();
            let next = rest.get(blank).copied();
            self.begin += blank;
            if next.is_some() || self.is_over {
                return Ok(next);
            }
            self.fill()?;
        }
    }

    /// Reads until there is twice as much as there was, or no more.
    fn fill(&mut self) -> Result<(), WireError> {
        self.bytes.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        let wanted = self.end.saturating_mul(2).max(1);
        // The meter refuses what is beyond its limit, not what would fit into it.
        let room = wanted.max(READ_BYTES).min(self.meter.item_room().saturating_add(self.end));
        if room > self.bytes.len() {
            self.bytes.resize(room, 0);
        }
        while self.end < wanted.min(room) && !self.is_over {
            let free = self.bytes.get_mut(self.end..room).unwrap_or_default();
            match self.reader.read(free) {
                Ok(count) => {
                    self.end += count;
                    self.is_over = count == 0;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(WireError::Read(error)),
            }
        }
        Ok(())
    }
}

/// Tells whether a value that ends where its text does shows its own end.
fn is_closed(value: &[u8]) -> bool {
    value.ends_with(b"}") || value.ends_with(b"]") || value.ends_with(b"\"")
}

/// Returns the parser's own error for a text that ends too early.
fn ended() -> WireError {
    match serde_json::from_str::<IgnoredAny>("") {
        Err(error) => error.into(),
        Ok(_) => Error::custom("it ends early").into(),
    }
}

impl From<Error> for WireError {
    fn from(error: Error) -> WireError {
        WireError::Json(error)
    }
}
