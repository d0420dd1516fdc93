//! JSON errors with Go's messages and their position in the text.
//!
//! The platform's API returns these messages, so that an operator can look them up, and the
//! one-host platform returns the same ones. The position is our addition; it is computed only when
//! an error is reported.

use std::fmt;

use crate::chain;
use crate::go::time::TimeError;

/// Size limit, in bytes, of a path or value in a message.
const SHOWN_BYTES_MAX: usize = 120;

/// A text that Go would reject or would partly ignore.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", .0.position, .0.fault)]
pub(crate) struct ParseError(Box<Located>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Located {
    fault: JsonFault,
    position: Position,
}

impl ParseError {
    pub(super) fn new(text: &[u8], fault: LocatedFault) -> ParseError {
        let position = Position::of(text, fault.at);
        ParseError(Box::new(Located { fault: fault.fault, position }))
    }

    /// Returns Go's message without the position.
    #[cfg(any(test, feature = "platform"))]
    pub(crate) fn fault(&self) -> &JsonFault {
        &self.0.fault
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonFault {
    #[error("unexpected end of JSON input")]
    End,
    /// A character that cannot occur at its position.
    #[error("invalid character {} {context}", quoted(*byte))]
    Character {
        /// The character's first byte.
        byte: u8,
        context: &'static str,
    },
    /// The value's type differs from that of its field.
    #[error(
        "json: cannot unmarshal {} into Go {target} of type {go_type}",
        chain::excerpt(value, SHOWN_BYTES_MAX)
    )]
    Type {
        /// The type of the value, with the literal of a number.
        value: String,
        /// The field, or `value`.
        target: String,
        /// The type of the field.
        go_type: String,
    },
    #[error(transparent)]
    Time(#[from] TimeError),
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
    /// A key occurs twice in one object. Go would keep the last value or merge both.
    #[error(
        "the key \"{}\" is given twice, first at {first}",
        chain::excerpt(key, SHOWN_BYTES_MAX)
    )]
    Duplicate {
        /// The key in its second spelling.
        key: String,
        /// The position of the first key.
        first: Position,
    },
}

/// A fault and the offset at which it was found.
#[derive(Debug)]
pub(crate) struct LocatedFault {
    pub(super) at: usize,
    pub(super) fault: JsonFault,
}

/// Quotes a byte as Go does: as the character with that code.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        0..=0x1f | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u{byte:04x}'"),
        _ => format!("'{}'", char::from(byte)),
    }
}

/// A position in a text: line and column from 1, and the path of keys that leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    line: usize,
    column: usize,
    path: String,
}

impl Position {
    /// Returns the position of the byte at `offset`; the text before it must be well formed.
    pub(super) fn of(text: &[u8], offset: usize) -> Position {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        let column = 1 + before.len() - line_start;
        Position { line, column, path: path(text, offset) }
    }

    /// Removes the path.
    pub(super) fn without_path(self) -> Position {
        Position { path: String::new(), ..self }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, " ({})", chain::excerpt(&self.path, SHOWN_BYTES_MAX))?;
        }
        Ok(())
    }
}

/// An object or array that contains an offset.
enum Container<'a> {
    Object { key: Option<&'a [u8]>, key_next: bool },
    Array { index: usize },
}

/// Returns the keys and indices that lead to `offset`, as in `operations[0].parameters.a`.
fn path(text: &[u8], offset: usize) -> String {
    let mut open: Vec<Container<'_>> = Vec::new();
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        let at = text.len() - rest.len();
        // A key at the offset itself belongs to the path.
        if at > offset || (at == offset && *byte != b'"') {
            break;
        }
        rest = after;
        match (byte, open.last_mut()) {
            (b'"', top) => {
                let string = rest.get(..string_bytes(rest)).unwrap_or(rest);
                rest = rest.get(string.len() + 1..).unwrap_or_default();
                if let Some(Container::Object { key, key_next: key_next @ true }) = top {
                    (*key, *key_next) = (Some(string), false);
                }
            }
            (b'{', _) => open.push(Container::Object { key: None, key_next: true }),
            (b'[', _) => open.push(Container::Array { index: 0 }),
            (b'}' | b']', _) => drop(open.pop()),
            (b',', Some(Container::Object { key_next, .. })) => *key_next = true,
            (b',', Some(Container::Array { index })) => *index += 1,
            _ => {}
        }
    }
    let mut path = String::new();
    for step in open {
        match step {
            Container::Array { index } => path.push_str(&format!("[{index}]")),
            Container::Object { key: Some(key), .. } => {
                let dot = if path.is_empty() { "" } else { "." };
                path.push_str(dot);
                path.push_str(&String::from_utf8_lossy(key));
            }
            Container::Object { key: None, .. } => {}
        }
    }
    path
}

/// Returns the length of a string, given the text after its opening quote.
fn string_bytes(rest: &[u8]) -> usize {
    let mut escaped = false;
    let end = rest.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_has_line_column_and_path() {
        let text = b"{\"a\": 1,\n \"b\": [{}, {\"c\\\"\": x}]}";
        let offset = text.iter().position(|b| *b == b'x').unwrap();
        assert_eq!(Position::of(text, offset).to_string(), r#"line 2, column 20 (b[1].c\")"#);
        assert_eq!(Position::of(text, 1).to_string(), "line 1, column 2 (a)");
        assert_eq!(Position::of(b"x", 0).to_string(), "line 1, column 1");
        assert_eq!(Position::of(b"", 0).to_string(), "line 1, column 1");
    }

    #[test]
    fn characters_are_quoted_as_in_go() {
        for (byte, text) in [
            (b'x', "'x'"),
            (b'\'', r"'\''"),
            (b'"', "'\"'"),
            (1, r"'\x01'"),
            (0xff, "'ÿ'"),
            (0x85, r"'\u0085'"),
        ] {
            assert_eq!(quoted(byte), text);
        }
    }
}
