//! The git-config dialect: parses a file's text into entries with their lines.
//!
//! configparser alone cannot parse it: it finds comments inside quotes, keeps quotes and escapes,
//! keeps only the last of several equal keys, and forgets lines. So `scan` reads the characters,
//! and configparser receives only headers and keys, in a plain form. It merges sections that occur
//! more than once and ignores letter case. Each key carries a number, so that repetitions are
//! preserved. Values are kept here: configparser does not wipe its memory, and a value may be a
//! passphrase.

use std::collections::HashMap;
use std::mem;

use configparser::ini::{Ini, IniDefault};

use super::fault::ConfigFault;
use super::scan::{Item, scan};

pub(crate) use super::scan::EntryValue;

/// Separator between a key and its number: a control character, which no identifier contains.
const MARK: char = '\u{1f}';

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// In lower case.
    pub(crate) name: String,
    /// Whether it has a subsection, as in `[name "subsection"]`.
    pub(crate) has_subsection: bool,
    /// From 1.
    pub(crate) line: u32,
}

/// A key of a section with its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// In lower case.
    pub(crate) section: String,
    /// In lower case.
    pub(crate) key: String,
    pub(crate) value: EntryValue,
    /// The line of the key, from 1.
    pub(crate) line: u32,
}

/// The content of a file, as far as it is valid.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// In file order.
    pub(crate) headers: Vec<Header>,
    /// The entries of sections without subsection, in file order.
    pub(crate) entries: Vec<Entry>,
    /// In file order.
    pub(crate) faults: Vec<ConfigFault>,
    left_out: LeftOut,
}

/// Parts of the file that are missing from the entries because of a reported fault.
#[derive(Debug, PartialEq, Eq)]
enum LeftOut {
    /// Keys without a valid header, in lower case.
    Keys(Vec<String>),
    Everything,
}

impl Default for LeftOut {
    fn default() -> LeftOut {
        LeftOut::Keys(Vec::new())
    }
}

impl Document {
    /// Returns whether a key may be in a part that could not be parsed.
    pub(crate) fn may_hide(&self, key: &str) -> bool {
        match &self.left_out {
            LeftOut::Keys(keys) => keys.iter().any(|left_out| left_out == key),
            LeftOut::Everything => true,
        }
    }
}

/// Parses a text; the result includes its faults.
pub(crate) fn read(bytes: &[u8]) -> Document {
    let text = match checked(bytes) {
        Ok(text) => text,
        Err(fault) => {
            let (faults, left_out) = (vec![fault], LeftOut::Everything);
            return Document { faults, left_out, ..Document::default() };
        }
    };
    let (items, faults) = scan(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut collector = Collector { faults, ..Collector::default() };
    for item in items {
        collector.add(item);
    }
    collector.document()
}

/// Checks that the text is UTF-8 without NUL. If it is not, no further faults are reported.
fn checked(bytes: &[u8]) -> Result<&str, ConfigFault> {
    let line = |end: usize| {
        let newlines = bytes.iter().take(end).filter(|byte| **byte == b'\n').count();
        Some(u32::try_from(newlines + 1).unwrap_or(u32::MAX))
    };
    let text = std::str::from_utf8(bytes).map_err(|error| ConfigFault {
        line: line(error.valid_up_to()),
        text: "the file is not UTF-8: save it in that encoding".to_owned(),
    })?;
    match text.find('\0') {
        Some(at) => Err(ConfigFault {
            line: line(at),
            text: "the line contains a NUL character: remove it".to_owned(),
        }),
        None => Ok(text),
    }
}

/// The parsed content so far: the plain text for configparser, and what is kept out of it.
#[derive(Default)]
struct Collector {
    plain: String,
    headers: Vec<Header>,
    /// The value and line of each key, by its number.
    values: Vec<(EntryValue, u32)>,
    faults: Vec<ConfigFault>,
    section: CurrentSection,
    left_out: Vec<String>,
}

/// The state of the current section.
#[derive(Default)]
enum CurrentSection {
    #[default]
    None,
    Open,
    /// Its header is invalid and reported; reporting each of its keys would not help.
    Broken,
    /// Its header has a subsection, which the reader reports.
    Skipped,
}

impl Collector {
    fn add(&mut self, item: Item) {
        match item {
            Item::BrokenHeader => self.section = CurrentSection::Broken,
            Item::Header(header) => {
                let name = header.name.to_lowercase();
                let (has_subsection, line) = (header.has_subsection, header.line);
                self.section =
                    if has_subsection { CurrentSection::Skipped } else { CurrentSection::Open };
                if !has_subsection {
                    self.plain.push_str(&format!("[{name}]\n"));
                }
                self.headers.push(Header { name, has_subsection, line });
            }
            Item::Variable(variable) => match self.section {
                CurrentSection::Skipped => {}
                CurrentSection::Broken => self.left_out.push(variable.key.to_lowercase()),
                CurrentSection::None => {
                    self.left_out.push(variable.key.to_lowercase());
                    self.faults.push(ConfigFault {
                        line: Some(variable.line),
                        text: format!("{} comes before any [section]", variable.key),
                    });
                }
                CurrentSection::Open => {
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
            // configparser accepts everything written here; if not, no setting is used.
            Err(text) => {
                self.faults.push(ConfigFault { line: None, text });
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
                        value: mem::replace(value, EntryValue::Broken),
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

/// Returns configparser's settings for headers and bare keys only.
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
