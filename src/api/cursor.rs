//! A position in JSON that is in memory, which moves from value to value.
//!
//! serde_json parses a value as a whole and does not say where its parts begin and end. A command is
//! stored byte for byte, so its text is needed as well as its content. The cursor reads the structure
//! of commands and around them itself, and leaves most values in it to serde_json: the bytes that it
//! then has passed are the text of the value, which is parsed only once.

mod deserializer;

use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny};
use serde_json::de::SliceRead;
use serde_json::{Deserializer, Error};

use super::skip;

/// A parser of the rest of the text.
type Parser<'b> = Deserializer<SliceRead<'b>>;

/// A position in JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'b> {
    bytes: &'b [u8],
    /// Number of bytes before the position.
    at: usize,
}

impl<'b> Cursor<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Cursor<'b> {
        Cursor { bytes, at: 0 }
    }

    /// Returns the number of bytes before the position: those that were read, also after an error.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Reads a value.
    pub(super) fn value<T: Deserialize<'b>>(&mut self) -> Result<T, Error> {
        self.parse(|json| T::deserialize(json))
    }

    /// Returns the text between an earlier position and this one.
    pub(super) fn text_since(&self, begin: Cursor<'b>) -> &'b [u8] {
        self.bytes.get(begin.at..self.at).unwrap_or_default()
    }

    pub(super) fn skip(&mut self) -> Result<(), Error> {
        let rest = self.rest();
        if let Some(after) = skip::value(rest) {
            self.at += rest.len().saturating_sub(after.len());
            return Ok(());
        }
        self.value::<IgnoredAny>().map(drop)
    }

    /// Reads a value with serde_json.
    fn parse<T>(
        &mut self,
        parse: impl FnOnce(&mut Parser<'b>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.skip_space();
        let mut parser = Deserializer::from_slice(self.rest());
        let parsed = parse(&mut parser);
        self.at += parser.into_iter::<IgnoredAny>().byte_offset();
        parsed
    }

    /// Reads an object; `member` must read the value of each key. `what` describes the object in an
    /// error.
    pub(super) fn object<K: Deserialize<'b>>(
        &mut self,
        what: &str,
        mut member: impl FnMut(&mut Self, K) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.expect(b'{', what)?;
        if self.takes(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key(PhantomData)?;
            member(self, key)?;
            if !self.takes(b',') {
                return self.expect(b'}', "`,` or `}`");
            }
        }
    }

    /// Reads a list; `element` must read each element. `what` describes the list in an error.
    pub(super) fn list(
        &mut self,
        what: &str,
        mut element: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.expect(b'[', what)?;
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if !self.takes(b',') {
                return self.expect(b']', "`,` or `]`");
            }
        }
    }

    /// Reads the key of a member and its colon.
    fn key<K: DeserializeSeed<'b>>(&mut self, seed: K) -> Result<K::Value, Error> {
        if self.next() != Some(b'"') {
            return Err(self.unexpected("a key"));
        }
        let key = self.parse(|json| seed.deserialize(json))?;
        self.expect(b':', "`:`")?;
        Ok(key)
    }

    /// Skips white space and reads the next byte if it is `wanted`; returns whether it was.
    fn takes(&mut self, wanted: u8) -> bool {
        let is_it = self.next() == Some(wanted);
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, wanted: u8, what: &str) -> Result<(), Error> {
        if self.takes(wanted) { Ok(()) } else { Err(self.unexpected(what)) }
    }

    /// Returns the error for a byte other than `what`, or for the end of the text.
    fn unexpected(&self, what: &str) -> Error {
        if self.rest().is_empty() { premature_end() } else { unexpected(what) }
    }

    /// Skips white space and returns the next byte.
    fn next(&mut self) -> Option<u8> {
        self.skip_space();
        self.rest().first().copied()
    }

    /// Skips white space.
    pub(super) fn skip_space(&mut self) {
        self.at += space(self.rest());
    }

    fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

/// Reads a value that borrows nothing from the text.
pub(super) fn owned<T: DeserializeOwned>(cursor: &mut Cursor<'_>) -> Result<T, Error> {
    cursor.value()
}

/// Returns the number of bytes of white space at the beginning.
pub(super) fn space(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count()
}

/// Returns the error for something other than `what`.
pub(super) fn unexpected(what: &str) -> Error {
    Error::custom(format_args!("expected {what}"))
}

/// Returns the parser's own error for a premature end.
pub(super) fn premature_end() -> Error {
    match serde_json::from_str::<IgnoredAny>("") {
        Err(error) => error,
        Ok(_) => Error::custom("it ends early"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#" { "a" : [ 1 , {"x":[ ]} , "y\"]" ] , "b" : { } , "c":[ ] } z"#;

    /// Reads an object of lists and objects; returns the texts of the elements of the lists.
    fn elements(text: &str) -> (Result<Vec<String>, Error>, usize) {
        let (mut cursor, mut found) = (Cursor::new(text.as_bytes()), Vec::new());
        let read = cursor.object("an object", |cursor, key: &str| match key {
            "b" => cursor.skip(),
            _ => cursor.list("a list", |cursor| {
                cursor.skip_space();
                let begin = *cursor;
                cursor.skip()?;
                found.push(String::from_utf8(cursor.text_since(begin).to_owned()).unwrap());
                Ok(())
            }),
        });
        (read.map(|()| found), cursor.at())
    }

    #[test]
    fn text_of_each_value_is_known() {
        let (found, at) = elements(TEXT);
        assert_eq!(found.unwrap(), ["1", r#"{"x":[ ]}"#, r#""y\"]""#]);
        assert_eq!(at, TEXT.len() - 2);
    }

    #[test]
    fn every_beginning_is_incomplete() {
        for end in 0..TEXT.len() - 2 {
            let (found, at) = elements(&TEXT[..end]);
            assert!(found.unwrap_err().is_eof() && at <= end, "{end}");
        }
    }

    #[test]
    fn anything_but_json_is_refused() {
        for bad in [
            "[]",
            "7",
            "{1:[]}",
            "{null:[]}",
            "{\"a\"[]}",
            "{\"a\":[],}",
            "{\"a\":[1,]}",
            "{,}",
            "{\"a\":[,]}",
            "{\"a\":[1 2]}",
            "{\"a\":[] \"c\":[]}",
            "{\"a\":{}}",
            "{\"a\":[1}",
        ] {
            let (found, _) = elements(bad);
            assert!(found.is_err_and(|error| !error.is_eof()), "{bad}");
        }
    }
}
