//! A JSON scanner, exactly as strict as Go's.
//!
//! The scanner returns one token at a time and builds no tree. It does not recurse into nested
//! values, so a hostile text cannot exhaust the stack. It limits nesting to the depth that Go
//! allows.

use super::error::{JsonFault, LocatedFault};

/// Maximum nesting depth, as in Go.
const DEPTH_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

/// The kind of a value, known from its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// Whether a member would be the first of its object or array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    First,
    Later,
}

/// The text between the quotes of a string, with its escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawString<'a> {
    pub(super) raw: &'a [u8],
    /// The offset of its opening quote.
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

    /// Returns the text from `start` to the current position.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Moves to the next value and returns its kind. The opening bracket of an object or array is
    /// consumed, nothing else of the value is.
    pub(super) fn start_value(&mut self) -> Result<ValueKind, LocatedFault> {
        match self.next_byte()? {
            b'{' => self.open(ValueKind::Object),
            b'[' => self.open(ValueKind::Array),
            b'"' => Ok(ValueKind::String),
            b'-' | b'0'..=b'9' => Ok(ValueKind::Number),
            b't' => Ok(ValueKind::True),
            b'f' => Ok(ValueKind::False),
            b'n' => Ok(ValueKind::Null),
            _ => Err(self.invalid("looking for beginning of value")),
        }
    }

    /// Consumes the next key of an object and its colon. Consumes the closing brace and returns
    /// `None` at the object's end.
    pub(super) fn key(&mut self, member: Member) -> Result<Option<RawString<'a>>, LocatedFault> {
        match (self.next_byte()?, member) {
            (b'}', _) => {
                self.close();
                return Ok(None);
            }
            (b',', Member::Later) => self.at += 1,
            (_, Member::Later) => return Err(self.invalid("after object key:value pair")),
            (_, Member::First) => {}
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

    /// Returns whether an array has another element; consumes the closing bracket if not.
    pub(super) fn has_element(&mut self, member: Member) -> Result<bool, LocatedFault> {
        match (self.next_byte()?, member) {
            (b']', _) => {
                self.close();
                Ok(false)
            }
            (b',', Member::Later) => {
                self.at += 1;
                Ok(true)
            }
            (_, Member::Later) => Err(self.invalid("after array element")),
            (_, Member::First) => Ok(true),
        }
    }

    /// Consumes the string at the current position.
    pub(super) fn string(&mut self) -> Result<RawString<'a>, LocatedFault> {
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

    fn escape(&mut self) -> Result<(), LocatedFault> {
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

    /// Consumes the number at the current position.
    pub(super) fn number(&mut self) -> Result<&'a str, LocatedFault> {
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

    fn digits(&mut self, context: &'static str) -> Result<(), LocatedFault> {
        if !self.byte()?.is_ascii_digit() {
            return Err(self.invalid(context));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    /// Consumes `true`, `false` or `null` at the current position.
    pub(super) fn word(&mut self, word: ValueKind) -> Result<(), LocatedFault> {
        let letters: &[(u8, &'static str)] = match word {
            ValueKind::True => &[
                (b'r', "in literal true (expecting 'r')"),
                (b'u', "in literal true (expecting 'u')"),
                (b'e', "in literal true (expecting 'e')"),
            ],
            ValueKind::False => &[
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

    /// Checks that only white space follows.
    pub(super) fn end(&mut self) -> Result<(), LocatedFault> {
        self.skip_blanks();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.invalid("after top-level value")),
        }
    }

    fn open(&mut self, kind: ValueKind) -> Result<ValueKind, LocatedFault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.invalid("exceeded max depth"));
        }
        self.at += 1;
        Ok(kind)
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.at += 1;
    }

    fn next_byte(&mut self) -> Result<u8, LocatedFault> {
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

    fn byte(&self) -> Result<u8, LocatedFault> {
        self.peek().ok_or(LocatedFault { at: self.at, fault: JsonFault::End })
    }

    fn invalid(&self, context: &'static str) -> LocatedFault {
        let fault = match self.peek() {
            Some(byte) => JsonFault::Character { byte, context },
            None => JsonFault::End,
        };
        LocatedFault { at: self.at, fault }
    }
}
