//! Formats an error with its causes on one line, and escapes untrusted text.
//!
//! The text of an error names the failed operation and its object, never the cause. The texts of
//! the causes are joined here, once, when the error is printed or logged.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// Returns the error and its causes, outermost first.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Displays an error and its causes as `a: b: c`, without control characters.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&escape(&last))?;
        for error in causes(self.0).skip(1) {
            let text = error.to_string();
            // Many crates include the text of the cause in their own.
            if !last.ends_with(&text) {
                write!(f, ": {}", escape(&text))?;
            }
            last = text;
        }
        Ok(())
    }
}

impl fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl slog::Value for Chain<'_> {
    fn serialize(
        &self,
        _record: &slog::Record<'_>,
        key: slog::Key,
        serializer: &mut dyn slog::Serializer,
    ) -> slog::Result {
        serializer.emit_arguments(key, &format_args!("{self}"))
    }
}

/// Escapes each character that could control a terminal or forge a log line, as `\n`, `\t`,
/// `\u{1b}` and the like.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Returns whether a character is a control character, a line or paragraph separator, or a mark
/// that changes the direction of text. All of them are below U+10000.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// Returns at most `limit` bytes of `text`, escaped, truncated between characters and marked with
/// `…`.
pub(crate) fn excerpt(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return escape(text);
    }
    let head = (0..=limit).rev().find_map(|cut| text.get(..cut)).unwrap_or_default();
    Cow::Owned(format!("{}…", escape(head)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot send action")]
    struct Outer {
        source: std::io::Error,
    }

    #[test]
    fn chain_is_one_line() {
        let error = Outer { source: std::io::Error::other("line\nfeed") };
        assert_eq!(Chain(&error).to_string(), "cannot send action: line\\nfeed");
    }

    #[test]
    fn characters_that_control_a_terminal_are_escaped() {
        assert_eq!(escape("a\u{1b}[2Jb\u{9b}\u{202e}"), "a\\u{1b}[2Jb\\u{9b}\\u{202e}");
        assert_eq!(escape("Grüße"), "Grüße");
    }

    #[test]
    fn excerpt_is_truncated_between_characters() {
        assert_eq!(excerpt("aé", 2), "a…");
        assert_eq!(excerpt("aé", 3), "aé");
    }
}
