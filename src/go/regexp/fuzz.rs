//! Fuzz target for Go's regular expressions.

use super::Regexp;

/// Characters that have a meaning in a pattern.
const SPECIAL: &str = r"\.+*?()|[]{}^$";

/// Reads the first line of `bytes` as a pattern and the rest as a text. An accepted pattern must
/// give the same answer after an empty group; any text, quoted, must match itself.
pub(crate) fn pattern(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (pattern, text) = bytes.split_at(at);
    let Ok(pattern) = std::str::from_utf8(pattern) else { return };
    let quoted = Regexp::new(&quote(pattern));
    assert!(
        quoted.as_ref().is_ok_and(|quoted| quoted.is_match(pattern.as_bytes())),
        "a quoted text does not match itself: {quoted:?}"
    );
    match Regexp::new(pattern) {
        Ok(expression) => {
            // Before the pattern, because `\Q` without `\E` quotes everything after it.
            let prefixed = Regexp::new(&format!("(?:){pattern}"));
            let answer = prefixed.map(|prefixed| prefixed.is_match(text));
            assert_eq!(answer, Ok(expression.is_match(text)), "an empty group changes the pattern");
        }
        Err(error) => assert!(!error.reason.is_empty(), "an error without a reason: {error}"),
    }
}

fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for character in text.chars() {
        if SPECIAL.contains(character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}
