//! What an expression means, in English.
use super::Cron;

impl Cron {
    /// Returns what the schedule means, in English.
    pub(crate) fn in_words(&self) -> String {
        self.to_string()
    }
}
