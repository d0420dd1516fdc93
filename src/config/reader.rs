//! The settings of a file by section and key, each checked when it is asked for.
//!
//! What a file may hold is what is asked for: [`Reader::finish`] reports every
//! section and key that nobody asked for, so that there is no list of names that
//! could differ from what is used.
//!
//! **Failure.** A value that is wrong is reported and its setting taken for unset,
//! so that the faults after it are found too. An empty text is taken for unset, as
//! in the original.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::dialect::{self, Document, Entry, Value};
use super::duration::{self, Keep};
use super::fault::{ConfigError, Fault};
use super::nearest::remark;
use super::secret::Secret;
use crate::chain::excerpt;

/// How much of a wrong value a message shows.
const SHOWN_BYTES_MAX: usize = 60;

/// A setting and where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    /// The line of the file, from 1.
    pub(crate) line: u32,
}

/// A file that is being read.
#[derive(Debug)]
pub(crate) struct Reader {
    document: Document,
    /// Each section that was asked for, with the keys that were.
    asked: Vec<(&'static str, Vec<&'static str>)>,
}

/// The settings of one section.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    name: &'static str,
    document: &'a mut Document,
    asked: &'a mut Vec<&'static str>,
}

impl Reader {
    /// Returns the settings in a text.
    pub(crate) fn new(text: &[u8]) -> Reader {
        Reader { document: dialect::read(text), asked: Vec::new() }
    }

    /// Tells whether the text has a section of this name.
    #[cfg(feature = "data")]
    pub(crate) fn has_section(&self, name: &str) -> bool {
        self.document.headers.iter().any(|header| header.name == name)
    }

    /// Reads one section with `read`. A section is asked for once, with all its keys.
    pub(crate) fn section<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let mut asked = Vec::new();
        let value = read(&mut Section { name, document: &mut self.document, asked: &mut asked });
        self.asked.push((name, asked));
        value
    }

    /// Adds what somebody else found wrong with the settings.
    pub(crate) fn refuse(&mut self, faults: Vec<Fault>) {
        self.document.faults.extend(faults);
    }

    /// Returns `settings` if the file has no fault, else all its faults; `file` is its path for the messages.
    pub(crate) fn finish<T>(mut self, file: &Path, settings: Option<T>) -> Result<T, ConfigError> {
        let unknown = self.unknown();
        self.document.faults.extend(unknown);
        match settings {
            Some(settings) if self.document.faults.is_empty() => Ok(settings),
            _ => Err(ConfigError::new(file, self.document.faults)),
        }
    }

    /// As [`Reader::finish`] for a file that others read too: what nobody asked for is theirs.
    #[cfg(feature = "data")]
    pub(crate) fn finish_part<T>(self, file: &Path, settings: Option<T>) -> Result<T, ConfigError> {
        match settings {
            Some(settings) if self.document.faults.is_empty() => Ok(settings),
            _ => Err(ConfigError::new(file, self.document.faults)),
        }
    }

    /// Returns a fault for each section and key that nobody asked for.
    fn unknown(&self) -> Vec<Fault> {
        let sections = self.asked.iter().map(|(name, _)| *name);
        let headers = self.document.headers.iter().filter_map(|header| {
            let name = &header.name;
            let text = if !sections.clone().any(|known| known == name) {
                format!("unknown section [{name}] ({})", remark(name, sections.clone()))
            } else if header.has_subsection {
                format!("[{name}] has no subsections: write [{name}]")
            } else {
                return None;
            };
            Some(Fault { line: Some(header.line), text })
        });
        let keys =
            self.document.entries.iter().filter_map(|Entry { section, key, line, .. }| {
                let (_, keys) = self.asked.iter().find(|(name, _)| name == section)?;
                if keys.contains(&key.as_str()) {
                    return None;
                }
                let elsewhere = self.asked.iter().find(|(_, keys)| keys.contains(&key.as_str()));
                let remark = match elsewhere {
                    Some((section, _)) => format!("it belongs to [{section}]"),
                    None => remark(key, keys.iter().copied()),
                };
                let text = format!("unknown key {key} in [{section}] ({remark})");
                Some(Fault { line: Some(*line), text })
            });
        headers.chain(keys).collect()
    }
}

impl Section<'_> {
    /// Reports what is wrong with a setting.
    pub(crate) fn fault(&mut self, line: u32, text: String) {
        self.document.faults.push(Fault { line: Some(line), text });
    }

    /// Returns the text of a key, the last one if it is repeated.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<Located<String>> {
        let Located { value, line } = self.secret(key)?;
        Some(Located { value: value.expose().to_owned(), line })
    }

    /// Returns the text of a key that must be there; if it is not, says so with an example. Of one that
    /// could not be read as part of any section, that is told already.
    pub(crate) fn required(&mut self, key: &'static str, example: &str) -> Option<Located<String>> {
        let found = self.text(key);
        let section = self.name;
        let is_reported = self.entries(key).any(|entry| !matches!(entry.value, Value::Text(_)));
        if found.is_none() && !is_reported && !self.document.may_hide(key) {
            let header = self.document.headers.iter().find(|header| header.name == section);
            let line = header.map(|header| header.line);
            let text = format!("{key} is missing: write {key} = {example} in [{section}]");
            self.document.faults.push(Fault { line, text });
        }
        found
    }

    /// Returns the text of a key as a secret, which no message shows.
    pub(crate) fn secret(&mut self, key: &'static str) -> Option<Located<Secret>> {
        self.refuse_bare(key);
        let last = self.entries(key).last().and_then(located);
        last.filter(|Located { value, .. }| !value.expose().is_empty())
            .map(|Located { value, line }| Located { value: value.duplicate(), line })
    }

    /// Returns each text of a key that may be repeated, without the empty ones.
    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<Located<String>> {
        self.refuse_bare(key);
        self.entries(key)
            .filter_map(located)
            .filter(|found| !found.value.expose().is_empty())
            .map(|found| Located { value: found.value.expose().to_owned(), line: found.line })
            .collect()
    }

    /// Returns each text of a key that may be repeated, where the bare key empties
    /// the list, as in git.
    pub(crate) fn list(&mut self, key: &'static str) -> Vec<Located<String>> {
        self.asked.push(key);
        let mut list = Vec::new();
        for entry in self.entries(key) {
            if let Some(Located { value, line }) = located(entry) {
                list.push(Located { value: value.expose().to_owned(), line });
            } else if entry.value == Value::Bare {
                list.clear();
            }
        }
        list
    }

    /// Returns a key that is on or off; the bare key is on.
    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.asked.push(key);
        self.each(key, |value| {
            let Some(value) = value else { return Ok(true) };
            match value.to_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(true),
                "false" | "no" | "off" | "0" => Ok(false),
                _ => Err(format!("{key} is on or off, not {}", shown(value))),
            }
        })
    }

    /// Returns a whole number, decimal or hexadecimal with `0x`.
    pub(crate) fn integer(&mut self, key: &'static str) -> Option<Located<i64>> {
        self.refuse_bare(key);
        let number = self.each(key, |value| {
            let value = value.unwrap_or_default();
            parse_integer(value.trim())
                .ok_or_else(|| format!("{key} is a whole number, not {}", shown(value)))
        })?;
        let line = self.entries(key).last()?.line;
        Some(Located { value: number, line })
    }

    /// Returns a whole number that lies in `range`.
    pub(crate) fn number<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let Located { value, line } = self.integer(key)?;
        let number = T::try_from(value).ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            self.fault(line, format!("{key} is {least} to {most}, not {value}"));
        }
        number
    }

    /// Returns a span of time that lies in `range`.
    pub(crate) fn duration(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let found = self.text(key)?;
        let span = self.parsed(key, &found, duration::parse)?;
        self.bounded(key, found.line, range, span).then_some(span)
    }

    /// Returns how much of something to keep: all, a number, or an age that lies in `range`.
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

    /// Returns what one of the allowed words stands for.
    pub(crate) fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let Located { value, line } = self.text(key)?;
        let chosen = words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
        if chosen.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.fault(line, format!("{key} is {}, not {}", words.join(" | "), shown(&value)));
        }
        chosen
    }

    /// Returns a path as it is written.
    pub(crate) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.text(key).map(|found| PathBuf::from(found.value))
    }

    /// Returns what a text is read as, or reports why it cannot be.
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

    /// Returns the values of a key that may be repeated, each read as `T`.
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
            self.fault(line, format!("{key} is {least} to {most}, not {}", duration::format(span)));
        }
        is_inside
    }

    /// Notes that a key was asked for and reports it where it stands without a value.
    fn refuse_bare(&mut self, key: &'static str) {
        self.asked.push(key);
        let bare = self.entries(key).filter(|entry| entry.value == Value::Bare);
        let text = format!("{key} needs a value: write {key} = …");
        let faults: Vec<_> =
            bare.map(|entry| Fault { line: Some(entry.line), text: text.clone() }).collect();
        self.document.faults.extend(faults);
    }

    /// Reads every value of a key and returns the last; a wrong one counts even if it is overridden.
    fn each<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(Option<&str>) -> Result<T, String>,
    ) -> Option<T> {
        let mut last = None;
        let mut faults = Vec::new();
        for entry in self.entries(key) {
            let value = match &entry.value {
                Value::Text(text) => Some(text.expose()),
                Value::Bare => None,
                Value::Broken => continue,
            };
            match read(value) {
                Ok(value) => last = Some(value),
                Err(text) => faults.push(Fault { line: Some(entry.line), text }),
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
        Value::Text(value) => Some(Located { value, line: entry.line }),
        Value::Bare | Value::Broken => None,
    }
}

/// Shows what was written, in quotes.
fn shown(value: &str) -> String {
    format!("\"{}\"", excerpt(value, SHOWN_BYTES_MAX))
}

/// Reads what the original reads: an optional sign and digits, or hexadecimal ones after `0x`.
fn parse_integer(text: &str) -> Option<i64> {
    let magnitude = text.strip_prefix('-').unwrap_or(text);
    let Some(digits) = magnitude.strip_prefix("0x") else { return text.parse().ok() };
    // Rust would read a sign after the prefix too.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let sign = if magnitude == text { "" } else { "-" };
    i64::from_str_radix(&format!("{sign}{digits}"), 16).ok()
}

#[cfg(test)]
mod tests;
