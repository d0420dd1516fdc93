//! One filter of a search: a condition that a file must meet.

use std::fmt;

use jiff::Timestamp;

use super::bounds::{AgeBound, SizeBound};
use crate::go::regexp::{Regexp, RegexpError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilterKind {
    Name,
    Size,
    Mode,
    Mtime,
    Content,
    Md5,
    Sha1,
    Sha2,
    Sha3,
}

impl FilterKind {
    pub(super) const ALL: [FilterKind; 9] = [
        FilterKind::Name,
        FilterKind::Size,
        FilterKind::Mode,
        FilterKind::Mtime,
        FilterKind::Content,
        FilterKind::Md5,
        FilterKind::Sha1,
        FilterKind::Sha2,
        FilterKind::Sha3,
    ];

    /// Returns the name that the option `mismatch` uses for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            FilterKind::Name => "name",
            FilterKind::Size => "size",
            FilterKind::Mode => "mode",
            FilterKind::Mtime => "mtime",
            FilterKind::Content => "content",
            FilterKind::Md5 => "md5",
            FilterKind::Sha1 => "sha1",
            FilterKind::Sha2 => "sha2",
            FilterKind::Sha3 => "sha3",
        }
    }

    /// Returns the hash algorithms of the kind; empty for a kind that is not a hash.
    fn algorithms(self) -> &'static [HashAlgorithm] {
        match self {
            FilterKind::Md5 => &[HashAlgorithm::Md5],
            FilterKind::Sha1 => &[HashAlgorithm::Sha1],
            FilterKind::Sha2 => &[
                HashAlgorithm::Sha2With256,
                HashAlgorithm::Sha2With384,
                HashAlgorithm::Sha2With512,
            ],
            FilterKind::Sha3 => &[
                HashAlgorithm::Sha3With224,
                HashAlgorithm::Sha3With256,
                HashAlgorithm::Sha3With384,
                HashAlgorithm::Sha3With512,
            ],
            FilterKind::Name
            | FilterKind::Size
            | FilterKind::Mode
            | FilterKind::Mtime
            | FilterKind::Content => &[],
        }
    }
}

impl fmt::Display for FilterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HashAlgorithm {
    Md5,
    Sha1,
    Sha2With256,
    Sha2With384,
    Sha2With512,
    Sha3With224,
    Sha3With256,
    Sha3With384,
    Sha3With512,
}

impl HashAlgorithm {
    /// Returns the number of hexadecimal digits of a hash.
    pub(crate) fn digits(self) -> usize {
        match self {
            HashAlgorithm::Md5 => 32,
            HashAlgorithm::Sha1 => 40,
            HashAlgorithm::Sha3With224 => 56,
            HashAlgorithm::Sha2With256 | HashAlgorithm::Sha3With256 => 64,
            HashAlgorithm::Sha2With384 | HashAlgorithm::Sha3With384 => 96,
            HashAlgorithm::Sha2With512 | HashAlgorithm::Sha3With512 => 128,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum FilterError {
    #[error("filter without a value")]
    Empty,
    #[error(transparent)]
    Regexp(#[from] RegexpError),
    #[error("invalid size {0:?}: must be N, <N or >N, where N may end in k, m, g or t")]
    Size(String),
    #[error("invalid mtime {0:?}: must be <N or >N, where N ends in d, h or m")]
    Mtime(String),
    #[error("invalid {kind} {hash:?}: must be {digits} hexadecimal digits")]
    Hash {
        kind: FilterKind,
        hash: String,
        /// The valid numbers of digits, such as `64 or 96 or 128`.
        digits: String,
    },
}

/// The condition on a file; the hash is in upper-case digits.
#[derive(Debug)]
pub(crate) enum FilterTest {
    Name(Regexp),
    Mode(Regexp),
    Size(SizeBound),
    Mtime(AgeBound),
    Content(LineTest),
    Hash(HashAlgorithm, String),
}

/// A condition on the lines of a file.
#[derive(Debug)]
pub(crate) struct LineTest {
    pub(crate) regexp: Regexp,
    /// Whether the value has a `!` before the expression, so that no line may match.
    pub(crate) inverse: bool,
    /// Whether the option `mismatch` inverts the result.
    pub(crate) mismatch: bool,
}

#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) kind: FilterKind,
    /// The value as it was written; hashes in upper case.
    pub(crate) value: String,
    pub(crate) test: FilterTest,
    /// Whether the result is inverted; false for [`FilterTest::Content`], which inverts by itself.
    pub(crate) inverse: bool,
}

impl Filter {
    /// Reads a filter; `mismatch` inverts it.
    pub(super) fn new(
        kind: FilterKind,
        value: &str,
        mismatch: bool,
        now: Timestamp,
    ) -> Result<Filter, FilterError> {
        if value.is_empty() {
            return Err(FilterError::Empty);
        }
        // An exclamation mark alone is an expression, not an inversion.
        let (inverse, pattern) = match value.strip_prefix('!') {
            Some(rest) if !rest.is_empty() => (true, rest),
            _ => (false, value),
        };
        let filter = |test, inverse| Filter { kind, value: value.to_owned(), test, inverse };
        match kind {
            FilterKind::Name => {
                Ok(filter(FilterTest::Name(Regexp::new(pattern)?), inverse ^ mismatch))
            }
            FilterKind::Mode => {
                // The original validates the value without its exclamation mark, and matches with
                // it.
                Regexp::new(pattern)?;
                Ok(filter(FilterTest::Mode(Regexp::new(value)?), mismatch))
            }
            FilterKind::Content => {
                let regexp = Regexp::new(pattern)?;
                Ok(filter(FilterTest::Content(LineTest { regexp, inverse, mismatch }), false))
            }
            FilterKind::Size => {
                let bound = SizeBound::parse(value);
                let bound = bound.ok_or_else(|| FilterError::Size(value.to_owned()))?;
                Ok(filter(FilterTest::Size(bound), mismatch))
            }
            FilterKind::Mtime => {
                let bound = AgeBound::parse(value, now);
                let bound = bound.ok_or_else(|| FilterError::Mtime(value.to_owned()))?;
                Ok(filter(FilterTest::Mtime(bound), mismatch))
            }
            FilterKind::Md5 | FilterKind::Sha1 | FilterKind::Sha2 | FilterKind::Sha3 => {
                let (algorithm, hash) = parse_hash(kind, value)?;
                let test = FilterTest::Hash(algorithm, hash.clone());
                Ok(Filter { kind, value: hash, test, inverse: mismatch })
            }
        }
    }

    pub(crate) fn line_test(&self) -> Option<&LineTest> {
        match &self.test {
            FilterTest::Content(test) => Some(test),
            _ => None,
        }
    }

    pub(crate) fn hash_algorithm(&self) -> Option<HashAlgorithm> {
        match &self.test {
            FilterTest::Hash(algorithm, _) => Some(*algorithm),
            _ => None,
        }
    }

    /// Returns whether a file with this hash, in upper-case digits, passes the filter; false if the
    /// filter does not compare hashes.
    pub(crate) fn accepts_hash(&self, digest: &str) -> bool {
        match &self.test {
            FilterTest::Hash(_, wanted) => (wanted == digest) != self.inverse,
            _ => false,
        }
    }
}

fn parse_hash(kind: FilterKind, value: &str) -> Result<(HashAlgorithm, String), FilterError> {
    let hash = value.to_uppercase();
    let is_hexadecimal = hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    let mut algorithms = kind.algorithms().iter();
    match algorithms.find(|algorithm| algorithm.digits() == hash.len()) {
        Some(algorithm) if is_hexadecimal => Ok((*algorithm, hash)),
        _ => {
            let digits = kind.algorithms().iter().map(|algorithm| algorithm.digits().to_string());
            let digits = digits.collect::<Vec<_>>().join(" or ");
            Err(FilterError::Hash { kind, hash, digits })
        }
    }
}
