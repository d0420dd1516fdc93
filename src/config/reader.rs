//! The settings of a file by section and key, each validated when it is queried.
//!
//! The queried keys define what a file may contain: [`Reader::finish`] reports every section and
//! key that was not queried. So there is no separate list of names that could differ from the code.
//!
//! **Failure.** An invalid value is reported and its setting treated as unset, so that later faults
//! are found too. An empty text counts as unset, as in the original.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::dialect::{self, Document, Entry, EntryValue};
use super::duration::{self, Keep};
use super::fault::{ConfigError, ConfigFault};
use super::nearest::hint;
use super::secret::Secret;
use crate::chain::excerpt;

/// Size limit, in bytes, of an invalid value in a message.
const SHOWN_BYTES_MAX: usize = 60;

/// A setting with its position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    /// From 1.
    pub(crate) line: u32,
}

/// A file whose settings are being queried.
#[derive(Debug)]
pub(crate) struct Reader {
    document: Document,
    /// The queried sections with their queried keys.
    queried: Vec<(&'static str, Vec<&'static str>)>,
}

#[derive(Debug)]
pub(crate) struct Section<'a> {
    name: &'static str,
    document: &'a mut Document,
    queried: &'a mut Vec<&'static str>,
}

impl Reader {
    pub(crate) fn new(text: &[u8]) -> Reader {
        Reader { document: dialect::read(text), queried: Vec::new() }
    }

    #[cfg(feature = "data")]
    pub(crate) fn has_section(&self, name: &str) -> bool {
        self.document.headers.iter().any(|header| header.name == name)
    }

    /// Queries one section with `read`. Each section is queried once, with all its keys.
    pub(crate) fn section<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let mut queried = Vec::new();
        let value =
            read(&mut Section { name, document: &mut self.document, queried: &mut queried });
        self.queried.push((name, queried));
        value
    }

    /// Adds faults that the caller found in the settings.
    pub(crate) fn add_faults(&mut self, faults: Vec<ConfigFault>) {
        self.document.faults.extend(faults);
    }

    /// Returns `settings` if the file has no fault, else all its faults; `file` is the path for
    /// messages.
    pub(crate) fn finish<T>(mut self, file: &Path, settings: Option<T>) -> Result<T, ConfigError> {
        let unknown = self.unknown();
        self.document.faults.extend(unknown);
        match settings {
            Some(settings) if self.document.faults.is_empty() => Ok(settings),
            _ => Err(ConfigError::new(file, self.document.faults)),
        }
    }

    /// Like [`Reader::finish`], for a file with settings of other programs: keys that were not
    /// queried are not faults.
    #[cfg(feature = "data")]
    pub(crate) fn finish_part<T>(self, file: &Path, settings: Option<T>) -> Result<T, ConfigError> {
        match settings {
            Some(settings) if self.document.faults.is_empty() => Ok(settings),
            _ => Err(ConfigError::new(file, self.document.faults)),
        }
    }

    /// Returns a fault for each section and key that was not queried.
    fn unknown(&self) -> Vec<ConfigFault> {
        let sections = self.queried.iter().map(|(name, _)| *name);
        let headers = self.document.headers.iter().filter_map(|header| {
            let name = &header.name;
            let text = if !sections.clone().any(|known| known == name) {
                format!("unknown section [{name}] ({})", hint(name, sections.clone()))
            } else if header.has_subsection {
                format!("[{name}] has no subsections: write [{name}]")
            } else {
                return None;
            };
            Some(ConfigFault { line: Some(header.line), text })
        });
        let keys =
            self.document.entries.iter().filter_map(|Entry { section, key, line, .. }| {
                let (_, keys) = self.queried.iter().find(|(name, _)| name == section)?;
                if keys.contains(&key.as_str()) {
                    return None;
                }
                let elsewhere = self.queried.iter().find(|(_, keys)| keys.contains(&key.as_str()));
                let hint = match elsewhere {
                    Some((section, _)) => format!("it belongs to [{section}]"),
                    None => hint(key, keys.iter().copied()),
                };
                let text = format!("unknown key {key} in [{section}] ({hint})");
                Some(ConfigFault { line: Some(*line), text })
            });
        headers.chain(keys).collect()
    }
}

impl Section<'_> {
    /// Reports a fault of a setting.
    pub(crate) fn fault(&mut self, line: u32, text: String) {
        self.document.faults.push(ConfigFault { line: Some(line), text });
    }

    /// Returns the text of a key; the last one, if it is repeated.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<Located<String>> {
        let Located { value, line } = self.secret(key)?;
        Some(Located { value: value.expose().to_owned(), line })
    }

    /// Returns the text of a required key. If it is missing, reports that with an example, unless
    /// it may be in a part that could not be parsed.
    pub(crate) fn required(&mut self, key: &'static str, example: &str) -> Option<Located<String>> {
        let found = self.text(key);
        let section = self.name;
        let is_reported =
            self.entries(key).any(|entry| !matches!(entry.value, EntryValue::Text(_)));
        if found.is_none() && !is_reported && !self.document.may_hide(key) {
            let header = self.document.headers.iter().find(|header| header.name == section);
            let line = header.map(|header| header.line);
            let text = format!("{key} is missing: write {key} = {example} in [{section}]");
            self.document.faults.push(ConfigFault { line, text });
        }
        found
    }

    /// Returns the text of a key as a secret, which messages do not show.
    pub(crate) fn secret(&mut self, key: &'static str) -> Option<Located<Secret>> {
        self.report_bare(key);
        let last = self.entries(key).last().and_then(located);
        last.filter(|Located { value, .. }| !value.expose().is_empty())
            .map(|Located { value, line }| Located { value: value.duplicate(), line })
    }

    /// Returns the non-empty texts of a key that may be repeated.
    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<Located<String>> {
        self.report_bare(key);
        self.entries(key)
            .filter_map(located)
            .filter(|found| !found.value.expose().is_empty())
            .map(|found| Located { value: found.value.expose().to_owned(), line: found.line })
            .collect()
    }

    /// Returns the texts of a key that may be repeated; a bare key clears the list, as in git.
    pub(crate) fn list(&mut self, key: &'static str) -> Vec<Located<String>> {
        self.queried.push(key);
        let mut list = Vec::new();
        for entry in self.entries(key) {
            if let Some(Located { value, line }) = located(entry) {
                list.push(Located { value: value.expose().to_owned(), line });
            } else if entry.value == EntryValue::Bare {
                list.clear();
            }
        }
        list
    }

    /// Returns a flag; a bare key is true.
    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.queried.push(key);
        self.each(key, |value| {
            let Some(value) = value else { return Ok(true) };
            match value.to_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(true),
                "false" | "no" | "off" | "0" => Ok(false),
                _ => Err(format!("{key} must be on or off, not {}", shown(value))),
            }
        })
    }

    pub(crate) fn integer(&mut self, key: &'static str) -> Option<Located<i64>> {
        self.report_bare(key);
        let number = self.each(key, |value| {
            let value = value.unwrap_or_default();
            parse_integer(value.trim())
                .ok_or_else(|| format!("{key} must be a whole number, not {}", shown(value)))
        })?;
        let line = self.entries(key).last()?.line;
        Some(Located { value: number, line })
    }

    /// Returns a whole number within `range`.
    pub(crate) fn number<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let Located { value, line } = self.integer(key)?;
        let number = T::try_from(value).ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            self.fault(line, format!("{key} must be {least} to {most}, not {value}"));
        }
        number
    }

    /// Returns a duration within `range`.
    pub(crate) fn duration(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let found = self.text(key)?;
        let span = self.parsed(key, &found, duration::parse)?;
        self.bounded(key, found.line, range, span).then_some(span)
    }

    /// Returns how much to keep: all, a number, or an age within `range`.
    pub(crate) fn keep(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<Duration>,
    ) -> Option<Keep> {
        let found = self.text(key)?;
        let keep = self.parsed(key, &found, duration::parse_keep)?;
        match keep {
            Keep::For(age) => self.bounded(key, found.line, range, age).then_some(keep),
            Keep::All | Keep::Count(_) => Some(keep),
        }
    }

    /// Returns the value of one of the allowed words.
    pub(crate) fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let Located { value, line } = self.text(key)?;
        let chosen = words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
        if chosen.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.fault(line, format!("{key} must be {}, not {}", words.join(" | "), shown(&value)));
        }
        chosen
    }

    /// Returns a path, unresolved.
    pub(crate) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.text(key).map(|found| PathBuf::from(found.value))
    }

    /// Parses a text, or reports why it is invalid.
    pub(crate) fn parsed<T, E: Display>(
        &mut self,
        key: &'static str,
        found: &Located<String>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(&found.value)
            .map_err(|error| {
                self.fault(found.line, format!("{key} = {}: {error}", shown(&found.value)));
            })
            .ok()
    }

    /// Returns the values of a key that may be repeated, parsed as `T`.
    pub(crate) fn names<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Vec<T> {
        let found = self.texts(key);
        found.iter().filter_map(|found| self.parsed(key, found, T::from_str)).collect()
    }

    fn bounded(
        &mut self,
        key: &'static str,
        line: u32,
        range: &RangeInclusive<Duration>,
        span: Duration,
    ) -> bool {
        let is_inside = range.contains(&span);
        if !is_inside {
            let (least, most) = (duration::format(*range.start()), duration::format(*range.end()));
            self.fault(
                line,
                format!("{key} must be {least} to {most}, not {}", duration::format(span)),
            );
        }
        is_inside
    }

    /// Records that a key was queried, and reports each occurrence without a value.
    fn report_bare(&mut self, key: &'static str) {
        self.queried.push(key);
        let bare = self.entries(key).filter(|entry| entry.value == EntryValue::Bare);
        let text = format!("{key} needs a value: write {key} = …");
        let faults: Vec<_> =
            bare.map(|entry| ConfigFault { line: Some(entry.line), text: text.clone() }).collect();
        self.document.faults.extend(faults);
    }

    /// Parses every value of a key and returns the last; an overridden value must be valid too.
    fn each<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(Option<&str>) -> Result<T, String>,
    ) -> Option<T> {
        let mut last = None;
        let mut faults = Vec::new();
        for entry in self.entries(key) {
            let value = match &entry.value {
                EntryValue::Text(text) => Some(text.expose()),
                EntryValue::Bare => None,
                EntryValue::Broken => continue,
            };
            match read(value) {
                Ok(value) => last = Some(value),
                Err(text) => faults.push(ConfigFault { line: Some(entry.line), text }),
            }
        }
        let is_sound = faults.is_empty();
        self.document.faults.extend(faults);
        last.filter(|_| is_sound)
    }

    fn entries(&self, key: &str) -> impl DoubleEndedIterator<Item = &Entry> {
        let name = self.name;
        self.document.entries.iter().filter(move |entry| entry.section == name && entry.key == key)
    }
}

fn located(entry: &Entry) -> Option<Located<&Secret>> {
    match &entry.value {
        EntryValue::Text(value) => Some(Located { value, line: entry.line }),
        EntryValue::Bare | EntryValue::Broken => None,
    }
}

/// Formats a value for a message, in quotes.
fn shown(value: &str) -> String {
    format!("\"{}\"", excerpt(value, SHOWN_BYTES_MAX))
}

/// Parses what the original accepts: an optional sign and digits, or hexadecimal digits after `0x`.
fn parse_integer(text: &str) -> Option<i64> {
    let magnitude = text.strip_prefix('-').unwrap_or(text);
    let Some(digits) = magnitude.strip_prefix("0x") else { return text.parse().ok() };
    // Rust would accept a sign after the prefix too.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let sign = if magnitude == text { "" } else { "-" };
    i64::from_str_radix(&format!("{sign}{digits}"), 16).ok()
}

#[cfg(test)]
mod tests;
