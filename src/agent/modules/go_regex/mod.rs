//! Regular expressions as the original reads them: those of Go 1.19, which are RE2's.
//!
//! The crate `regex` has the same idea of matching, in linear time, but another
//! syntax: `\d` is Unicode, `\Q…\E` is missing, `[[]` is an open bracket in an open
//! bracket, and there is much that Go refuses. So [`parse`] reads a pattern by
//! Go's rules and writes one for the crate in which nothing depends on a default.
//! As nothing but "does it match" is ever asked, groups become plain groups and
//! greediness is dropped.
//!
//! **Invariants.** What Go refuses is refused here, with Go's words. Text is bytes:
//! each byte that is no UTF-8 counts as one U+FFFD, as in Go.

mod class;
mod cursor;
mod parse;
mod unicode;

use std::borrow::Cow;
use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// The most memory that one compiled expression may take. Go has no such limit; within
/// its own limit on repetitions only a deliberate pattern comes near this one.
const COMPILED_BYTES_MAX: usize = 64 << 20;

/// What is wrong with a pattern, in Go's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A group is not closed.
    MissingParen,
    /// A class is not closed.
    MissingBracket,
    /// A group is closed that was not opened.
    UnexpectedParen,
    /// An escape that means nothing.
    Escape,
    /// A flag or group that is not known.
    PerlSyntax,
    /// A group's name that is none.
    GroupName,
    /// A repetition of a repetition.
    NestedRepeat,
    /// A repetition with too high a count, or a reversed one.
    RepeatCount,
    /// A repetition of nothing.
    RepeatNothing,
    /// A class that is not known, or a reversed range in one.
    ClassRange,
    /// Nothing follows a backslash.
    TrailingBackslash,
    /// Groups within groups, too many.
    Nesting,
    /// The expression takes too much memory.
    Size,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::MissingParen => "missing closing )",
            Fault::MissingBracket => "missing closing ]",
            Fault::UnexpectedParen => "unexpected )",
            Fault::Escape => "invalid escape sequence",
            Fault::PerlSyntax => "invalid or unsupported Perl syntax",
            Fault::GroupName => "invalid named capture",
            Fault::NestedRepeat => "invalid nested repetition operator",
            Fault::RepeatCount => "invalid repeat count",
            Fault::RepeatNothing => "missing argument to repetition operator",
            Fault::ClassRange => "invalid character class range",
            Fault::TrailingBackslash => "trailing backslash at end of expression",
            Fault::Nesting => "expression nests too deeply",
            Fault::Size => "expression too large",
        })
    }
}

/// A pattern that is no regular expression.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {fault}: `{fragment}`")]
pub(crate) struct RegexError {
    fault: Fault,
    fragment: String,
}

impl RegexError {
    fn new(fault: Fault, fragment: &str) -> RegexError {
        RegexError { fault, fragment: fragment.to_owned() }
    }
}

/// A regular expression of Go.
#[derive(Debug, Clone)]
pub(crate) struct GoRegex(Regex);

impl GoRegex {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Go refuses it, and the text is Go's; or it would take too much memory.
    pub(crate) fn new(pattern: &str) -> Result<GoRegex, RegexError> {
        let translated = parse::translate(pattern)?;
        RegexBuilder::new(&translated)
            .size_limit(COMPILED_BYTES_MAX)
            .nest_limit(parse::DEPTH_MAX)
            .build()
            .map(GoRegex)
            .map_err(|_| RegexError::new(Fault::Size, pattern))
    }

    /// Tells whether the expression matches anywhere in `text`.
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(as_go_reads(text).as_bytes())
    }
}

/// Returns `bytes` as text, with U+FFFD for each byte that is no UTF-8.
pub(crate) fn as_go_reads(bytes: &[u8]) -> Cow<'_, str> {
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
