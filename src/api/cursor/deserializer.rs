//! Reads Rust values at a cursor.
//!
//! The cursor itself reads the structure of the objects and lists, and skips the values that are
//! ignored. All other values, also those within a value that it does not know as an object or a list,
//! are left to serde_json. So a command is read at the speed at which its findings are skipped.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Error;

use super::Cursor;

impl<'de> Deserializer<'de> for &mut Cursor<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.parse(|json| json.deserialize_any(visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.parse(|json| json.deserialize_option(visitor))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(b'{', "an object")?;
        let mut members = Parts { cursor: self, close: b'}', state: State::Begun };
        let value = visitor.visit_map(&mut members)?;
        members.end()?;
        Ok(value)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(b'[', "a list")?;
        let mut elements = Parts { cursor: self, close: b']', state: State::Begun };
        let value = visitor.visit_seq(&mut elements)?;
        elements.end()?;
        Ok(value)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct tuple tuple_struct struct enum identifier
    }
}

/// The rest of an object or a list.
struct Parts<'c, 'b> {
    cursor: &'c mut Cursor<'b>,
    /// What closes it.
    close: u8,
    state: State,
}

/// The position in an object or a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// After its opening bracket.
    Begun,
    /// After a member or an element.
    Between,
    /// After its closing bracket.
    Ended,
}

impl Parts<'_, '_> {
    /// Moves to the next member or element; returns whether there is one.
    fn advance(&mut self) -> Result<bool, Error> {
        if self.state == State::Ended {
            return Ok(false);
        }
        if self.cursor.takes(self.close) {
            self.state = State::Ended;
            return Ok(false);
        }
        if self.state == State::Between {
            self.cursor.expect(b',', "`,` or the end of an object or a list")?;
        }
        self.state = State::Between;
        Ok(true)
    }

    /// Checks that the visitor has read everything.
    fn end(&mut self) -> Result<(), Error> {
        match self.advance()? {
            true => Err(super::unexpected("the end of an object or a list")),
            false => Ok(()),
        }
    }
}

impl<'b> MapAccess<'b> for Parts<'_, 'b> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'b>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        if !self.advance()? {
            return Ok(None);
        }
        let key = self.cursor.key(seed)?;
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'b>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(&mut *self.cursor)
    }
}

impl<'b> SeqAccess<'b> for Parts<'_, 'b> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'b>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if self.advance()? { seed.deserialize(&mut *self.cursor).map(Some) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde::de::IgnoredAny;

    use super::*;

    /// Objects, lists, ignored values, and values that are left to serde_json.
    type Sample<'a> =
        BTreeMap<Cow<'a, str>, Vec<BTreeMap<String, (f64, Option<bool>, IgnoredAny)>>>;

    const SAMPLE: &str = r#" { "a" : [ {} , {"\u0062":[1.5,null,{"x":[1e400]}] , "c" : [ 2,true,"\"" ] }], "d":[ ] } "#;
    const PARTS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "null",
        "7",
        "-",
        ".5",
        "\"a\":",
        "{}",
        "true",
        " ",
        "\u{e4}",
        "[1,null,2]",
    ];

    /// Reads a sample; also returns how many bytes were read.
    fn read(text: &str) -> (Result<Sample<'_>, Error>, usize) {
        let mut cursor = Cursor::new(text.as_bytes());
        let read = Sample::deserialize(&mut cursor);
        (read, cursor.at())
    }

    #[track_caller]
    fn assert_read_as_by_serde(text: &str) {
        let (read, at) = read(text);
        let mut json = serde_json::Deserializer::from_str(text);
        let expected = Sample::deserialize(&mut json).ok();
        if expected.is_some() {
            assert_eq!(at, json.into_iter::<IgnoredAny>().byte_offset(), "{text}");
        }
        assert_eq!(read.ok(), expected, "{text}");
    }

    #[test]
    fn values_are_read_as_by_serde() {
        let (sample, at) = read(SAMPLE);
        let sample = sample.unwrap();
        assert_eq!((sample["a"].len(), sample["d"].len(), at), (2, 0, SAMPLE.len() - 1));
        assert_eq!(sample["a"][1]["b"], (1.5, None, IgnoredAny));
        for text in [
            SAMPLE,
            "{}",
            "[]",
            "7",
            "{,}",
            "{\"a\":[],}",
            "{\"a\":[{}],\"a\":[]}",
            "{\"a\":[{},]}",
            "{\"a\":[{} {}]}",
            "{\"a\":[] \"b\":[]}",
            "{\"a\" []}",
            "{a:[]}",
            "{\"a\":[{}}",
            "{\"a\":null}",
            "{\"a\":[{\"b\":[1,true,2,3]}]}",
        ] {
            assert_read_as_by_serde(text);
        }
    }

    #[test]
    fn every_beginning_is_incomplete() {
        for end in 0..SAMPLE.len() - 1 {
            let (sample, at) = read(&SAMPLE[..end]);
            // serde_json reports half a number as an invalid one.
            assert!(sample.unwrap_err().is_eof() || at == end, "{end}");
        }
    }

    #[test]
    fn what_the_visitor_leaves_is_an_error() {
        /// Reads the first element only.
        struct First;

        impl<'b> Visitor<'b> for First {
            type Value = u8;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'b>>(self, mut seq: A) -> Result<u8, A::Error> {
                Ok(seq.next_element()?.unwrap_or_default())
            }
        }

        for (text, first) in [("[]", Some(0)), ("[7]", Some(7)), ("[7,8]", None), ("[7", None)] {
            let read = Cursor::new(text.as_bytes()).deserialize_seq(First);
            assert_eq!(read.ok(), first, "{text}");
        }
    }

    proptest! {
        #[test]
        fn damaged_values_are_read_as_by_serde(
            damage in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, 0..PARTS.len()), 1..4),
        ) {
            let mut text: Vec<char> = SAMPLE.chars().collect();
            for (at, length, part) in damage {
                let at = at.index(text.len() + 1);
                // Half of the changes only insert something.
                let end = (at + length.saturating_sub(6)).min(text.len());
                text.splice(at..end, PARTS[part].chars());
            }
            assert_read_as_by_serde(&String::from_iter(text));
        }
    }
}
