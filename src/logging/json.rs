//! The JSON format: one object per line, for programs.
//!
//! The keys are `time` (RFC 3339, absent if the receiver adds its own), `level`, `message`, then
//! those of the record and of its logger. If a key occurs twice, the value of the record is used.
//! Numbers and booleans are written as such, all other values as strings.

use std::fmt;
use std::io;
use std::sync::Arc;

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::Value;
use slog::{Drain, KV, Key, OwnedKVList, Record, Serializer};

use super::{Sink, TimeStamps, VALUE_BYTES_MAX};
use crate::chain::is_unsafe;

/// Writes each record as a JSON object.
#[derive(Debug)]
pub(super) struct Json {
    sink: Arc<dyn Sink>,
    times: TimeStamps,
}

impl Json {
    pub(super) fn new(sink: Arc<dyn Sink>, times: TimeStamps) -> Json {
        Json { sink, times }
    }
}

impl Drain for Json {
    type Ok = ();
    type Err = io::Error;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> io::Result<()> {
        let mut fields = Fields::default();
        // slog stores the last values first.
        record.kv().serialize(record, &mut fields)?;
        values.serialize(record, &mut fields)?;
        fields.put("message", Value::String(cut(&record.msg().to_string())));
        fields.put("level", Value::from(record.level().as_str().to_lowercase()));
        if let Some(stamp) = self.times.stamp() {
            fields.put("time", Value::from(stamp));
        }
        self.sink.write(record.level(), &escape_unsafe(&serde_json::to_string(&fields)?))
    }
}

/// Writes characters that could control a terminal as JSON escapes, which mean the same.
fn escape_unsafe(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unsafe(c) {
            line.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            line.push(c);
        }
    }
    line
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(VALUE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    match text.get(..end) {
        Some(head) if end < text.len() => format!("{head}…"),
        _ => text.to_owned(),
    }
}

/// The fields of an object, the last one first.
#[derive(Debug, Default)]
struct Fields(Vec<(String, Value)>);

impl Fields {
    fn put(&mut self, key: &str, value: Value) {
        let ours = matches!(key, "time" | "level" | "message");
        match self.0.iter().position(|(known, _)| known == key) {
            // A record cannot override one of our own keys.
            Some(at) if ours => {
                self.0.remove(at);
            }
            Some(_) => return,
            None => {}
        }
        self.0.push((key.to_owned(), value));
    }
}

impl Serialize for Fields {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0.iter().rev() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl Serializer for Fields {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        self.put(key, Value::String(cut(&value.to_string())));
        Ok(())
    }

    fn emit_unit(&mut self, key: Key) -> slog::Result {
        self.put(key, Value::Null);
        Ok(())
    }

    fn emit_none(&mut self, key: Key) -> slog::Result {
        self.put(key, Value::Null);
        Ok(())
    }

    fn emit_bool(&mut self, key: Key, value: bool) -> slog::Result {
        self.put(key, Value::from(value));
        Ok(())
    }

    fn emit_u32(&mut self, key: Key, value: u32) -> slog::Result {
        self.put(key, Value::from(value));
        Ok(())
    }

    fn emit_i32(&mut self, key: Key, value: i32) -> slog::Result {
        self.put(key, Value::from(value));
        Ok(())
    }

    fn emit_u64(&mut self, key: Key, value: u64) -> slog::Result {
        self.put(key, Value::from(value));
        Ok(())
    }

    fn emit_i64(&mut self, key: Key, value: i64) -> slog::Result {
        self.put(key, Value::from(value));
        Ok(())
    }

    fn emit_usize(&mut self, key: Key, value: usize) -> slog::Result {
        self.put(key, Value::from(value));
        Ok(())
    }

    fn emit_f64(&mut self, key: Key, value: f64) -> slog::Result {
        self.put(key, Value::from(value));
        Ok(())
    }
}
