//! The scanner of git-config files: headers, variables, quotes, escapes, comments.
//!
//! The grammar and its terms are those of the parser that the original uses. Unlike it, this
//! scanner continues with the next line after a fault, so that all faults are reported.

use std::iter::Peekable;
use std::str::Chars;

use super::fault::ConfigFault;
use super::secret::Secret;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) has_subsection: bool,
    pub(super) line: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) key: String,
    pub(super) value: EntryValue,
    /// The line on which it begins.
    pub(super) line: u32,
}

/// The value of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EntryValue {
    /// A key without `=`.
    Bare,
    /// The text, without quotes and escapes.
    Text(Secret),
    /// An invalid value, whose fault is reported.
    Broken,
}

/// An element of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Header(Header),
    /// The invalid header of a section, whose variables are ignored.
    BrokenHeader,
    /// A variable of the preceding header's section.
    Variable(Variable),
}

/// Returns the elements of a text and its faults.
pub(super) fn scan(text: &str) -> (Vec<Item>, Vec<ConfigFault>) {
    let mut scanner = Scanner { rest: text.chars().peekable(), line: 1 };
    let (mut items, mut faults) = (Vec::new(), Vec::new());
    loop {
        scanner.skip_blanks();
        let Some(c) = scanner.peek() else { return (items, faults) };
        let line = scanner.line;
        let (item, fault) = match c {
            '\n' | ';' | '#' => (None, None),
            '[' => match scanner.header() {
                Ok(header) => (Some(Item::Header(header)), None),
                Err(text) => (Some(Item::BrokenHeader), Some(text)),
            },
            c if is_letter(c) => scanner.variable(),
            c => (
                None,
                Some(format!(
                    "unexpected {c:?} at the beginning of a line: write [section] or key = value"
                )),
            ),
        };
        items.extend(item);
        faults.extend(fault.map(|text| ConfigFault { line: Some(line), text }));
        scanner.skip_line();
    }
}

struct Scanner<'a> {
    rest: Peekable<Chars<'a>>,
    line: u32,
}

impl Scanner<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next();
        if c == Some('\n') {
            self.line = self.line.saturating_add(1);
        }
        c
    }

    /// Consumes `c` if it is next; returns whether it was.
    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.next();
        }
        found
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.next();
        }
    }

    /// Moves to the beginning of the next line.
    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    /// Returns whether only a comment remains on the line.
    fn at_end(&mut self) -> bool {
        self.skip_blanks();
        self.peek().is_none_or(|c| matches!(c, '\n' | ';' | '#'))
    }

    /// Consumes a name. The original rejects underscores; here they yield an unknown name, so that
    /// the known one can be suggested.
    fn identifier(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) =
            self.rest.next_if(|&c| is_letter(c) || c.is_numeric() || matches!(c, '-' | '_'))
        {
            name.push(c);
        }
        name
    }

    fn header(&mut self) -> Result<Header, String> {
        let line = self.line;
        self.take('[');
        self.skip_blanks();
        if !self.peek().is_some_and(is_letter) {
            return Err("the section name is missing: write [section], without quotes".to_owned());
        }
        let name = self.identifier();
        self.skip_blanks();
        let has_subsection = self.peek() == Some('"');
        if has_subsection {
            self.subsection()?;
            self.skip_blanks();
        }
        if !self.take(']') {
            return Err(format!("the header [{name} has no closing ]"));
        }
        if !self.at_end() {
            return Err(format!("only a comment may follow [{name}]: move the rest to a new line"));
        }
        Ok(Header { name, has_subsection, line })
    }

    /// Consumes a quoted subsection and ignores its content.
    fn subsection(&mut self) -> Result<(), String> {
        self.take('"');
        let mut is_empty = true;
        loop {
            match self.peek() {
                None | Some('\n') => return Err(UNTERMINATED.to_owned()),
                Some('"') if is_empty => return Err("the subsection name is empty".to_owned()),
                Some('"') => {
                    self.take('"');
                    return Ok(());
                }
                Some('\\') => {
                    self.next();
                    self.rest.next_if(|c| matches!(c, '\\' | '"')).ok_or(ESCAPE)?;
                }
                Some(_) => {
                    self.next();
                }
            }
            is_empty = false;
        }
    }

    fn variable(&mut self) -> (Option<Item>, Option<String>) {
        let line = self.line;
        let key = self.identifier();
        let (value, fault) = if self.at_end() {
            (EntryValue::Bare, None)
        } else if !self.take('=') {
            (EntryValue::Broken, Some(format!("missing = after {key}")))
        } else {
            self.skip_blanks();
            self.value().map_or_else(
                |text| (EntryValue::Broken, Some(text)),
                |value| (EntryValue::Text(value), None),
            )
        };
        (Some(Item::Variable(Variable { key, value, line })), fault)
    }

    /// Consumes a value up to the end of the line or a comment. Messages do not show the value,
    /// which may be a passphrase.
    fn value(&mut self) -> Result<Secret, String> {
        let mut value = Secret::default();
        // Trailing blanks count only inside quotes.
        let mut bytes = 0;
        let mut is_quoted = false;
        while let Some(c) = self.peek() {
            match c {
                '\n' if is_quoted => return Err(UNTERMINATED.to_owned()),
                '\n' | ';' | '#' if !is_quoted => break,
                '\\' if is_quoted => {
                    self.next();
                    value.push(self.escape()?);
                }
                '\\' => {
                    self.next();
                    self.take('\r');
                    if !self.take('\n') {
                        return Err(CONTINUATION.to_owned());
                    }
                }
                '"' => {
                    self.next();
                    is_quoted = !is_quoted;
                }
                // As in the original, carriage returns are never part of a value.
                '\r' => {
                    self.next();
                }
                c => {
                    self.next();
                    value.push(c);
                }
            }
            if is_quoted || !is_blank(c) {
                bytes = value.expose().len();
            }
        }
        if is_quoted {
            return Err(UNTERMINATED.to_owned());
        }
        value.truncate(bytes);
        Ok(value)
    }

    /// Consumes the character after a backslash in quotes.
    fn escape(&mut self) -> Result<char, String> {
        match self.rest.next_if(|c| matches!(c, '\\' | '"' | 'n' | 't')) {
            Some('n') => Ok('\n'),
            Some('t') => Ok('\t'),
            Some(c) => Ok(c),
            None => Err(ESCAPE.to_owned()),
        }
    }
}

const UNTERMINATED: &str = "missing closing quote on this line";
const ESCAPE: &str =
    r#"unknown escape: in quotes write \\ for a backslash; valid escapes are \" \\ \n \t"#;
const CONTINUATION: &str =
    r#"backslash outside quotes: put the value in double quotes and write \\ for a backslash"#;

fn is_letter(c: char) -> bool {
    c.is_alphabetic()
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}
