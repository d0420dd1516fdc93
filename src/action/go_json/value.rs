//! A value of any type, kept as the text that Go writes for it.
//!
//! The parameters of an operation are whatever its module takes; the runner
//! only has to hand them on and to sign them. So no tree is built: the text is
//! rewritten in Go's form while it is read. Objects whose keys are not in Go's
//! order are remembered and put in order in a second pass that copies every
//! byte once, however deep they are nested.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::decode::{Decoder, is_duplicate};
use super::fault::FaultAt;
use super::scan::{RawString, Scanner, Start, Turn};
use super::{GoType, number, string};
use crate::chain;

/// How much of a value is shown in debug output, in bytes.
const SHOWN_BYTES_MAX: usize = 200;

/// A value of any type, as Go writes it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Value(String);

impl Value {
    /// Returns the string `text` as a value.
    pub(crate) fn string(text: &str) -> Value {
        let mut out = String::with_capacity(text.len() + 2);
        string::encode(text, &mut out);
        Value(out)
    }

    /// Returns the value's text.
    pub(crate) fn as_json(&self) -> &str {
        &self.0
    }
}

impl Default for Value {
    fn default() -> Value {
        Value("null".to_owned())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain::excerpt(&self.0, SHOWN_BYTES_MAX))
    }
}

impl GoType for Value {
    fn go_type() -> String {
        "interface {}".to_owned()
    }

    fn decode(&mut self, decoder: &mut Decoder<'_>) -> Result<(), FaultAt> {
        let start = decoder.scan.start()?;
        self.0 = Rewriter::new(decoder, Numbers::Floats).run(start)?;
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
    /// Reads over the rest of a value that begins with `start`.
    pub(super) fn skip_rest(&mut self, start: Start) -> Result<(), FaultAt> {
        Rewriter::new(self, Numbers::Skipped).run(start).map(drop)
    }
}

/// What is done with numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// They are read as floats, and must fit.
    Floats,
    Skipped,
}

/// Rewrites one value in Go's form.
struct Rewriter<'d, 'a> {
    decoder: &'d mut Decoder<'a>,
    numbers: Numbers,
    out: String,
    open: Vec<Open>,
    /// The members of all open objects, the innermost object's last.
    members: Vec<Member<'a>>,
    unordered: Vec<Unordered>,
}

/// An object or array whose end has not been reached.
enum Open {
    /// Where it begins in the output, and its first member.
    Object {
        start: usize,
        first: usize,
    },
    Array,
}

/// A member of an object.
struct Member<'a> {
    key: Cow<'a, str>,
    /// Where its key stands in the text.
    at: usize,
    /// Where it begins in the output.
    start: usize,
}

/// An object whose members are to be written in another order than they stand in the output.
struct Unordered {
    object: Range<usize>,
    members: Vec<Range<usize>>,
}

impl<'d, 'a> Rewriter<'d, 'a> {
    fn new(decoder: &'d mut Decoder<'a>, numbers: Numbers) -> Rewriter<'d, 'a> {
        let (out, open, members, unordered) = Default::default();
        Rewriter { decoder, numbers, out, open, members, unordered }
    }

    fn run(mut self, start: Start) -> Result<String, FaultAt> {
        let mut start = start;
        loop {
            let turn = self.begin(start)?;
            if !self.go_on(turn)? {
                return Ok(ordered(self.out, self.unordered));
            }
            start = self.decoder.scan.start()?;
        }
    }

    /// Writes a plain value or the beginning of another; tells what comes next in the innermost open one.
    fn begin(&mut self, start: Start) -> Result<Turn, FaultAt> {
        let scan = &mut self.decoder.scan;
        match start {
            Start::Object => {
                let (start, first) = (self.out.len(), self.members.len());
                self.open.push(Open::Object { start, first });
                self.out.push('{');
                return Ok(Turn::First);
            }
            Start::Array => {
                self.open.push(Open::Array);
                self.out.push('[');
                return Ok(Turn::First);
            }
            Start::String => string::encode(&string::decode(scan.string()?.raw).0, &mut self.out),
            Start::Number => self.number()?,
            Start::True => scan.word(start).map(|()| self.out.push_str("true"))?,
            Start::False => scan.word(start).map(|()| self.out.push_str("false"))?,
            Start::Null => scan.word(start).map(|()| self.out.push_str("null"))?,
        }
        Ok(Turn::Later)
    }

    fn number(&mut self) -> Result<(), FaultAt> {
        let at = self.decoder.scan.at();
        let literal = self.decoder.scan.number()?;
        if self.numbers == Numbers::Floats && number::canonical(literal, &mut self.out).is_none() {
            self.decoder.note_number(at, literal, "float64");
        }
        Ok(())
    }

    /// Ends what ends here; tells whether another value follows.
    fn go_on(&mut self, mut turn: Turn) -> Result<bool, FaultAt> {
        while let Some(open) = self.open.last() {
            match *open {
                Open::Array => {
                    if self.decoder.scan.element(turn)? {
                        self.comma(turn);
                        return Ok(true);
                    }
                    self.out.push(']');
                }
                Open::Object { start, first } => {
                    if let Some(key) = self.decoder.scan.key(turn)? {
                        self.comma(turn);
                        self.member(key);
                        return Ok(true);
                    }
                    self.end_object(start, first);
                }
            }
            self.open.pop();
            turn = Turn::Later;
        }
        Ok(false)
    }

    fn comma(&mut self, turn: Turn) {
        if turn == Turn::Later {
            self.out.push(',');
        }
    }

    fn member(&mut self, key: RawString<'a>) {
        let (text, _) = string::decode(key.raw);
        let start = self.out.len();
        string::encode(&text, &mut self.out);
        self.out.push(':');
        self.members.push(Member { key: text, at: key.at, start });
    }

    fn end_object(&mut self, start: usize, first: usize) {
        let own = self.members.get(first..).unwrap_or_default();
        let in_order = own.is_sorted_by(|a, b| a.key < b.key);
        if !in_order {
            let end = self.out.len();
            // A member ends at the comma before the next one.
            let ends = own.iter().skip(1).map(|next| next.start - 1).chain([end]);
            let mut sorted: Vec<(&Member<'a>, usize)> = own.iter().zip(ends).collect();
            sorted.sort_by(|a, b| a.0.key.cmp(&b.0.key));
            note_duplicates(self.decoder, &sorted);
            // Of keys that read the same Go keeps the last, and the sort is stable.
            let mut members = Vec::with_capacity(sorted.len());
            for chunk in sorted.chunk_by(|a, b| a.0.key == b.0.key) {
                members.extend(chunk.last().map(|(member, end)| member.start..*end));
            }
            self.unordered.push(Unordered { object: start..end + 1, members });
        }
        self.members.truncate(first);
        self.out.push('}');
    }
}

/// Notes the first key that is given twice among members sorted by their keys.
fn note_duplicates(decoder: &mut Decoder<'_>, sorted: &[(&Member<'_>, usize)]) {
    let text = decoder.scan.text();
    let doubles = sorted.windows(2).filter_map(|pair| match pair {
        [(first, _), (second, _)] if first.key == second.key => {
            let (first, second) = (key_at(text, first.at)?, key_at(text, second.at)?);
            let replaced = string::decode(second.raw).1;
            is_duplicate(first, second, replaced).then_some((first, second))
        }
        _ => None,
    });
    if let Some((first, second)) = doubles.min_by_key(|(_, second)| second.at) {
        decoder.note_duplicate(second, first.at);
    }
}

/// Reads a key again.
fn key_at(text: &[u8], at: usize) -> Option<RawString<'_>> {
    let mut key = Scanner::new(text.get(at..)?).string().ok()?;
    key.at = at;
    Some(key)
}

/// What is still to be copied.
enum Part {
    Text(Range<usize>),
    Comma,
}

/// Copies `text` with the members of its objects in order.
fn ordered(text: String, mut unordered: Vec<Unordered>) -> String {
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
        // Last in, first out: what follows the object, from its bracket on, and before that its members.
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
