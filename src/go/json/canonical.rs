//! A value of any type, kept as the JSON that Go writes for it.
//!
//! The form of an operation's parameters depends on its module; the runner only signs them and
//! passes them on. So no tree is built: the text is rewritten in Go's form while it is parsed.
//! Objects whose keys are not in Go's order are recorded, and a second pass puts them in order. It
//! copies every byte once, however deeply the objects are nested.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::decode::{Decoder, is_duplicate};
use super::error::LocatedFault;
use super::scan::{Member, RawString, Scanner, ValueKind};
use super::{GoType, number, string};
use crate::chain;

/// Size limit, in bytes, of a value in debug output.
const SHOWN_BYTES_MAX: usize = 200;

/// A value of any type, as the JSON that Go writes for it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CanonicalJson(String);

impl CanonicalJson {
    /// Returns the JSON string with the content `text`.
    pub(crate) fn string(text: &str) -> CanonicalJson {
        let mut out = String::with_capacity(text.len() + 2);
        string::encode(text, &mut out);
        CanonicalJson(out)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for CanonicalJson {
    fn default() -> CanonicalJson {
        CanonicalJson("null".to_owned())
    }
}

impl fmt::Debug for CanonicalJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain::excerpt(&self.0, SHOWN_BYTES_MAX))
    }
}

impl GoType for CanonicalJson {
    fn go_type() -> String {
        "interface {}".to_owned()
    }

    fn decode(&mut self, decoder: &mut Decoder<'_>) -> Result<(), LocatedFault> {
        let kind = decoder.scan.start_value()?;
        self.0 = Rewriter::new(decoder, NumberHandling::Convert).run(kind)?;
        Ok(())
    }

    fn encode(&self, out: &mut String) {
        out.push_str(&self.0);
    }

    fn is_empty(&self) -> bool {
        self.0 == "null"
    }
}

impl Decoder<'_> {
    /// Skips the rest of a value whose first byte showed that it is of this kind.
    pub(super) fn skip_rest(&mut self, kind: ValueKind) -> Result<(), LocatedFault> {
        Rewriter::new(self, NumberHandling::Skip).run(kind).map(drop)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NumberHandling {
    /// Convert numbers to floats; a number that does not fit is a fault.
    Convert,
    Skip,
}

/// Rewrites one value in Go's form.
struct Rewriter<'d, 'a> {
    decoder: &'d mut Decoder<'a>,
    numbers: NumberHandling,
    out: String,
    open: Vec<OpenContainer>,
    /// The members of all open objects, those of the innermost object last.
    members: Vec<ObjectMember<'a>>,
    unordered: Vec<UnorderedObject>,
}

/// An object or array whose end has not been reached.
enum OpenContainer {
    Object {
        /// Its offset in the output.
        start: usize,
        /// The index of its first member in [`Rewriter::members`].
        first: usize,
    },
    Array,
}

struct ObjectMember<'a> {
    key: Cow<'a, str>,
    /// The offset of its key in the text.
    at: usize,
    /// Its offset in the output.
    start: usize,
}

/// An object whose members the second pass reorders. The ranges are of the output.
struct UnorderedObject {
    object: Range<usize>,
    /// The members in their final order.
    members: Vec<Range<usize>>,
}

impl<'d, 'a> Rewriter<'d, 'a> {
    fn new(decoder: &'d mut Decoder<'a>, numbers: NumberHandling) -> Rewriter<'d, 'a> {
        let (out, open, members, unordered) = Default::default();
        Rewriter { decoder, numbers, out, open, members, unordered }
    }

    fn run(mut self, first: ValueKind) -> Result<String, LocatedFault> {
        let mut kind = first;
        loop {
            let next = self.begin(kind)?;
            if !self.has_next_value(next)? {
                return Ok(ordered(self.out, self.unordered));
            }
            kind = self.decoder.scan.start_value()?;
        }
    }

    /// Writes a plain value, or opens an object or array. Returns which member of the innermost
    /// open container comes next.
    fn begin(&mut self, kind: ValueKind) -> Result<Member, LocatedFault> {
        let scan = &mut self.decoder.scan;
        match kind {
            ValueKind::Object => {
                let (start, first) = (self.out.len(), self.members.len());
                self.open.push(OpenContainer::Object { start, first });
                self.out.push('{');
                return Ok(Member::First);
            }
            ValueKind::Array => {
                self.open.push(OpenContainer::Array);
                self.out.push('[');
                return Ok(Member::First);
            }
            ValueKind::String => {
                string::encode(&string::decode(scan.string()?.raw).0, &mut self.out);
            }
            ValueKind::Number => self.number()?,
            ValueKind::True => scan.word(kind).map(|()| self.out.push_str("true"))?,
            ValueKind::False => scan.word(kind).map(|()| self.out.push_str("false"))?,
            ValueKind::Null => scan.word(kind).map(|()| self.out.push_str("null"))?,
        }
        Ok(Member::Later)
    }

    fn number(&mut self) -> Result<(), LocatedFault> {
        let at = self.decoder.scan.at();
        let literal = self.decoder.scan.number()?;
        if self.numbers == NumberHandling::Convert
            && number::canonical(literal, &mut self.out).is_none()
        {
            self.decoder.record_number(at, literal, "float64");
        }
        Ok(())
    }

    /// Closes the containers that end here; returns whether another value follows.
    fn has_next_value(&mut self, mut member: Member) -> Result<bool, LocatedFault> {
        while let Some(open) = self.open.last() {
            match *open {
                OpenContainer::Array => {
                    if self.decoder.scan.has_element(member)? {
                        self.comma(member);
                        return Ok(true);
                    }
                    self.out.push(']');
                }
                OpenContainer::Object { start, first } => {
                    if let Some(key) = self.decoder.scan.key(member)? {
                        self.comma(member);
                        self.member(key);
                        return Ok(true);
                    }
                    self.end_object(start, first);
                }
            }
            self.open.pop();
            member = Member::Later;
        }
        Ok(false)
    }

    fn comma(&mut self, member: Member) {
        if member == Member::Later {
            self.out.push(',');
        }
    }

    fn member(&mut self, key: RawString<'a>) {
        let (text, _) = string::decode(key.raw);
        let start = self.out.len();
        string::encode(&text, &mut self.out);
        self.out.push(':');
        self.members.push(ObjectMember { key: text, at: key.at, start });
    }

    fn end_object(&mut self, start: usize, first: usize) {
        let own = self.members.get(first..).unwrap_or_default();
        let in_order = own.is_sorted_by(|a, b| a.key < b.key);
        if !in_order {
            let end = self.out.len();
            // A member ends at the comma before the next one.
            let ends = own.iter().skip(1).map(|next| next.start - 1).chain([end]);
            let mut sorted: Vec<(&ObjectMember<'a>, usize)> = own.iter().zip(ends).collect();
            sorted.sort_by(|a, b| a.0.key.cmp(&b.0.key));
            record_duplicates(self.decoder, &sorted);
            // Go keeps the last of several equal keys; the sort is stable.
            let mut members = Vec::with_capacity(sorted.len());
            for chunk in sorted.chunk_by(|a, b| a.0.key == b.0.key) {
                members.extend(chunk.last().map(|(member, end)| member.start..*end));
            }
            self.unordered.push(UnorderedObject { object: start..end + 1, members });
        }
        self.members.truncate(first);
        self.out.push('}');
    }
}

/// Records the first duplicate among members that are sorted by key.
fn record_duplicates(decoder: &mut Decoder<'_>, sorted: &[(&ObjectMember<'_>, usize)]) {
    let text = decoder.scan.text();
    let duplicates = sorted.windows(2).filter_map(|pair| match pair {
        [(first, _), (second, _)] if first.key == second.key => {
            let (first, second) = (key_at(text, first.at)?, key_at(text, second.at)?);
            let has_replacements = string::decode(second.raw).1;
            is_duplicate(first, second, has_replacements).then_some((first, second))
        }
        _ => None,
    });
    if let Some((first, second)) = duplicates.min_by_key(|(_, second)| second.at) {
        decoder.record_duplicate(second, first.at);
    }
}

/// Scans the key at an offset again.
fn key_at(text: &[u8], at: usize) -> Option<RawString<'_>> {
    let mut key = Scanner::new(text.get(at..)?).string().ok()?;
    key.at = at;
    Some(key)
}

/// A part of the output that remains to be copied.
enum Part {
    Text(Range<usize>),
    Comma,
}

/// Copies `text`, reordering the members of the unordered objects.
fn ordered(text: String, mut unordered: Vec<UnorderedObject>) -> String {
    if unordered.is_empty() {
        return text;
    }
    unordered.sort_by_key(|next| next.object.start);
    let mut out = String::with_capacity(text.len());
    let mut parts = vec![Part::Text(0..text.len())];
    while let Some(part) = parts.pop() {
        let Part::Text(part) = part else {
            out.push(',');
            continue;
        };
        let next = unordered.partition_point(|next| next.object.start < part.start);
        let Some(next) = unordered.get(next).filter(|next| next.object.start < part.end) else {
            out.push_str(text.get(part).unwrap_or_default());
            continue;
        };
        out.push_str(text.get(part.start..=next.object.start).unwrap_or_default());
        // Pushed in reverse order: the text from the closing brace on, then the members.
        parts.push(Part::Text(next.object.end - 1..part.end));
        for (index, member) in next.members.iter().enumerate().rev() {
            parts.push(Part::Text(member.clone()));
            if index > 0 {
                parts.push(Part::Comma);
            }
        }
    }
    out
}
