//! What a proof comes to: how many points were tried, and what was wrong at them.

use std::io::Write;

use super::chance::full;
use super::scenario::TWICE;

/// The counts of a proof.
#[derive(Debug)]
pub(super) struct Tally {
    what: &'static str,
    points: usize,
    faults: Vec<String>,
}

impl Tally {
    /// Returns the counts of a proof that has not begun.
    pub(super) fn new(what: &'static str) -> Tally {
        Tally { what, points: 0, faults: Vec::new() }
    }

    /// Counts a point, and how it ended.
    pub(super) fn count(&mut self, end: Result<(), String>) {
        self.points += 1;
        self.faults.extend(end.err());
    }

    /// Adds the counts of a part.
    pub(super) fn add(&mut self, part: Tally) {
        self.points += part.points;
        self.faults.extend(part.faults);
    }

    /// Returns how many points were tried.
    pub(super) fn points(&self) -> usize {
        self.points
    }

    /// Tells whether something was wrong.
    pub(super) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Prints the counts, as a row of a table, and fails if something was wrong.
    pub(super) fn close(self) {
        let twice = self.faults.iter().filter(|fault| fault.contains(TWICE)).count();
        let lost = self.faults.len() - twice;
        let row = format!("| {} | {} | {lost} | {twice} |", self.what, self.points);
        println!("{row}");
        if full() {
            // Also where the test runner keeps what tests print to itself.
            writeln!(std::io::stderr(), "{row}").unwrap();
        }
        assert!(self.faults.is_empty(), "{}\n{}", self.faults.len(), self.faults.join("\n"));
        assert!(self.points > 0, "nothing was tried");
    }
}
