//! Why a text is not accepted, in Go's words, and where in it.
//!
//! The words matter: the platform answers with them, so an operator who looks
//! them up finds them, and the one-host platform answers the same. The place is
//! ours. It is worked out only when there is a fault to report.

use std::fmt;

use crate::action::time::TimeError;
use crate::chain;

/// How much of a path or of a value is shown, in bytes.
const SHOWN_BYTES_MAX: usize = 120;

/// A text that Go would refuse, or that it would understand by half.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", .0.place, .0.fault)]
pub(crate) struct ParseError(Box<Located>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Located {
    fault: Fault,
    place: Place,
}

impl ParseError {
    pub(super) fn new(text: &[u8], fault: FaultAt) -> ParseError {
        let place = Place::of(text, fault.at);
        ParseError(Box::new(Located { fault: fault.fault, place }))
    }

    /// Returns the fault alone: what Go says, without the place.
    #[cfg(any(test, feature = "platform"))]
    pub(crate) fn fault(&self) -> &Fault {
        &self.0.fault
    }
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// The text ends too early.
    #[error("unexpected end of JSON input")]
    End,
    /// A character cannot stand where it is.
    #[error("invalid character {} {context}", quoted(*byte))]
    Character {
        /// The character's first byte.
        byte: u8,
        context: &'static str,
    },
    /// A value is of another type than its field.
    #[error(
        "json: cannot unmarshal {} into Go {target} of type {go_type}",
        chain::excerpt(value, SHOWN_BYTES_MAX)
    )]
    Type {
        /// What the value is.
        value: String,
        /// The field, or `value`.
        target: String,
        /// The type of the field.
        go_type: String,
    },
    /// A time is none.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// Bytes are not in base64.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
    /// A key stands twice in one object: Go would keep the last value, or mix them.
    #[error(
        "the key \"{}\" is given twice, first at {first}",
        chain::excerpt(key, SHOWN_BYTES_MAX)
    )]
    Duplicate {
        /// The key, as it is given the second time.
        key: String,
        /// Where it stands first.
        first: Place,
    },
}

/// A fault and the offset at which it was found.
#[derive(Debug)]
pub(in crate::action) struct FaultAt {
    pub(super) at: usize,
    pub(super) fault: Fault,
}

/// Quotes a byte as Go does: as the character of that number.
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

/// A place in a text: its line, its column, and the keys that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    line: usize,
    column: usize,
    path: String,
}

impl Place {
    /// Returns the place of the byte at `offset`; all before it must be well formed.
    pub(super) fn of(text: &[u8], offset: usize) -> Place {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        let column = 1 + before.len() - line_start;
        Place { line, column, path: path(text, offset) }
    }

    /// Returns the place without the keys that lead to it.
    pub(super) fn without_path(self) -> Place {
        Place { path: String::new(), ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, " ({})", chain::excerpt(&self.path, SHOWN_BYTES_MAX))?;
        }
        Ok(())
    }
}

/// What stands open at some offset.
enum Open<'a> {
    Object { key: Option<&'a [u8]>, key_next: bool },
    Array { index: usize },
}

/// Returns the keys and indices that lead to `offset`, as in `operations[0].parameters.a`.
fn path(text: &[u8], offset: usize) -> String {
    let mut open: Vec<Open<'_>> = Vec::new();
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
                if let Some(Open::Object { key, key_next: key_next @ true }) = top {
                    (*key, *key_next) = (Some(string), false);
                }
            }
            (b'{', _) => open.push(Open::Object { key: None, key_next: true }),
            (b'[', _) => open.push(Open::Array { index: 0 }),
            (b'}' | b']', _) => drop(open.pop()),
            (b',', Some(Open::Object { key_next, .. })) => *key_next = true,
            (b',', Some(Open::Array { index })) => *index += 1,
            _ => {}
        }
    }
    let mut path = String::new();
    for step in open {
        match step {
            Open::Array { index } => path.push_str(&format!("[{index}]")),
            Open::Object { key: Some(key), .. } => {
                let dot = if path.is_empty() { "" } else { "." };
                path.push_str(dot);
                path.push_str(&String::from_utf8_lossy(key));
            }
            Open::Object { key: None, .. } => {}
        }
    }
    path
}

/// Returns how far the end of a string is, given what follows its first quote.
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
    fn a_place_has_a_line_a_column_and_a_path() {
        let text = b"{\"a\": 1,\n \"b\": [{}, {\"c\\\"\": x}]}";
        let offset = text.iter().position(|b| *b == b'x').unwrap();
        assert_eq!(Place::of(text, offset).to_string(), r#"line 2, column 20 (b[1].c\")"#);
        assert_eq!(Place::of(text, 1).to_string(), "line 1, column 2 (a)");
        assert_eq!(Place::of(b"x", 0).to_string(), "line 1, column 1");
        assert_eq!(Place::of(b"", 0).to_string(), "line 1, column 1");
    }

    #[test]
    fn characters_are_quoted_as_go_quotes_them() {
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
