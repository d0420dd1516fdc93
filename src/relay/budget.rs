//! The size of a command. A runner reads a command, with its action and its results, as one item of
//! limited size, so the parts have budgets that fit into it together.

use crate::api::COMMAND_BYTES_MAX;

/// Maximum size of the results of a command as the API sends them, in bytes.
pub(crate) const RESULTS_BYTES_MAX: u64 = COMMAND_BYTES_MAX / 2;
/// Maximum size of an action as the API sends it, in bytes.
pub(crate) const ACTION_BYTES_MAX: u64 = COMMAND_BYTES_MAX / 4;
/// Maximum number of operations of an action.
pub(crate) const OPERATIONS_MAX: usize = 64;

/// Returns the size of JSON as the API sends it, in bytes. Like the original, it escapes characters
/// that have a meaning in HTML.
pub(crate) fn sent_bytes(json: &str) -> u64 {
    let bytes = json.chars().map(|c| match c {
        '&' | '<' | '>' | '\u{2028}' | '\u{2029}' => r"\u0000".len(),
        c => c.len_utf8(),
    });
    u64::try_from(bytes.sum::<usize>()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_the_api_count() {
        assert_eq!(sent_bytes("[\"a\"]"), 5);
        assert_eq!(sent_bytes("<&>"), 18);
        assert_eq!(sent_bytes("é\u{2028}"), 8);
    }
}
