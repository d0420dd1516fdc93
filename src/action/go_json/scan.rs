//! The syntax of JSON, exactly as strict as Go's scanner.
//!
//! The scanner hands out one token at a time and keeps no tree. It calls no
//! function of its own again for what is nested, so a hostile text cannot
//! exhaust the stack; nesting is counted and ends where Go ends it.

use super::fault::{Fault, FaultAt};

/// How deep values may be nested, as in Go.
const DEPTH_MAX: usize = 10_000;

/// A position in a text.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

/// What a value begins with. The opening bracket is taken, the rest of the value is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// Whether an element would be the first of its object or array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    Later,
}

/// A string as it stands between its quotes, escapes and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawString<'a> {
    pub(super) raw: &'a [u8],
    /// The offset of its first quote.
    pub(super) at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8]) -> Scanner<'a> {
        Scanner { text, at: 0, depth: 0 }
    }

    /// Returns the offset of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns the text from `start` up to where the scanner is.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Returns the whole text.
    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Goes to the next value and tells what it is.
    pub(super) fn start(&mut self) -> Result<Start, FaultAt> {
        match self.next_byte()? {
            b'{' => self.open(Start::Object),
            b'[' => self.open(Start::Array),
            b'"' => Ok(Start::String),
            b'-' | b'0'..=b'9' => Ok(Start::Number),
            b't' => Ok(Start::True),
            b'f' => Ok(Start::False),
            b'n' => Ok(Start::Null),
            _ => Err(self.invalid("looking for beginning of value")),
        }
    }

    /// Takes the next key of an object and its colon; `None` at the object's end, which is taken.
    pub(super) fn key(&mut self, turn: Turn) -> Result<Option<RawString<'a>>, FaultAt> {
        match (self.next_byte()?, turn) {
            (b'}', _) => {
                self.close();
                return Ok(None);
            }
            (b',', Turn::Later) => self.at += 1,
            (_, Turn::Later) => return Err(self.invalid("after object key:value pair")),
            (_, Turn::First) => {}
        }
        if self.next_byte()? != b'"' {
            return Err(self.invalid("looking for beginning of object key string"));
        }
        let key = self.string()?;
        if self.next_byte()? != b':' {
            return Err(self.invalid("after object key"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Tells whether an array has a further element; its end is taken.
    pub(super) fn element(&mut self, turn: Turn) -> Result<bool, FaultAt> {
        match (self.next_byte()?, turn) {
            (b']', _) => {
                self.close();
                Ok(false)
            }
            (b',', Turn::Later) => {
                self.at += 1;
                Ok(true)
            }
            (_, Turn::Later) => Err(self.invalid("after array element")),
            (_, Turn::First) => Ok(true),
        }
    }

    /// Takes the string that begins here.
    pub(super) fn string(&mut self) -> Result<RawString<'a>, FaultAt> {
        let at = self.at;
        self.at += 1;
        loop {
            match self.byte()? {
                b'"' => break,
                b'\\' => self.escape()?,
                0..=0x1f => return Err(self.invalid("in string literal")),
                _ => self.at += 1,
            }
        }
        let raw = self.since(at + 1);
        self.at += 1;
        Ok(RawString { raw, at })
    }

    fn escape(&mut self) -> Result<(), FaultAt> {
        self.at += 1;
        match self.byte()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.byte()?.is_ascii_hexdigit() {
                        return Err(self.invalid("in \\u hexadecimal character escape"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.invalid("in string escape code")),
        }
        Ok(())
    }

    /// Takes the number that begins here.
    pub(super) fn number(&mut self) -> Result<&'a str, FaultAt> {
        let start = self.at;
        if self.byte()? == b'-' {
            self.at += 1;
        }
        if self.byte()? == b'0' {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(std::str::from_utf8(self.since(start)).unwrap_or_default())
    }

    fn digits(&mut self, context: &'static str) -> Result<(), FaultAt> {
        if !self.byte()?.is_ascii_digit() {
            return Err(self.invalid(context));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    /// Takes the word that begins here.
    pub(super) fn word(&mut self, word: Start) -> Result<(), FaultAt> {
        let letters: &[(u8, &'static str)] = match word {
            Start::True => &[
                (b'r', "in literal true (expecting 'r')"),
                (b'u', "in literal true (expecting 'u')"),
                (b'e', "in literal true (expecting 'e')"),
            ],
            Start::False => &[
                (b'a', "in literal false (expecting 'a')"),
                (b'l', "in literal false (expecting 'l')"),
                (b's', "in literal false (expecting 's')"),
                (b'e', "in literal false (expecting 'e')"),
            ],
            _ => &[
                (b'u', "in literal null (expecting 'u')"),
                (b'l', "in literal null (expecting 'l')"),
                (b'l', "in literal null (expecting 'l')"),
            ],
        };
        self.at += 1;
        for (letter, context) in letters {
            if self.byte()? != *letter {
                return Err(self.invalid(context));
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Makes sure that only blanks are left.
    pub(super) fn end(&mut self) -> Result<(), FaultAt> {
        self.skip_blanks();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.invalid("after top-level value")),
        }
    }

    fn open(&mut self, start: Start) -> Result<Start, FaultAt> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.invalid("exceeded max depth"));
        }
        self.at += 1;
        Ok(start)
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.at += 1;
    }

    fn next_byte(&mut self) -> Result<u8, FaultAt> {
        self.skip_blanks();
        self.byte()
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn byte(&self) -> Result<u8, FaultAt> {
        self.peek().ok_or(FaultAt { at: self.at, fault: Fault::End })
    }

    fn invalid(&self, context: &'static str) -> FaultAt {
        let fault = match self.peek() {
            Some(byte) => Fault::Character { byte, context },
            None => Fault::End,
        };
        FaultAt { at: self.at, fault }
    }
}
