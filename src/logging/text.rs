//! Records for people: `2026-11-22T12:00:10.123Z INFO action accepted, job: setuid, run: …`.
//!
//! slog-term sets the parts of a line in order and says what each of them is;
//! here each part is made safe before it is joined to the line.

use std::io::{self, Write};
use std::sync::Arc;

use slog::{Drain, OwnedKVList, Record};
use slog_term::{Decorator, FullFormat, RecordDecorator};

use super::{Sink, Times, VALUE_BYTES_MAX};
use crate::chain::excerpt;

/// Returns a drain that writes each record as a line of text.
pub(super) fn drain(sink: Arc<dyn Sink>, times: Times) -> impl Drain + use<> {
    FullFormat::new(Lines(sink))
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

/// Gives each record a line of its own.
#[derive(Debug)]
struct Lines(Arc<dyn Sink>);

impl Decorator for Lines {
    fn with_record<F>(&self, record: &Record<'_>, _: &OwnedKVList, write: F) -> io::Result<()>
    where
        F: FnOnce(&mut dyn RecordDecorator) -> io::Result<()>,
    {
        let mut line = Line::default();
        write(&mut line)?;
        self.0.write(record.level(), line.finish())
    }
}

/// What the part is that is being written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    /// Ours: separators, time stamp, level.
    #[default]
    Frame,
    /// A phrase or a key.
    Phrase,
    Value,
}

/// A line that is being put together.
#[derive(Debug, Default)]
struct Line {
    text: String,
    part: Part,
    /// The part as it came.
    raw: Vec<u8>,
}

impl Line {
    /// Joins the last part to the line.
    fn finish(&mut self) -> &str {
        self.begin(Part::Frame);
        // slog-term ends the line; what ends it here is the sink's to say.
        self.text.trim_end_matches('\n')
    }

    fn begin(&mut self, part: Part) {
        let raw = String::from_utf8_lossy(&self.raw);
        match self.part {
            Part::Frame => self.text.push_str(&raw),
            Part::Phrase => self.text.push_str(&excerpt(&raw, VALUE_BYTES_MAX)),
            Part::Value => push_value(&mut self.text, &excerpt(&raw, VALUE_BYTES_MAX)),
        }
        self.raw.clear();
        self.part = part;
    }
}

/// Adds a value, in quotes if it could be taken for more than one.
fn push_value(line: &mut String, value: &str) {
    if !value.is_empty() && !value.contains([',', '"']) {
        line.push_str(value);
        return;
    }
    line.push('"');
    line.push_str(&value.replace('"', "\\\""));
    line.push('"');
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.raw.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RecordDecorator for Line {
    fn reset(&mut self) -> io::Result<()> {
        self.begin(Part::Frame);
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
        self.begin(Part::Phrase);
        Ok(())
    }

    fn start_key(&mut self) -> io::Result<()> {
        self.begin(Part::Phrase);
        Ok(())
    }

    fn start_value(&mut self) -> io::Result<()> {
        self.begin(Part::Value);
        Ok(())
    }
}
