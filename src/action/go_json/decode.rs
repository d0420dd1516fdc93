//! Reading a text into the platform's types, field by field.
//!
//! As in Go, a value of the wrong type does not end the reading: it is noted,
//! and a fault of the syntax further on is reported rather than it.

use std::borrow::Cow;
use std::collections::HashMap;

use super::fault::{Fault, FaultAt, ParseError, Place};
use super::scan::{RawString, Scanner, Start, Turn};
use super::{GoStruct, GoType, string};

#[derive(Debug)]
pub(in crate::action) struct Decoder<'a> {
    pub(super) scan: Scanner<'a>,
    /// The innermost struct that is being read.
    within: Option<&'static str>,
    /// The fields that lead to what is being read.
    fields: Vec<&'static str>,
    /// The first fault that is none of syntax.
    noted: Option<FaultAt>,
}

/// Reads a whole text.
pub(super) fn read<T: GoType>(text: &[u8]) -> Result<T, ParseError> {
    let mut decoder =
        Decoder { scan: Scanner::new(text), within: None, fields: Vec::new(), noted: None };
    let mut value = T::default();
    value
        .decode(&mut decoder)
        .and_then(|()| decoder.scan.end())
        .and_then(|()| decoder.noted.map_or(Ok(()), Err))
        .map_err(|fault| ParseError::new(text, fault))?;
    Ok(value)
}

impl<'a> Decoder<'a> {
    /// Reads the fields of a struct.
    pub(in crate::action) fn fields<T: GoStruct>(&mut self, target: &mut T) -> Result<(), FaultAt> {
        match self.scan.start()? {
            Start::Object => {}
            Start::Null => return self.scan.word(Start::Null),
            other => return self.mismatch::<T>(other),
        }
        let outer = self.within.replace(T::NAME);
        let mut given = Given::default();
        let mut turn = Turn::First;
        while let Some(key) = self.scan.key(turn)? {
            turn = Turn::Later;
            let (name, replaced) = string::decode(key.raw);
            let field = T::KEYS.iter().find(|field| is_key(field, &name)).copied();
            let mixed = field.filter(|field| T::mixes(field));
            if let Some(first) = given.add(key, name, replaced, mixed) {
                self.note_duplicate(key, first);
            }
            match field {
                Some(field) => {
                    self.fields.push(field);
                    target.decode_field(field, self)?;
                    self.fields.pop();
                }
                None => self.skip()?,
            }
        }
        self.within = outer;
        Ok(())
    }

    /// Reads the elements of a list whose bracket is taken.
    pub(super) fn list<T: GoType>(&mut self) -> Result<Vec<T>, FaultAt> {
        let mut list = Vec::new();
        let mut turn = Turn::First;
        while self.scan.element(turn)? {
            turn = Turn::Later;
            let mut element = T::default();
            element.decode(self)?;
            list.push(element);
        }
        Ok(list)
    }

    /// Reads over a value that belongs to no field.
    pub(in crate::action) fn skip(&mut self) -> Result<(), FaultAt> {
        let start = self.scan.start()?;
        self.skip_rest(start)
    }

    /// Reads over a value that begins with `start` and has another type than its field.
    pub(super) fn mismatch<T: GoType>(&mut self, start: Start) -> Result<(), FaultAt> {
        let at = self.scan.at();
        let value = match start {
            Start::Object => "object",
            Start::Array => "array",
            Start::String => "string",
            Start::Number => "number",
            Start::True | Start::False => "bool",
            Start::Null => "null",
        };
        self.note_type(at, value.to_owned(), T::go_type());
        self.skip_rest(start)
    }

    /// Notes that the number `literal` does not fit into its field.
    pub(super) fn note_number(&mut self, at: usize, literal: &str, go_type: &str) {
        self.note_type(at, format!("number {literal}"), go_type.to_owned());
    }

    fn note_type(&mut self, at: usize, value: String, go_type: String) {
        let target = match self.within {
            Some(within) => format!("struct field {within}.{}", self.fields.join(".")),
            None => "value".to_owned(),
        };
        self.note(FaultAt { at, fault: Fault::Type { value, target, go_type } });
    }

    /// Notes that `key` was given before, at the offset `first`.
    pub(super) fn note_duplicate(&mut self, key: RawString<'_>, first: usize) {
        if self.noted.is_none() {
            let first = Place::of(self.scan.text(), first).without_path();
            let key_text = string::decode(key.raw).0.into_owned();
            self.note(FaultAt { at: key.at, fault: Fault::Duplicate { key: key_text, first } });
        }
    }

    /// Notes a fault that does not end the reading.
    pub(super) fn note(&mut self, fault: FaultAt) {
        self.noted.get_or_insert(fault);
    }
}

/// Matches a key as Go does: without regard to case, where U+017F is an `s` and U+212A a `k`.
fn is_key(field: &str, key: &str) -> bool {
    let folded = key.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    });
    folded.eq(field.chars())
}

/// The keys of one object so far.
#[derive(Default)]
struct Given<'a> {
    keys: HashMap<Cow<'a, str>, RawString<'a>>,
    mixed: Vec<(&'static str, usize)>,
}

impl<'a> Given<'a> {
    /// Adds a key; returns where it was given before if it was.
    fn add(
        &mut self,
        key: RawString<'a>,
        name: Cow<'a, str>,
        replaced: bool,
        mixed: Option<&'static str>,
    ) -> Option<usize> {
        let earlier = self.keys.insert(name, key);
        let same = earlier.filter(|earlier| is_duplicate(*earlier, key, replaced));
        let other_spelling = mixed.and_then(|field| {
            let first = self.mixed.iter().find(|(given, _)| *given == field);
            let first = first.map(|(_, at)| *at);
            self.mixed.push((field, key.at));
            first
        });
        same.map(|earlier| earlier.at).or(other_spelling)
    }
}

/// Tells whether two keys that read the same are the same key.
///
/// Keys that differ only in bytes or surrogates that are no Unicode become the
/// same when these are replaced. Nobody wrote them twice, and Go's way, the last
/// one, is kept.
pub(super) fn is_duplicate(earlier: RawString<'_>, later: RawString<'_>, replaced: bool) -> bool {
    !replaced && !string::decode(earlier.raw).1 || earlier.raw == later.raw
}
