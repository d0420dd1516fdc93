//! Formatting of text for terminals of 80 columns.

use std::time::Duration;

use crate::config::duration::format_rounded;

const COLUMNS: usize = 80;

/// Returns a duration in its two largest units.
pub(crate) fn duration(seconds: u64) -> String {
    format_rounded(Duration::from_secs(seconds))
}

/// Splits a text into words. A text between backticks is one word, so that a command in it is never
/// broken and can be copied.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut left = text.trim_start();
    while !left.is_empty() {
        let mut is_quoted = false;
        let end = left.char_indices().find(|(at, c)| {
            let rest = left.get(at + 1..).unwrap_or_default();
            is_quoted = if *c == '`' { !is_quoted && rest.contains('`') } else { is_quoted };
            c.is_whitespace() && !is_quoted
        });
        let (word, rest) = left.split_at(end.map_or(left.len(), |(at, _)| at));
        words.push(word);
        left = rest.trim_start();
    }
    words
}

/// Wraps a text between words; the first line begins with `first`, the others with `rest`.
pub(crate) fn wrapped(text: &str, first: &str, rest: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in words(text) {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    if !is_empty {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        for (seconds, text) in [(0, "0s"), (75, "1m15s"), (3700, "1h1m"), (90_000, "1d1h")] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn lines_are_wrapped_between_words() {
        let text = "word ".repeat(40);
        let lines = wrapped(&text, "  ", "    ");
        assert!(lines.iter().all(|line| line.len() <= COLUMNS), "{lines:?}");
        assert_eq!(lines.concat().split_whitespace().count(), 40);
        assert!(lines[0].starts_with("  w") && lines[1].starts_with("    w"));
        let long = "x".repeat(100);
        assert_eq!(wrapped(&long, "  ", "  "), [format!("  {long}")]);
        assert_eq!(wrapped("", "  ", "  "), [""; 0]);
    }

    #[test]
    fn quoted_command_is_not_wrapped() {
        assert_eq!(words(" a  `b  'c d' e`;\nf "), ["a", "`b  'c d' e`;", "f"]);
        assert_eq!(words("a `b c` d `e f"), ["a", "`b c`", "d", "`e", "f"]);
        assert_eq!(words("é `ü ß`"), ["é", "`ü ß`"]);
        let lines = wrapped(&format!("{} `a b c`", "x".repeat(COLUMNS - 4)), "", "  ");
        assert_eq!(lines[1], "  `a b c`");
    }
}
