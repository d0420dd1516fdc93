//! The API's documents, read as they arrive.
//!
//! Every answer is a `collection` of `items`, each with `data` entries of a
//! `name` and a `value`; what the API has to complain about is in `error`. The
//! walk hands each value of the wanted name to a sink, as raw JSON, byte for
//! byte: nothing is lost by parsing and writing it again, neither numbers that
//! no float holds, nor unknown fields, nor lone surrogates.
//!
//! **Invariant.** No more than one item is in memory, however long the answer, and
//! the [`Feed`]'s buffer; [`Meter`] bounds it. What is not wanted is skipped without
//! recursion, so depth is no danger.

use std::fmt;
use std::io::{self, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::feed::{Feed, Parser};
use super::limit::Meter;

/// What takes the wanted values.
pub(super) type Sink<'s> = &'s mut dyn FnMut(&RawValue) -> Result<(), Stop>;

/// Why a sink wants no more.
#[derive(Debug)]
pub(super) enum Stop {
    /// It failed; the document is not at fault.
    Failed(io::Error),
    /// The value is not what it should be.
    Wrong(serde_json::Error),
}

/// Why a document could not be read to its end.
#[derive(Debug)]
pub(super) enum WireError {
    /// It is no document of the API.
    Json(serde_json::Error),
    /// It could not be read: the connection broke, or a limit was exceeded.
    Read(io::Error),
    Sink(io::Error),
}

/// What a document says beside its wanted values.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    /// Whether it has a list of items, be it empty.
    pub(super) has_items: bool,
    /// How many wanted values it held.
    pub(super) values: u64,
    /// What the API complains about.
    pub(super) message: Option<String>,
}

/// Walks a document and hands each value whose name `wants` to `sink`.
///
/// # Errors
/// The document is cut, no document of the API, or beyond its limits; or the sink failed.
pub(super) fn walk<R: Read>(
    reader: R,
    meter: &Meter,
    wants: fn(&str) -> bool,
    sink: Sink<'_>,
) -> Result<Document, WireError> {
    let mut walk =
        Walk { feed: Feed::new(reader, meter), wants, sink, document: Document::default() };
    let mut is_found = false;
    walk.object("an object with a collection", |walk, key| match key {
        Key::Collection => {
            is_found = true;
            walk.collection()
        }
        _ => walk.skip(),
    })?;
    // To the very end: only then can the connection be used again.
    walk.feed.finish()?;
    if is_found {
        Ok(walk.document)
    } else {
        Err(serde_json::Error::custom("no collection").into())
    }
}

struct Walk<'w, R> {
    feed: Feed<'w, R>,
    wants: fn(&str) -> bool,
    sink: Sink<'w>,
    document: Document,
}

/// The keys that lead to a value; all others are skipped.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    Collection,
    Items,
    Error,
    Data,
    Name,
    Value,
    #[serde(other)]
    Other,
}

/// The error object, empty where there is none.
#[derive(Debug, Deserialize)]
struct Complaint {
    message: Option<String>,
}

impl<R: Read> Walk<'_, R> {
    /// Walks an object; `member` takes the value of each key.
    fn object(
        &mut self,
        what: &str,
        mut member: impl FnMut(&mut Self, Key) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        self.feed.expect(b'{', what)?;
        if self.feed.takes(b'}')? {
            return Ok(());
        }
        loop {
            let key = self.feed.value(|key| Key::deserialize(key))?;
            self.feed.expect(b':', "`:`")?;
            member(self, key)?;
            if !self.feed.takes(b',')? {
                return self.feed.expect(b'}', "`,` or `}`");
            }
        }
    }

    fn collection(&mut self) -> Result<(), WireError> {
        self.object("a collection", |walk, key| match key {
            Key::Items => {
                walk.items()?;
                walk.document.has_items = true;
                Ok(())
            }
            Key::Error => {
                let complaint = walk.feed.value(|error| Complaint::deserialize(error))?;
                walk.document.message = complaint.message.filter(|text| !text.is_empty());
                Ok(())
            }
            _ => walk.skip(),
        })
    }

    fn items(&mut self) -> Result<(), WireError> {
        self.feed.expect(b'[', "a list of items")?;
        if self.feed.takes(b']')? {
            return Ok(());
        }
        let Walk { feed, wants, sink, document } = self;
        loop {
            // An item is an object, which shows its own end: its values are handed over once.
            document.values +=
                feed.value(|item| Ok(hand_over(&values_of(item, *wants)?, *sink)))??;
            if !feed.takes(b',')? {
                return feed.expect(b']', "`,` or `]`");
            }
        }
    }

    fn skip(&mut self) -> Result<(), WireError> {
        self.feed.value(|value| IgnoredAny::deserialize(value))?;
        Ok(())
    }
}

/// Returns the values of an item whose name `wants`.
fn values_of<'b>(
    item: &mut Parser<'b>,
    wants: fn(&str) -> bool,
) -> serde_json::Result<Vec<&'b RawValue>> {
    let mut values = Vec::new();
    Place { wants, values: &mut values, level: Level::Item }.deserialize(item)?;
    Ok(values)
}

/// Gives each value to `sink`; returns how many there were.
fn hand_over(values: &[&RawValue], sink: Sink<'_>) -> Result<u64, WireError> {
    let mut count = 0;
    for value in values {
        sink(value)?;
        count += 1;
    }
    Ok(count)
}

/// Where in an item the walk is.
#[derive(Debug, Clone, Copy)]
enum Level {
    Item,
    Data,
    Entry,
}

struct Place<'p, 'de> {
    wants: fn(&str) -> bool,
    values: &'p mut Vec<&'de RawValue>,
    level: Level,
}

impl<'de> Place<'_, 'de> {
    fn at(&mut self, level: Level) -> Place<'_, 'de> {
        Place { wants: self.wants, values: self.values, level }
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.level {
            Level::Data => deserializer.deserialize_seq(self),
            Level::Item | Level::Entry => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Place<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.level {
            Level::Item => "an item",
            Level::Data => "a list of data",
            Level::Entry => "a name and a value",
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self.at(Level::Entry))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        if matches!(self.level, Level::Entry) {
            return self.entry(map);
        }
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Data => map.next_value_seed(self.at(Level::Data))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl<'de> Place<'_, 'de> {
    /// Reads a name and a value, in whichever order they come.
    fn entry<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut wanted, mut value) = (None, None);
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Name => wanted = Some((self.wants)(&map.next_value::<String>()?)),
                Key::Value if wanted != Some(false) => value = Some(map.next_value::<&RawValue>()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if wanted == Some(true) {
            self.values.extend(value);
        }
        Ok(())
    }
}

impl From<Stop> for WireError {
    fn from(stop: Stop) -> WireError {
        match stop {
            Stop::Failed(error) => WireError::Sink(error),
            Stop::Wrong(error) => WireError::Json(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::limit::Limits;
    use super::*;

    const LIMITS: Limits = Limits { answer_bytes_max: 1 << 30, item_bytes_max: 1 << 20 };

    /// Walks `text` followed by as many `more` as are asked for.
    fn read(text: &str, more: &str, times: usize) -> (Result<Document, WireError>, Meter, usize) {
        let meter = Meter::new(LIMITS);
        let repeated = Repeated { unit: more.as_bytes(), at: 0, left: times };
        let mut longest = 0;
        let document =
            walk(text.as_bytes().chain(repeated), &meter, |name| name == "x", &mut |value| {
                longest = longest.max(value.get().len());
                Ok(())
            });
        (document, meter, longest)
    }

    struct Repeated<'r> {
        unit: &'r [u8],
        at: usize,
        left: usize,
    }

    impl Read for Repeated<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 {
                return Ok(0);
            }
            let count = (&self.unit[self.at..]).read(buf)?;
            self.at += count;
            if self.at == self.unit.len() {
                (self.at, self.left) = (0, self.left - 1);
            }
            Ok(count)
        }
    }

    #[test]
    fn finds_the_wanted_values_and_the_complaint() {
        let text = r#"{"collection":{"version":"1.0","error":{"code":"1","message":"oh"},"items":[
            {"href":"h","data":[{"name":"x","value":1},{"name":"y","value":[2]},{"value":{"a":3},"name":"x"}]},
            {"data":[{"name":"x"},{"value":4},{"name":"z","value":5,"name":"x"}]}, {"href":"h"}]}}"#;
        let mut values = Vec::new();
        let meter = Meter::new(LIMITS);
        let document = walk(text.as_bytes(), &meter, |name| name == "x", &mut |value| {
            values.push(value.get().to_owned());
            Ok(())
        });
        assert_eq!(values, ["1", r#"{"a":3}"#]);
        let message = Some("oh".to_owned());
        assert_eq!(document.unwrap(), Document { has_items: true, values: 2, message });
    }

    #[test]
    fn many_items_pass_one_by_one() {
        let item = format!(r#",{{"data":[{{"name":"x","value":"{}"}}]}}"#, "v".repeat(1000));
        let (document, meter, longest) = read(r#"{"collection":{"items":[{}"#, &item, 5000);
        // Five times the limit of an item went by; only the end is missing.
        assert!(matches!(document, Err(WireError::Json(error)) if error.is_eof()));
        assert_eq!((meter.exceeded(), longest), (None, 1002));
    }

    #[test]
    fn nothing_without_end_is_kept() {
        for begin in [
            r#"{"collection":{"items":[{"data":[{"name":"x","value":{"id":""#,
            r#"{"collection":{"items":[{"data":[{"name":""#,
            r#"{"collection":{"error":{"message":""#,
            r#"{"collection":{""#,
            r#"{"collection":"#,
            "",
        ] {
            for more in ["x", " ", "[", "\"a\":", "\\u0000"] {
                let (document, meter, _) = read(begin, &more.repeat(1000), 10_000);
                let is_refused = meter.exceeded() == Some(LIMITS.item_bytes_max)
                    || matches!(document, Err(WireError::Json(_)));
                assert!(is_refused, "{begin} {more}");
            }
        }
    }
}
