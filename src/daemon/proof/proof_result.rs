//! The result of a proof: the number of points tried, and the faults found.

use std::io::Write;

use super::scenario::POSTED_TWICE;
use super::seeded_random::is_full_proof;

/// The counts of a proof. A point is one interruption of a scenario, with all that follows from it.
#[derive(Debug)]
pub(super) struct ProofResult {
    title: &'static str,
    points: usize,
    faults: Vec<String>,
}

impl ProofResult {
    /// Returns the result of a proof that has not begun.
    pub(super) fn new(title: &'static str) -> ProofResult {
        ProofResult { title, points: 0, faults: Vec::new() }
    }

    /// Adds a point, with its fault if it has one.
    pub(super) fn count(&mut self, end: Result<(), String>) {
        self.points += 1;
        self.faults.extend(end.err());
    }

    /// Adds the result of a part.
    pub(super) fn add(&mut self, part: ProofResult) {
        self.points += part.points;
        self.faults.extend(part.faults);
    }

    pub(super) fn points(&self) -> usize {
        self.points
    }

    pub(super) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Prints the counts as a table row; panics if there are faults.
    pub(super) fn report(self) {
        let twice = self.faults.iter().filter(|fault| fault.contains(POSTED_TWICE)).count();
        let lost = self.faults.len() - twice;
        let row = format!("| {} | {} | {lost} | {twice} |", self.title, self.points);
        println!("{row}");
        if is_full_proof() {
            // Shown even if the test runner captures the output of tests.
            writeln!(std::io::stderr(), "{row}").unwrap();
        }
        assert!(self.faults.is_empty(), "{}\n{}", self.faults.len(), self.faults.join("\n"));
        assert!(self.points > 0, "nothing was tried");
    }
}
