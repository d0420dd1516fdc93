//! Decodes a text into the platform's types, field by field.
//!
//! As in Go, a value of the wrong type does not stop the decoder: the fault is recorded, and a
//! syntax error further on is reported instead.

use std::borrow::Cow;
use std::collections::HashMap;

use super::error::{JsonFault, LocatedFault, ParseError, Position};
use super::scan::{Member, RawString, Scanner, ValueKind};
use super::{GoStruct, GoType, string};

#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    pub(super) scan: Scanner<'a>,
    /// The innermost struct that is being decoded.
    struct_name: Option<&'static str>,
    /// The fields that lead to the current value.
    fields: Vec<&'static str>,
    /// The first fault other than a syntax error.
    recorded: Option<LocatedFault>,
}

/// Parses a whole text.
pub(super) fn parse<T: GoType>(text: &[u8]) -> Result<T, ParseError> {
    let mut decoder =
        Decoder { scan: Scanner::new(text), struct_name: None, fields: Vec::new(), recorded: None };
    let mut value = T::default();
    value
        .decode(&mut decoder)
        .and_then(|()| decoder.scan.end())
        .and_then(|()| decoder.recorded.map_or(Ok(()), Err))
        .map_err(|fault| ParseError::new(text, fault))?;
    Ok(value)
}

impl<'a> Decoder<'a> {
    /// Decodes the fields of a struct.
    pub(crate) fn fields<T: GoStruct>(&mut self, target: &mut T) -> Result<(), LocatedFault> {
        match self.scan.start_value()? {
            ValueKind::Object => {}
            ValueKind::Null => return self.scan.word(ValueKind::Null),
            other => return self.mismatch::<T>(other),
        }
        let outer = self.struct_name.replace(T::NAME);
        let mut keys = Keys::default();
        let mut member = Member::First;
        while let Some(key) = self.scan.key(member)? {
            member = Member::Later;
            let (name, has_replacements) = string::decode(key.raw);
            let field = T::KEYS.iter().find(|field| is_key(field, &name)).copied();
            let merged = field.filter(|field| T::merges(field));
            if let Some(first) = keys.add(key, name, has_replacements, merged) {
                self.record_duplicate(key, first);
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
        self.struct_name = outer;
        Ok(())
    }

    /// Decodes the elements of a list whose opening bracket has been consumed.
    pub(super) fn list<T: GoType>(&mut self) -> Result<Vec<T>, LocatedFault> {
        let mut list = Vec::new();
        let mut member = Member::First;
        while self.scan.has_element(member)? {
            member = Member::Later;
            let mut element = T::default();
            element.decode(self)?;
            list.push(element);
        }
        Ok(list)
    }

    /// Skips a value that belongs to no field.
    pub(crate) fn skip(&mut self) -> Result<(), LocatedFault> {
        let kind = self.scan.start_value()?;
        self.skip_rest(kind)
    }

    /// Skips a value whose type differs from that of its field, and records the fault.
    pub(super) fn mismatch<T: GoType>(&mut self, kind: ValueKind) -> Result<(), LocatedFault> {
        let at = self.scan.at();
        let value = match kind {
            ValueKind::Object => "object",
            ValueKind::Array => "array",
            ValueKind::String => "string",
            ValueKind::Number => "number",
            ValueKind::True | ValueKind::False => "bool",
            ValueKind::Null => "null",
        };
        self.record_type(at, value.to_owned(), T::go_type());
        self.skip_rest(kind)
    }

    /// Records that the number `literal` does not fit into its field.
    pub(super) fn record_number(&mut self, at: usize, literal: &str, go_type: &str) {
        self.record_type(at, format!("number {literal}"), go_type.to_owned());
    }

    fn record_type(&mut self, at: usize, value: String, go_type: String) {
        let target = match self.struct_name {
            Some(name) => format!("struct field {name}.{}", self.fields.join(".")),
            None => "value".to_owned(),
        };
        self.record(LocatedFault { at, fault: JsonFault::Type { value, target, go_type } });
    }

    /// Records that `key` duplicates the key at the offset `first`.
    pub(super) fn record_duplicate(&mut self, key: RawString<'_>, first: usize) {
        if self.recorded.is_none() {
            let first = Position::of(self.scan.text(), first).without_path();
            let key_text = string::decode(key.raw).0.into_owned();
            let fault = JsonFault::Duplicate { key: key_text, first };
            self.record(LocatedFault { at: key.at, fault });
        }
    }

    /// Records a fault that does not stop the decoder; only the first is kept.
    pub(super) fn record(&mut self, fault: LocatedFault) {
        self.recorded.get_or_insert(fault);
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
struct Keys<'a> {
    keys: HashMap<Cow<'a, str>, RawString<'a>>,
    /// Fields whose second value Go would merge, with the offset of their first key.
    merged: Vec<(&'static str, usize)>,
}

impl<'a> Keys<'a> {
    /// Adds a key; returns the offset of the earlier key that it duplicates, if any.
    fn add(
        &mut self,
        key: RawString<'a>,
        name: Cow<'a, str>,
        has_replacements: bool,
        merged: Option<&'static str>,
    ) -> Option<usize> {
        let earlier = self.keys.insert(name, key);
        let same = earlier.filter(|earlier| is_duplicate(*earlier, key, has_replacements));
        let other_spelling = merged.and_then(|field| {
            let first = self.merged.iter().find(|(known, _)| *known == field);
            let first = first.map(|(_, at)| *at);
            self.merged.push((field, key.at));
            first
        });
        same.map(|earlier| earlier.at).or(other_spelling)
    }
}

/// Returns whether two keys that decode to the same text are duplicates.
///
/// Keys that differ only in invalid bytes or lone surrogates become equal when these are replaced.
/// They are not duplicates, and as in Go the last one wins.
pub(super) fn is_duplicate(
    earlier: RawString<'_>,
    later: RawString<'_>,
    has_replacements: bool,
) -> bool {
    !has_replacements && !string::decode(earlier.raw).1 || earlier.raw == later.raw
}
