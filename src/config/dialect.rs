//! The git-config dialect: a file's text to its entries, each with its line.
//!
//! configparser alone cannot read it: it looks for comments inside quotes, keeps
//! quotes and escapes, lets the last of a repeated key win, and forgets lines. So
//! the characters are read by `scan`, and configparser is given headers and
//! keys in a plain form that it can read. What it does: sections that are opened
//! twice become one, letter case is set aside. Each key is numbered, so that
//! repetitions survive; each value stays with us, for configparser does not wipe
//! what it held and a value may be a passphrase.

use std::collections::HashMap;
use std::mem;

use configparser::ini::{Ini, IniDefault};

use super::fault::Fault;
use super::scan::{Item, scan};

pub(crate) use super::scan::Value;

/// What separates a key from its number: a control character, in no identifier.
const MARK: char = '\u{1f}';

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// The name, in lower case.
    pub(crate) name: String,
    /// Whether it names a subsection, as in `[name "subsection"]`.
    pub(crate) has_subsection: bool,
    /// Its line, from 1.
    pub(crate) line: u32,
}

/// A key of a section, with its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The section, in lower case.
    pub(crate) section: String,
    /// The key, in lower case.
    pub(crate) key: String,
    /// What it is set to.
    pub(crate) value: Value,
    /// The line on which the key stands, from 1.
    pub(crate) line: u32,
}

/// A file that was read as far as it can be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// All headers, in the order of the file.
    pub(crate) headers: Vec<Header>,
    /// All entries of sections without subsection, in the order of the file.
    pub(crate) entries: Vec<Entry>,
    /// All that cannot be read, in the order of the file.
    pub(crate) faults: Vec<Fault>,
    left_out: LeftOut,
}

/// What stands in the file and is in no entry, because of a fault that is told.
#[derive(Debug, PartialEq, Eq)]
enum LeftOut {
    /// Keys without a header that can be read, in lower case.
    Keys(Vec<String>),
    Everything,
}

impl Default for LeftOut {
    fn default() -> LeftOut {
        LeftOut::Keys(Vec::new())
    }
}

impl Document {
    /// Tells whether a key may be among those that could not be read.
    pub(crate) fn may_hide(&self, key: &str) -> bool {
        match &self.left_out {
            LeftOut::Keys(keys) => keys.iter().any(|left_out| left_out == key),
            LeftOut::Everything => true,
        }
    }
}

/// Reads a text; what is wrong with it is in the answer.
pub(crate) fn read(bytes: &[u8]) -> Document {
    let text = match checked(bytes) {
        Ok(text) => text,
        Err(fault) => {
            let (faults, left_out) = (vec![fault], LeftOut::Everything);
            return Document { faults, left_out, ..Document::default() };
        }
    };
    let (items, faults) = scan(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut gathered = Gathered { faults, ..Gathered::default() };
    for item in items {
        gathered.add(item);
    }
    gathered.document()
}

/// Text is UTF-8 without NUL; in what is none, nothing else is looked for.
fn checked(bytes: &[u8]) -> Result<&str, Fault> {
    let line = |end: usize| {
        let newlines = bytes.iter().take(end).filter(|byte| **byte == b'\n').count();
        Some(u32::try_from(newlines + 1).unwrap_or(u32::MAX))
    };
    let text = std::str::from_utf8(bytes).map_err(|error| Fault {
        line: line(error.valid_up_to()),
        text: "this is not UTF-8: save the file in that encoding".to_owned(),
    })?;
    match text.find('\0') {
        Some(at) => Err(Fault { line: line(at), text: "a NUL character: remove it".to_owned() }),
        None => Ok(text),
    }
}

/// What has been read so far: the plain text for configparser, and what is not in it.
#[derive(Default)]
struct Gathered {
    plain: String,
    headers: Vec<Header>,
    /// Value and line of each key, by its number.
    values: Vec<(Value, u32)>,
    faults: Vec<Fault>,
    section: Section,
    left_out: Vec<String>,
}

/// The section that a key belongs to.
#[derive(Default)]
enum Section {
    #[default]
    None,
    Open,
    /// Its header cannot be read, which is reported; one fault for each of its keys would not help.
    Broken,
    /// Its header names a subsection, which is for the reader to judge.
    Skipped,
}

impl Gathered {
    fn add(&mut self, item: Item) {
        match item {
            Item::BrokenHeader => self.section = Section::Broken,
            Item::Header(header) => {
                let name = header.name.to_lowercase();
                let (has_subsection, line) = (header.has_subsection, header.line);
                self.section = if has_subsection { Section::Skipped } else { Section::Open };
                if !has_subsection {
                    self.plain.push_str(&format!("[{name}]\n"));
                }
                self.headers.push(Header { name, has_subsection, line });
            }
            Item::Variable(variable) => match self.section {
                Section::Skipped => {}
                Section::Broken => self.left_out.push(variable.key.to_lowercase()),
                Section::None => {
                    self.left_out.push(variable.key.to_lowercase());
                    self.faults.push(Fault {
                        line: Some(variable.line),
                        text: format!("{} stands before any [section]", variable.key),
                    });
                }
                Section::Open => {
                    let number = self.values.len();
                    self.plain.push_str(&format!("{}{MARK}{number}\n", variable.key));
                    self.values.push((variable.value, variable.line));
                }
            },
        }
    }

    fn document(mut self) -> Document {
        let mut ini = Ini::new_from_defaults(plain_form());
        let sections = match ini.read(self.plain) {
            Ok(sections) => sections,
            // It reads whatever we write; if not, then no setting is used.
            Err(text) => {
                self.faults.push(Fault { line: None, text });
                HashMap::new()
            }
        };
        let mut entries = Vec::with_capacity(self.values.len());
        for (section, keys) in sections {
            for key in keys.into_keys() {
                let numbered = key.split_once(MARK).and_then(|(key, number)| {
                    Some((key, self.values.get_mut(number.parse::<usize>().ok()?)?))
                });
                if let Some((key, (value, line))) = numbered {
                    let (section, key) = (section.clone(), key.to_owned());
                    entries.push(Entry {
                        section,
                        key,
                        value: mem::replace(value, Value::Broken),
                        line: *line,
                    });
                }
            }
        }
        entries.sort_by_key(|entry| entry.line);
        self.faults.sort_by_key(|fault| fault.line);
        Document {
            headers: self.headers,
            entries,
            faults: self.faults,
            left_out: LeftOut::Keys(self.left_out),
        }
    }
}

/// Headers and bare keys, nothing else.
fn plain_form() -> IniDefault {
    let mut form = IniDefault::default();
    form.default_section = MARK.to_string();
    form.comment_symbols = Vec::new();
    form.inline_comment_symbols = Some(Vec::new());
    form.enable_inline_comments = false;
    form.multiline = false;
    form.delimiters = vec!['='];
    form
}

#[cfg(test)]
mod tests;
