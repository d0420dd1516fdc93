//! Fuzz target for the reader of the API's documents.

use std::io::{self, Read};

use serde::de::IgnoredAny;

use super::limit::{Limits, Meter};
use super::wanted::Wanted;
use super::wire::{Document, walk};
use crate::action::fuzz::assert_counted_like_parsed;

const LIMITS: Limits =
    Limits { answer_bytes_max: 1 << 20, item_bytes_max: 1 << 12, replaces_large: false };
/// Items that are larger are skipped: their syntax is not checked.
const SMALL: Limits = Limits { item_bytes_max: 1 << 7, replaces_large: true, ..LIMITS };

/// Reads `bytes` as a response, also with a limit that many items exceed. Where the network splits
/// a response must make no difference, nor whether its commands are counted, and whatever is accepted
/// without skipping must be JSON.
pub(crate) fn page(bytes: &[u8]) {
    let whole = read(bytes, LIMITS, Wanted::Commands);
    for (limits, expected) in [(LIMITS, &whole), (SMALL, &read(bytes, SMALL, Wanted::Commands))] {
        for size in [1, 5] {
            let split = read(Pieces { bytes, size }, limits, Wanted::Commands);
            assert_eq!(*expected, split, "depends on how the response is split");
        }
        let uncounted = read(bytes, limits, Wanted::Named(|name| name == "command"));
        assert_eq!(*expected, uncounted, "depends on whether commands are counted");
    }
    if whole.is_some() {
        let json = serde_json::from_slice::<IgnoredAny>(bytes);
        assert!(json.is_ok(), "accepted although it is not JSON: {json:?}");
    }
}

/// Returns the document and its wanted values, or `None` if it was refused.
fn read(reader: impl Read, limits: Limits, wanted: Wanted) -> Option<(Document, Vec<String>)> {
    let mut values = Vec::new();
    let read = walk(reader, &Meter::new(limits), wanted, &mut |value| {
        values.push(value.text.to_owned());
        if let Some(command) = value.command {
            assert_counted_like_parsed(value.text, &command);
        }
        Ok(())
    });
    Some((read.ok()?, values))
}

/// Returns at most `size` bytes at each read.
struct Pieces<'b> {
    bytes: &'b [u8],
    size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let size = self.size.min(buf.len());
        self.bytes.read(buf.get_mut(..size).unwrap_or_default())
    }
}
