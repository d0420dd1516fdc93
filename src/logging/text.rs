//! The text format: `2026-11-22T12:00:10.123Z INFO action accepted, run: …, action: …`.
//!
//! slog-term writes the parts of a line in order and announces the kind of each part. Here each
//! part is escaped before it is appended to the line.

use std::io::{self, Write};
use std::sync::Arc;

use slog::{Drain, OwnedKVList, Record};
use slog_term::{Decorator, FullFormat, RecordDecorator};

use super::{Sink, TimeStamps, VALUE_BYTES_MAX};
use crate::chain::excerpt;

/// Returns a drain that writes each record as a line of text.
pub(super) fn drain(sink: Arc<dyn Sink>, times: TimeStamps) -> impl Drain + use<> {
    FullFormat::new(LineDecorator(sink))
        .use_custom_header_print(move |_, line, record, _| {
            line.start_timestamp()?;
            if let Some(stamp) = times.stamp() {
                write!(line, "{stamp} ")?;
            }
            line.start_level()?;
            write!(line, "{} ", record.level().as_str())?;
            line.start_msg()?;
            write!(line, "{}", record.msg())?;
            Ok(true)
        })
        .use_original_order()
        .build()
}

/// Writes each record as one line.
#[derive(Debug)]
struct LineDecorator(Arc<dyn Sink>);

impl Decorator for LineDecorator {
    fn with_record<F>(&self, record: &Record<'_>, _: &OwnedKVList, write: F) -> io::Result<()>
    where
        F: FnOnce(&mut dyn RecordDecorator) -> io::Result<()>,
    {
        let mut line = TextLine::default();
        write(&mut line)?;
        self.0.write(record.level(), line.finish())
    }
}

/// The kind of the part that is being written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum LinePart {
    /// Separators, time stamp and level.
    #[default]
    Frame,
    /// A phrase or a key.
    Phrase,
    Value,
}

/// A line that is being built.
#[derive(Debug, Default)]
struct TextLine {
    text: String,
    part: LinePart,
    /// The part as slog-term wrote it.
    raw: Vec<u8>,
}

impl TextLine {
    /// Appends the last part to the line.
    fn finish(&mut self) -> &str {
        self.begin(LinePart::Frame);
        // slog-term writes the line feed, which is up to the sink here.
        self.text.trim_end_matches('\n')
    }

    fn begin(&mut self, part: LinePart) {
        let raw = String::from_utf8_lossy(&self.raw);
        match self.part {
            LinePart::Frame => self.text.push_str(&raw),
            LinePart::Phrase => self.text.push_str(&excerpt(&raw, VALUE_BYTES_MAX)),
            LinePart::Value => push_value(&mut self.text, &excerpt(&raw, VALUE_BYTES_MAX)),
        }
        self.raw.clear();
        self.part = part;
    }
}

/// Appends a value, in quotes if it could be mistaken for several.
fn push_value(line: &mut String, value: &str) {
    if !value.is_empty() && !value.contains([',', '"']) {
        line.push_str(value);
        return;
    }
    line.push('"');
    line.push_str(&value.replace('"', "\\\""));
    line.push('"');
}

impl Write for TextLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.raw.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RecordDecorator for TextLine {
    fn reset(&mut self) -> io::Result<()> {
        self.begin(LinePart::Frame);
        Ok(())
    }

    fn start_whitespace(&mut self) -> io::Result<()> {
        self.reset()
    }

    fn start_timestamp(&mut self) -> io::Result<()> {
        self.reset()
    }

    fn start_level(&mut self) -> io::Result<()> {
        self.reset()
    }

    fn start_comma(&mut self) -> io::Result<()> {
        self.reset()
    }

    fn start_separator(&mut self) -> io::Result<()> {
        self.reset()
    }

    fn start_msg(&mut self) -> io::Result<()> {
        self.begin(LinePart::Phrase);
        Ok(())
    }

    fn start_key(&mut self) -> io::Result<()> {
        self.begin(LinePart::Phrase);
        Ok(())
    }

    fn start_value(&mut self) -> io::Result<()> {
        self.begin(LinePart::Value);
        Ok(())
    }
}
