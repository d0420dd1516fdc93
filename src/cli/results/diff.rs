//! What is new since the run before, and what is gone.
//!
//! Of the findings of both runs a number each is in memory, nothing more. What an
//! agent that did not answer had found the last time is neither gone nor still
//! there: it is unknown.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use serde::Serialize;

use crate::action::{Command, Finding};

/// What became of a finding since the run before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    /// It was not found then.
    New,
    /// It was found then, too.
    Unchanged,
    /// It was found then and is not any more.
    Gone,
    /// It was found then, and its agent has not answered in full this time.
    Unknown,
}

impl Change {
    /// Returns the word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Change::New => "new",
            Change::Unchanged => "unchanged",
            Change::Gone => "gone",
            Change::Unknown => "unknown",
        }
    }
}

/// Compares a run with the one before: first all of the old one is noted, then all of the new one
/// compared, then the old one gone through again.
#[derive(Debug, Default)]
pub(super) struct Diff {
    hasher: RandomState,
    old: HashSet<u64>,
    new: HashSet<u64>,
    answered: HashSet<u64>,
    counts: [u64; 4],
}

impl Diff {
    /// Notes what was found then.
    pub(super) fn note(&mut self, agent: &str, finding: &Finding) {
        let number = self.number(agent, finding);
        self.old.insert(number);
    }

    /// Notes a command of the new run.
    pub(super) fn arrived(&mut self, command: &Command) {
        if command.is_answered() && !command.is_failed() {
            self.answered.insert(self.hasher.hash_one(&command.agent));
        }
    }

    /// Compares what was found now; nothing for what was compared already.
    pub(super) fn compare(&mut self, agent: &str, finding: &Finding) -> Option<Change> {
        let number = self.number(agent, finding);
        let change = if self.old.contains(&number) { Change::Unchanged } else { Change::New };
        self.new.insert(number).then(|| self.count(change))
    }

    /// Tells what became of what was found then, if it is not there now.
    pub(super) fn left(&mut self, agent: &str, finding: &Finding) -> Option<Change> {
        let number = self.number(agent, finding);
        let has_answered = self.answered.contains(&self.hasher.hash_one(agent));
        let change = if has_answered { Change::Gone } else { Change::Unknown };
        self.new.insert(number).then(|| self.count(change))
    }

    /// Returns how many there are of each kind, in words.
    pub(super) fn counts(&self) -> String {
        let [new, unchanged, gone, unknown] = self.counts;
        let mut text = format!("new {new}, gone {gone}, unchanged {unchanged}");
        if unknown > 0 {
            text.push_str(&format!(", unknown {unknown} (their agents did not answer)"));
        }
        text
    }

    fn count(&mut self, change: Change) -> Change {
        let [new, unchanged, gone, unknown] = &mut self.counts;
        *match change {
            Change::New => new,
            Change::Unchanged => unchanged,
            Change::Gone => gone,
            Change::Unknown => unknown,
        } += 1;
        change
    }

    fn number(&self, agent: &str, finding: &Finding) -> u64 {
        let Finding { module, label, what, element: _ } = finding;
        self.hasher.hash_one((agent, module, label, what))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn finding(what: &str) -> Finding {
        let (module, label) = ("file".to_owned(), "s1".to_owned());
        Finding { module, label, what: what.to_owned(), element: Value::Null }
    }

    fn command(agent: &str, status: &str) -> Command {
        Command::parse(&format!(
            r#"{{"id":1,"agent":{{"name":"{agent}"}},"status":"{status}","results":[]}}"#
        ))
        .unwrap()
    }

    #[test]
    fn what_an_agent_that_is_silent_had_found_is_not_gone() {
        let mut diff = Diff::default();
        for (agent, what) in [("a", "kept"), ("a", "lost"), ("b", "there")] {
            diff.note(agent, &finding(what));
        }
        for (agent, status) in [("a", "success"), ("b", "expired"), ("c", "failed")] {
            diff.arrived(&command(agent, status));
        }
        assert_eq!(diff.compare("a", &finding("kept")), Some(Change::Unchanged));
        assert_eq!(diff.compare("a", &finding("kept")), None);
        assert_eq!(diff.compare("a", &finding("there")), Some(Change::New));
        assert_eq!(diff.left("a", &finding("kept")), None);
        assert_eq!(diff.left("a", &finding("lost")), Some(Change::Gone));
        assert_eq!(diff.left("a", &finding("lost")), None);
        assert_eq!(diff.left("b", &finding("there")), Some(Change::Unknown));
        let counts = "new 1, gone 1, unchanged 1, unknown 1 (their agents did not answer)";
        assert_eq!(diff.counts(), counts);
    }
}
