//! Regular expressions in Go's dialect, which is RE2's, matched with the crate `regex`.
//!
//! Both engines match in linear time and share most of their syntax. [`translate`](mod@translate)
//! reads a pattern token by token and rewrites what differs: `\d`, `\w`, `\s` and `\b` are ASCII in
//! Go; `\Q…\E` and octal escapes do not exist in the crate; set operators and nested brackets do
//! not exist in Go. It rejects what only the crate accepts, such as `a**`, `(?x)` and `\p{greek}`,
//! and leaves to the crate what both reject, such as a group that is not closed. Callers only need
//! to know whether a text matches, so groups become non-capturing and greediness is dropped.
//!
//! **Invariants.** A pattern is accepted exactly if Go 1.19 accepts it, except that the crate
//! limits nesting and memory more tightly. Text is bytes: each byte that is not valid UTF-8 counts
//! as one U+FFFD, as in Go.

mod class;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod names;
mod translate;

use std::borrow::Cow;

use regex::bytes::{Regex, RegexBuilder};

/// Memory limit for one compiled expression, in bytes. Go has no such limit; within Go's own limit
/// on repetitions, only a malicious pattern comes near it.
const COMPILED_BYTES_MAX: usize = 64 << 20;

/// The text is not a valid regular expression.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid regular expression {pattern:?}: {reason}")]
pub(crate) struct RegexpError {
    pattern: String,
    reason: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Regexp(Regex);

impl Regexp {
    pub(crate) fn new(pattern: &str) -> Result<Regexp, RegexpError> {
        let error = |reason| RegexpError { pattern: pattern.to_owned(), reason };
        let translated = translate::translate(pattern).map_err(error)?;
        let built = RegexBuilder::new(&translated).size_limit(COMPILED_BYTES_MAX).build();
        built.map(Regexp).map_err(|cause| {
            error(match cause {
                regex::Error::CompiledTooBig(_) => "expression too large".to_owned(),
                // The text shows the translated pattern first, then the reason.
                cause => cause.to_string().rsplit("error: ").next().unwrap_or_default().to_owned(),
            })
        })
    }

    /// Returns whether the expression matches anywhere in `text`.
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(decode_utf8(text).as_bytes())
    }
}

/// Decodes `bytes` as Go does: with one U+FFFD for each byte that is not valid UTF-8.
pub(crate) fn decode_utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests;
