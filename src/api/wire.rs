//! The API's documents, read as they arrive.
//!
//! Every answer is a `collection` of `items`, each with `data` entries of a
//! `name` and a `value`; what the API has to complain about is in `error`. The
//! walk hands each value of the wanted name to a sink, as raw JSON, byte for
//! byte: nothing is lost by parsing and writing it again, neither numbers that
//! no float holds, nor unknown fields, nor lone surrogates.
//!
//! **Invariant.** No more than one value is in memory, however long the answer;
//! [`Meter`] bounds that one. What is not wanted is skipped without recursion,
//! so depth is no danger.

use std::fmt;
use std::io::{self, BufReader, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::limit::{Meter, Metered};

/// How much is read from the connection at once, in bytes.
const READ_BYTES: usize = 64 << 10;

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
    /// The sink failed.
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
    let reader = BufReader::with_capacity(READ_BYTES, Metered::new(reader, meter));
    let mut json = serde_json::Deserializer::from_reader(reader);
    let mut walk = Walk { meter, wants, sink, stop: None, document: Document::default() };
    let place = Place { walk: &mut walk, level: Level::Top };
    // To the very end: only then can the connection be used again.
    let read = place.deserialize(&mut json).and_then(|()| json.end());
    match (read, walk.stop) {
        (_, Some(Stop::Failed(error))) => Err(WireError::Sink(error)),
        (_, Some(Stop::Wrong(error))) => Err(WireError::Json(error)),
        (Ok(()), None) => Ok(walk.document),
        (Err(error), None) if error.is_io() => Err(WireError::Read(error.into())),
        (Err(error), None) => Err(WireError::Json(error)),
    }
}

struct Walk<'w> {
    meter: &'w Meter,
    wants: fn(&str) -> bool,
    sink: Sink<'w>,
    stop: Option<Stop>,
    document: Document,
}

/// Where in the document the walk is.
#[derive(Debug, Clone, Copy)]
enum Level {
    Top,
    Collection,
    Items,
    Item,
    Data,
    Entry,
}

struct Place<'p, 'w> {
    walk: &'p mut Walk<'w>,
    level: Level,
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

impl<'w> Place<'_, 'w> {
    fn at(&mut self, level: Level) -> Place<'_, 'w> {
        Place { walk: self.walk, level }
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.level {
            Level::Items | Level::Data => deserializer.deserialize_seq(self),
            Level::Top | Level::Collection | Level::Item | Level::Entry => {
                deserializer.deserialize_map(self)
            }
        }
    }
}

impl<'de> Visitor<'de> for Place<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.level {
            Level::Top => "an object with a collection",
            Level::Collection => "a collection",
            Level::Items => "a list of items",
            Level::Item => "an item",
            Level::Data => "a list of data",
            Level::Entry => "a name and a value",
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let below = if matches!(self.level, Level::Items) { Level::Item } else { Level::Entry };
        while seq.next_element_seed(self.at(below))?.is_some() {
            self.walk.meter.item_done();
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        if matches!(self.level, Level::Entry) {
            return self.entry(map);
        }
        let mut complete = !matches!(self.level, Level::Top);
        while let Some(key) = map.next_key::<Key>()? {
            match (self.level, key) {
                (Level::Top, Key::Collection) => {
                    map.next_value_seed(self.at(Level::Collection))?;
                    complete = true;
                }
                (Level::Collection, Key::Items) => {
                    map.next_value_seed(self.at(Level::Items))?;
                    self.walk.document.has_items = true;
                }
                (Level::Collection, Key::Error) => {
                    let complaint = map.next_value::<Complaint>()?;
                    self.walk.document.message = complaint.message.filter(|text| !text.is_empty());
                }
                (Level::Item, Key::Data) => map.next_value_seed(self.at(Level::Data))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if complete { Ok(()) } else { Err(A::Error::custom("no collection")) }
    }
}

impl Place<'_, '_> {
    /// Reads a name and a value, in whichever order they come.
    fn entry<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut wanted = None;
        let mut value: Option<Box<RawValue>> = None;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Name => wanted = Some((self.walk.wants)(&map.next_value::<String>()?)),
                Key::Value if wanted != Some(false) => value = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let (Some(true), Some(value)) = (wanted, value) else { return Ok(()) };
        self.walk.document.values += 1;
        (self.walk.sink)(&value).map_err(|stop| {
            self.walk.stop = Some(stop);
            A::Error::custom("the sink stopped")
        })
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
