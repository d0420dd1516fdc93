//! What was found, kept together by the file that a person would edit.

use std::fmt::Display;

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::layout::wrapped;
use crate::cli::output::{self, Style};
use crate::exit::Exit;

/// What a finding means to a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// It is as it should be.
    Ok,
    /// A start would live with it.
    Note,
    /// A start would fail, or not do all of its work.
    Fault,
}

/// One thing that was found.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    text: String,
}

/// All that was found about one file, folder or address.
#[derive(Debug, Serialize)]
struct Group {
    of: String,
    found: Vec<Finding>,
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    groups: Vec<Group>,
    worst: Option<Exit>,
}

impl Findings {
    /// Notes what is as it should be.
    pub(super) fn good(&mut self, of: impl Display, text: impl Display) {
        self.add(of, Level::Ok, text);
    }

    /// Notes what a start would live with.
    pub(super) fn note(&mut self, of: impl Display, text: impl Display) {
        self.add(of, Level::Note, text);
    }

    /// Notes a fault; the first one says how the program ends.
    pub(super) fn fault(&mut self, of: impl Display, exit: Exit, text: impl Display) {
        self.worst.get_or_insert(exit);
        self.add(of, Level::Fault, text);
    }

    /// Notes what is wrong of something that failed; returns it if it did not.
    pub(super) fn need<T>(&mut self, of: impl Display, found: Result<T, Failure>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(failure) => {
                let of = of.to_string();
                for line in failure.lines() {
                    self.fault(&of, failure.exit(), line);
                }
                None
            }
        }
    }

    /// Tells whether something was found already.
    pub(super) fn has(&self, text: &str) -> bool {
        self.groups.iter().flat_map(|group| &group.found).any(|finding| finding.text == text)
    }

    /// Tells all, and how the program ends.
    pub(super) fn tell(&self, json: bool) -> Result<Exit, Failure> {
        if json {
            #[derive(Serialize)]
            struct Report<'a> {
                ok: bool,
                groups: &'a [Group],
            }
            let report = Report { ok: self.worst.is_none(), groups: &self.groups };
            let text = serde_json::to_string_pretty(&report).map_err(Failure::Encode)?;
            output::raw(&format!("{text}\n"))?;
        } else {
            for group in &self.groups {
                output::styled(Style::Title, &group.of)?;
                for Finding { level, text } in &group.found {
                    let word = match level {
                        Level::Ok => "  ok    ",
                        Level::Note => "  note  ",
                        // On one line: what it says to run is there to be copied.
                        Level::Fault => {
                            output::styled(Style::Alarm, format!("  FAULT {text}"))?;
                            continue;
                        }
                    };
                    for line in wrapped(text, word, "        ") {
                        output::answer(line)?;
                    }
                }
            }
        }
        Ok(self.worst.unwrap_or(Exit::Done))
    }

    fn add(&mut self, of: impl Display, level: Level, text: impl Display) {
        let (of, finding) = (of.to_string(), Finding { level, text: text.to_string() });
        match self.groups.iter_mut().find(|group| group.of == of) {
            Some(group) => group.found.push(finding),
            None => self.groups.push(Group { of, found: vec![finding] }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_stays_together_and_the_first_fault_counts() {
        let mut findings = Findings::default();
        findings.good("a", "fine");
        findings.note("b", "odd");
        findings.fault("a", Exit::Config, "wrong");
        assert!(findings.need::<()>("b", Err(Failure::NoHome)).is_none());
        assert_eq!(findings.need("b", Ok(7)), Some(7));
        findings.fault("c", Exit::Data, "wrong, too");
        let told: Vec<(&str, usize)> =
            findings.groups.iter().map(|group| (group.of.as_str(), group.found.len())).collect();
        assert_eq!(told, [("a", 2), ("b", 2), ("c", 1)]);
        assert_eq!(findings.worst, Some(Exit::Config));
    }
}
