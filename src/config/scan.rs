//! The characters of a git-config file: headers, variables, quotes, escapes, comments.
//!
//! The grammar is that of the reader that the original uses, whose words for the
//! same thing these are. Unlike it, this one goes on after a fault with the next
//! line, so that a person sees them all.

use std::iter::Peekable;
use std::str::Chars;

use super::fault::Fault;
use super::secret::Secret;

/// `[name]` or `[name "subsection"]`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The name as written.
    pub(super) name: String,
    /// Whether a subsection is named.
    pub(super) has_subsection: bool,
    /// The line of the file.
    pub(super) line: u32,
}

/// `key = value`, or a bare `key`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    /// The name as written.
    pub(super) key: String,
    /// What it is set to.
    pub(super) value: Value,
    /// The line of the file on which it begins.
    pub(super) line: u32,
}

/// What a key is set to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing: a key without `=`.
    Bare,
    /// This text, without quotes and escapes.
    Text(Secret),
    /// Something that cannot be read; the fault is reported.
    Broken,
}

/// What a file is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Header(Header),
    /// A section begins whose header cannot be read: what is in it belongs to nobody.
    BrokenHeader,
    /// A variable of the section that began last.
    Variable(Variable),
}

/// Returns what the text is made of, and what cannot be read.
pub(super) fn scan(text: &str) -> (Vec<Item>, Vec<Fault>) {
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
                Some(format!("a line cannot begin with {c:?}: write [section] or key = value")),
            ),
        };
        items.extend(item);
        faults.extend(fault.map(|text| Fault { line: Some(line), text }));
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

    /// Takes `c` if it is next.
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

    /// Goes to the beginning of the next line.
    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    /// Tells whether nothing but a comment is left of the line.
    fn at_end(&mut self) -> bool {
        self.skip_blanks();
        self.peek().is_none_or(|c| matches!(c, '\n' | ';' | '#'))
    }

    /// Takes a name. The original refuses the underscore; here it makes a name that
    /// is not known, so that the known one can be suggested.
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
            return Err("a section's name is missing: write [section], without quotes".to_owned());
        }
        let name = self.identifier();
        self.skip_blanks();
        let has_subsection = self.peek() == Some('"');
        if has_subsection {
            self.subsection()?;
            self.skip_blanks();
        }
        if !self.take(']') {
            return Err(format!("the header [{name} lacks its ]"));
        }
        if !self.at_end() {
            return Err(format!("only a comment may follow [{name}]: move the rest to a new line"));
        }
        Ok(Header { name, has_subsection, line })
    }

    /// Takes a quoted subsection; what it says is of no use.
    fn subsection(&mut self) -> Result<(), String> {
        self.take('"');
        let mut is_empty = true;
        loop {
            match self.peek() {
                None | Some('\n') => return Err(UNTERMINATED.to_owned()),
                Some('"') if is_empty => return Err("a subsection's name is empty".to_owned()),
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
            (Value::Bare, None)
        } else if !self.take('=') {
            (Value::Broken, Some(format!("a = is missing after {key}")))
        } else {
            self.skip_blanks();
            self.value()
                .map_or_else(|text| (Value::Broken, Some(text)), |value| (Value::Text(value), None))
        };
        (Some(Item::Variable(Variable { key, value, line })), fault)
    }

    /// Takes a value up to the end of the line or a comment. Its faults do not show
    /// it: it may be a passphrase.
    fn value(&mut self) -> Result<Secret, String> {
        let mut value = Secret::default();
        // Blanks at the end count only inside quotes.
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
                // As in the original, a carriage return is never part of a value.
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

    /// Takes what follows a backslash in quotes.
    fn escape(&mut self) -> Result<char, String> {
        match self.rest.next_if(|c| matches!(c, '\\' | '"' | 'n' | 't')) {
            Some('n') => Ok('\n'),
            Some('t') => Ok('\t'),
            Some(c) => Ok(c),
            None => Err(ESCAPE.to_owned()),
        }
    }
}

const UNTERMINATED: &str = "a quote is not closed on its line";
const ESCAPE: &str =
    r#"an unknown escape: in quotes write \\ for a backslash; known are \" \\ \n \t"#;
const CONTINUATION: &str =
    r#"a backslash outside quotes: put the value in double quotes and write \\ for a backslash"#;

fn is_letter(c: char) -> bool {
    c.is_alphabetic()
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}
