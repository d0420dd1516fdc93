//! Compares the findings of a run with those of the previous run.
//!
//! Only a hash of each finding is kept in memory. If an agent did not answer this time, its
//! previous findings are neither gone nor unchanged, but unknown.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use serde::Serialize;

use crate::action::{Command, Finding};

/// The difference of a finding between the previous run and this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    New,
    Unchanged,
    Gone,
    /// Found in the previous run, but its agent did not answer completely this time.
    Unknown,
}

impl Change {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Change::New => "new",
            Change::Unchanged => "unchanged",
            Change::Gone => "gone",
            Change::Unknown => "unknown",
        }
    }
}

/// Compares two runs in three passes: [`Diff::add_old`] for each finding of the previous run,
/// [`Diff::compare_new`] for each finding of this run, and [`Diff::compare_old`] for each finding
/// of the previous run again. Before the second pass, [`Diff::add_command`] is called for each
/// command of this run.
#[derive(Debug, Default)]
pub(super) struct Diff {
    hasher: RandomState,
    old: HashSet<u64>,
    new: HashSet<u64>,
    answered: HashSet<u64>,
    counts: [u64; 4],
}

impl Diff {
    pub(super) fn add_old(&mut self, agent: &str, finding: &Finding) {
        let hash = self.hash(agent, finding);
        self.old.insert(hash);
    }

    /// Records whether an agent has answered in this run.
    pub(super) fn add_command(&mut self, command: &Command) {
        if command.is_answered() && !command.is_failed() {
            self.answered.insert(self.hasher.hash_one(&command.agent));
        }
    }

    /// Compares a finding of this run; `None` if it was compared before.
    pub(super) fn compare_new(&mut self, agent: &str, finding: &Finding) -> Option<Change> {
        let hash = self.hash(agent, finding);
        let change = if self.old.contains(&hash) { Change::Unchanged } else { Change::New };
        self.new.insert(hash).then(|| self.count(change))
    }

    /// Compares a finding of the previous run; `None` if this run has it as well, or if it was
    /// compared before.
    pub(super) fn compare_old(&mut self, agent: &str, finding: &Finding) -> Option<Change> {
        let hash = self.hash(agent, finding);
        let has_answered = self.answered.contains(&self.hasher.hash_one(agent));
        let change = if has_answered { Change::Gone } else { Change::Unknown };
        self.new.insert(hash).then(|| self.count(change))
    }

    /// Returns the number of findings of each kind, in words.
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

    fn hash(&self, agent: &str, finding: &Finding) -> u64 {
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
    fn findings_of_silent_agents_are_unknown() {
        let mut diff = Diff::default();
        for (agent, what) in [("a", "kept"), ("a", "lost"), ("b", "there")] {
            diff.add_old(agent, &finding(what));
        }
        for (agent, status) in [("a", "success"), ("b", "expired"), ("c", "failed")] {
            diff.add_command(&command(agent, status));
        }
        assert_eq!(diff.compare_new("a", &finding("kept")), Some(Change::Unchanged));
        assert_eq!(diff.compare_new("a", &finding("kept")), None);
        assert_eq!(diff.compare_new("a", &finding("there")), Some(Change::New));
        assert_eq!(diff.compare_old("a", &finding("kept")), None);
        assert_eq!(diff.compare_old("a", &finding("lost")), Some(Change::Gone));
        assert_eq!(diff.compare_old("a", &finding("lost")), None);
        assert_eq!(diff.compare_old("b", &finding("there")), Some(Change::Unknown));
        let counts = "new 1, gone 1, unchanged 1, unknown 1 (their agents did not answer)";
        assert_eq!(diff.counts(), counts);
    }
}
