//! The results of a command, which must fit into a budget together.
//!
//! **Invariant.** There is one result for each operation. One that does not fit is replaced by a
//! failure that says so, for which there is always room.

use super::error::OperationError;
use super::modules::ModuleResult;
use crate::chain::excerpt;
use crate::relay::{RESULTS_BYTES_MAX, sent_bytes};

/// Maximum size of the reason of a failure, in bytes.
const REASON_BYTES_MAX: usize = 600;
/// Room that is kept for the result of an operation that fails, in bytes: each byte of the reason may
/// be escaped.
const FAILURE_BYTES: u64 = 4096;

#[derive(Debug)]
pub(super) struct Results {
    /// The beginning of a JSON list.
    text: String,
    /// The room for results that are not failures.
    left: u64,
}

impl Results {
    /// Returns the results of a command with this number of operations, none of which has run.
    pub(super) fn new(operations: usize) -> Results {
        let kept = u64::try_from(operations).unwrap_or(u64::MAX).saturating_mul(FAILURE_BYTES);
        Results { text: String::new(), left: RESULTS_BYTES_MAX.saturating_sub(kept) }
    }

    /// Returns the room for the next result, in bytes.
    pub(super) fn room(&self) -> u64 {
        self.left
    }

    /// Adds the result of an operation that has run.
    ///
    /// # Errors
    /// It does not fit. Nothing was added.
    pub(super) fn add(&mut self, result: &ModuleResult) -> Result<(), OperationError> {
        let text = serde_json::to_string(result)?;
        self.left = self
            .left
            .checked_sub(sent_bytes(&text).saturating_add(1))
            .ok_or(OperationError::OutputTooLong)?;
        self.append(&text);
        Ok(())
    }

    /// Adds the result of an operation that has failed.
    pub(super) fn add_failure(&mut self, reason: &str) -> Result<(), serde_json::Error> {
        let reason = match reason.len() > REASON_BYTES_MAX {
            true => excerpt(reason, REASON_BYTES_MAX).into_owned(),
            false => reason.to_owned(),
        };
        let text = serde_json::to_string(&ModuleResult::failed(reason))?;
        self.append(&text);
        Ok(())
    }

    fn append(&mut self, text: &str) {
        self.text.push(if self.text.is_empty() { '[' } else { ',' });
        self.text.push_str(text);
    }

    /// Returns the results as a JSON list.
    pub(super) fn into_json(mut self) -> String {
        self.text.push_str(if self.text.is_empty() { "[]" } else { "]" });
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_fit_whatever_was_added_before() {
        let mut results = Results::new(64);
        let mut result = ModuleResult::failed(String::new());
        // The API escapes each of these characters.
        result.errors = vec!["<".repeat(1 << 20)];
        let mut count = 0;
        while results.add(&result).is_ok() {
            count += 1;
        }
        assert_eq!(count, RESULTS_BYTES_MAX / (6 << 20));
        for _ in count..64 {
            results.add_failure(&"\u{1}".repeat(10_000)).unwrap();
        }
        let json = results.into_json();
        assert!(sent_bytes(&json) <= RESULTS_BYTES_MAX);
        assert_eq!(serde_json::from_str::<Vec<ModuleResult>>(&json).unwrap().len(), 64);
    }

    #[test]
    fn command_without_operations_has_an_empty_list() {
        assert_eq!(Results::new(0).into_json(), "[]");
    }
}
