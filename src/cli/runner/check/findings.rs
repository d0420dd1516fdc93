//! The findings of `check`, grouped by the file, folder or address that they are about.

use std::fmt::Display;

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output::{self, Style};
use crate::cli::text::wrapped;
use crate::exit::Exit;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    /// The runner works in spite of it.
    Note,
    /// The runner cannot start, or cannot do all of its work.
    Fault,
}

#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    text: String,
}

/// The findings about one file, folder or address.
#[derive(Debug, Serialize)]
struct Group {
    of: String,
    found: Vec<Finding>,
}

#[derive(Debug, Default)]
pub(super) struct Findings {
    groups: Vec<Group>,
    /// The exit status for the first fault.
    first_fault: Option<Exit>,
}

impl Findings {
    pub(super) fn good(&mut self, of: impl Display, text: impl Display) {
        self.add(of, Level::Ok, text);
    }

    pub(super) fn note(&mut self, of: impl Display, text: impl Display) {
        self.add(of, Level::Note, text);
    }

    /// Adds a fault. The first one decides the exit status of the program.
    pub(super) fn fault(&mut self, of: impl Display, exit: Exit, text: impl Display) {
        self.first_fault.get_or_insert(exit);
        self.add(of, Level::Fault, text);
    }

    /// Adds the faults of a failure, or returns the value of a success.
    pub(super) fn need<T>(
        &mut self,
        of: impl Display,
        result: Result<T, impl Into<Failure>>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let (of, failure) = (of.to_string(), error.into());
                for line in failure.lines() {
                    self.fault(&of, failure.exit(), line);
                }
                None
            }
        }
    }

    /// Returns whether a finding with this text was added before.
    pub(super) fn contains(&self, text: &str) -> bool {
        self.groups.iter().flat_map(|group| &group.found).any(|finding| finding.text == text)
    }

    /// Prints all findings, and returns the exit status.
    pub(super) fn print(&self, json: bool) -> Result<Exit, Failure> {
        if json {
            #[derive(Serialize)]
            struct Report<'a> {
                ok: bool,
                groups: &'a [Group],
            }
            let ok = self.first_fault.is_none();
            output::json_pretty(&Report { ok, groups: &self.groups })?;
        } else {
            for group in &self.groups {
                output::styled(Style::Title, &group.of)?;
                for finding in &group.found {
                    print_finding(finding)?;
                }
            }
        }
        Ok(self.first_fault.unwrap_or(Exit::Done))
    }

    fn add(&mut self, of: impl Display, level: Level, text: impl Display) {
        let (of, finding) = (of.to_string(), Finding { level, text: text.to_string() });
        match self.groups.iter_mut().find(|group| group.of == of) {
            Some(group) => group.found.push(finding),
            None => self.groups.push(Group { of, found: vec![finding] }),
        }
    }
}

fn print_finding(Finding { level, text }: &Finding) -> Result<(), Failure> {
    let word = match level {
        Level::Ok => "  ok    ",
        Level::Note => "  note  ",
        // On one line, so that a command in it can be copied.
        Level::Fault => return output::styled(Style::Alarm, format!("  FAULT {text}")),
    };
    wrapped(text, word, "        ").into_iter().try_for_each(output::answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::runner::installation::InstallationError;

    #[test]
    fn findings_are_grouped_and_first_fault_decides_exit() {
        let mut findings = Findings::default();
        findings.good("a", "fine");
        findings.note("b", "odd");
        findings.fault("a", Exit::Config, "wrong");
        assert!(findings.need::<()>("b", Err(InstallationError::NoHome)).is_none());
        assert_eq!(findings.need("b", Ok::<_, Failure>(7)), Some(7));
        findings.fault("c", Exit::Data, "wrong, too");
        let groups: Vec<(&str, usize)> =
            findings.groups.iter().map(|group| (group.of.as_str(), group.found.len())).collect();
        assert_eq!(groups, [("a", 2), ("b", 2), ("c", 1)]);
        assert_eq!(findings.first_fault, Some(Exit::Config));
    }
}
