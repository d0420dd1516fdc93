//! The API's documents, processed while they arrive.
//!
//! Every response is a `collection` of `items`, each with `data` entries that have a `name` and a
//! `value`; an error message is in `error`. [`walk`] passes each value with a wanted name to a
//! sink, as text, byte for byte. So nothing is lost by parsing and rewriting it: neither
//! numbers that no float can represent, nor unknown fields, nor lone surrogates. A command is counted
//! while the walk looks for its end, so that nearly every command is parsed only once.
//!
//! A command that exceeds the limit of an item is skipped while it arrives, and a placeholder is
//! passed in its place (see [`LargeCommand`](crate::action::LargeCommand)), so that one agent cannot
//! hide the answers of the others.
//!
//! **Invariant.** At most one item and the buffer of the [`Feed`] are in memory, however long the
//! response is; [`Meter`] limits both. Unwanted values are skipped without recursion, so deep
//! nesting does no harm.

use std::io::{self, Read};

use serde::Deserialize;
use serde::de::{Error, IgnoredAny};

use super::beginning::Beginning;
use super::cursor::{self, Cursor};
use super::feed::{Feed, WireError};
use super::limit::Meter;
use super::wanted::{Key, Value, Wanted};

/// Receives the wanted values.
pub(super) type Sink<'s> = &'s mut dyn FnMut(Value<'_>) -> Result<(), SinkError>;

/// The reason why a sink stopped the walk.
#[derive(Debug)]
pub(super) enum SinkError {
    /// The sink failed; the document is not at fault.
    Failed(io::Error),
    /// The value does not have the expected form.
    Invalid(serde_json::Error),
}

/// The content of a document beside its wanted values.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    /// Whether it has a list of items, even an empty one.
    pub(super) has_items: bool,
    /// The number of wanted values.
    pub(super) values: u64,
    /// The API's error message.
    pub(super) message: Option<String>,
}

/// Walks a document and passes each value that is `wanted` to `sink`.
///
/// # Errors
/// The document is truncated, is not a document of the API or exceeds its limits, or the sink
/// failed.
pub(super) fn walk<R: Read>(
    reader: R,
    meter: &Meter,
    wanted: Wanted,
    sink: Sink<'_>,
) -> Result<Document, WireError> {
    let mut walk =
        Walker { feed: Feed::new(reader, meter), wanted, sink, document: Document::default() };
    let mut has_collection = false;
    walk.object("an object with a collection", |walk, key| match key {
        Key::Collection => {
            has_collection = true;
            walk.collection()
        }
        _ => walk.skip(),
    })?;
    // Read to the very end, so that the connection can be reused.
    walk.feed.finish()?;
    if has_collection {
        Ok(walk.document)
    } else {
        Err(serde_json::Error::custom("no collection").into())
    }
}

struct Walker<'w, R> {
    feed: Feed<'w, R>,
    wanted: Wanted,
    sink: Sink<'w>,
    document: Document,
}

/// The error object, which is empty if there is no error.
#[derive(Debug, Deserialize)]
struct ErrorObject {
    message: Option<String>,
}

impl<R: Read> Walker<'_, R> {
    /// Walks an object; `member` must consume the value of each key.
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
            let key = self.feed.value(cursor::owned::<Key>)?;
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
                let error = walk.feed.value(cursor::owned::<ErrorObject>)?;
                walk.document.message = error.message.filter(|text| !text.is_empty());
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
        let Walker { feed, wanted, sink, document } = self;
        loop {
            // An item is an object, whose end is certain, so its values reach the sink only once.
            let mut pass = |item: &mut Cursor<'_>| Ok(pass_on(wanted.of_item(item)?, *sink));
            document.values += match feed.value_within_limit(&mut pass)? {
                Some(passed) => passed?,
                None if feed.replaces_large() => replace(feed, *wanted, *sink)?,
                None => feed.value(&mut pass)??,
            };
            if !feed.takes(b',')? {
                return feed.expect(b']', "`,` or `]`");
            }
        }
    }

    fn skip(&mut self) -> Result<(), WireError> {
        self.feed.value(cursor::owned::<IgnoredAny>).map(drop)
    }
}

/// Skips an item beyond its limit, and passes a placeholder for its command to `sink`. Returns the
/// number of commands that were skipped.
fn replace<R: Read>(
    feed: &mut Feed<'_, R>,
    wanted: Wanted,
    sink: Sink<'_>,
) -> Result<u64, WireError> {
    let Beginning { is_unwanted, command } = Beginning::of(feed.beginning(), wanted);
    let (bytes, skipped) = feed.skip_object();
    // Even after an error, the command is certainly too large: a time limit or the limit of the
    // whole response would end the next attempt in the same way.
    if !is_unwanted && let Some(placeholder) = command.placeholder(bytes, feed.item_bytes_max()) {
        sink(Value { text: placeholder.get(), command: None })?;
    }
    skipped.map(|()| u64::from(!is_unwanted))
}

/// Passes each value to `sink`; returns their number.
fn pass_on(values: Vec<Value<'_>>, sink: Sink<'_>) -> Result<u64, WireError> {
    let mut count = 0;
    for value in values {
        sink(value)?;
        count += 1;
    }
    Ok(count)
}

impl From<SinkError> for WireError {
    fn from(stop: SinkError) -> WireError {
        match stop {
            SinkError::Failed(error) => WireError::Sink(error),
            SinkError::Invalid(error) => WireError::Json(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::limit::Limits;
    use super::*;

    const LIMITS: Limits =
        Limits { answer_bytes_max: 1 << 30, item_bytes_max: 1 << 20, replaces_large: false };
    const X: Wanted = Wanted::Named(|name| name == "x");

    /// Walks `text` followed by `times` repetitions of `more`.
    fn read(text: &str, more: &str, times: usize) -> (Result<Document, WireError>, Meter, usize) {
        let meter = Meter::new(LIMITS);
        let repeated = Repeated { unit: more.as_bytes(), at: 0, left: times };
        let mut longest = 0;
        let document = walk(text.as_bytes().chain(repeated), &meter, X, &mut |value| {
            longest = longest.max(value.text.len());
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
    fn wanted_values_and_error_message_are_found() {
        let text = r#"{"collection":{"version":"1.0","error":{"code":"1","message":"oh"},"items":[
            {"href":"h","data":[{"name":"x","value":1},{"name":"y","value":[2]},{"value":{"a":3},"name":"x"}]},
            {"data":[{"name":"x"},{"value":4},{"name":"z","value":5,"name":"x"}]}, {"href":"h"}]}}"#;
        let mut values = Vec::new();
        let meter = Meter::new(LIMITS);
        let document = walk(text.as_bytes(), &meter, X, &mut |value| {
            values.push(value.text.to_owned());
            Ok(())
        });
        assert_eq!(values, ["1", r#"{"a":3}"#]);
        let message = Some("oh".to_owned());
        assert_eq!(document.unwrap(), Document { has_items: true, values: 2, message });
    }

    #[test]
    fn response_may_be_split_anywhere() {
        let text = r#"{"x":-1.5e-3,"collection":{"items":[{"data":[{"name":"x","value":[-0.5,"\ud800",
            true]}],"y":2.5E+7}]}}"#;
        for at in 0..text.len() {
            let (first, second) = text.as_bytes().split_at(at);
            let meter = Meter::new(LIMITS);
            let document = walk(first.chain(second), &meter, X, &mut |_| Ok(()));
            assert_eq!(document.unwrap().values, 1, "split at byte {at}");
        }
    }

    #[test]
    fn items_are_processed_one_by_one() {
        let item = format!(r#",{{"data":[{{"name":"x","value":"{}"}}]}}"#, "v".repeat(1000));
        let (document, meter, longest) = read(r#"{"collection":{"items":[{}"#, &item, 5000);
        // The items exceed the limit of one item five times; only the end is missing.
        assert!(matches!(document, Err(WireError::Json(error)) if error.is_eof()));
        assert_eq!((meter.exceeded(), longest), (None, 1002));
    }

    #[test]
    fn endless_values_are_refused() {
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
