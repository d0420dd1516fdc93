//! One filter of a search: what a file must be like.

use std::fmt;

use jiff::Timestamp;

use super::super::go_regex::{GoRegex, RegexError};
use super::age::AgeTest;
use super::bound::Bound;
use super::content::LineTest;
use super::hash::Algorithm;
use super::size::SizeTest;

const SIZE_FORM: &str = "^(<|>)?[0-9]*(k|m|g|t)?$";
const AGE_FORM: &str = "^(<|>)[0-9]*(d|h|m)$";

/// A kind of filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The name of the file.
    Name,
    Size,
    /// Its mode.
    Mode,
    /// When it was changed.
    Mtime,
    Content,
    /// Its MD5.
    Md5,
    /// Its SHA-1.
    Sha1,
    /// Its SHA-2.
    Sha2,
    /// Its SHA-3.
    Sha3,
}

impl Kind {
    /// Every kind, in the order in which the original names them.
    pub(super) const ALL: [Kind; 9] = [
        Kind::Name,
        Kind::Size,
        Kind::Mode,
        Kind::Mtime,
        Kind::Content,
        Kind::Md5,
        Kind::Sha1,
        Kind::Sha2,
        Kind::Sha3,
    ];

    /// Returns its name in the option `mismatch`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Name => "name",
            Kind::Size => "size",
            Kind::Mode => "mode",
            Kind::Mtime => "mtime",
            Kind::Content => "content",
            Kind::Md5 => "md5",
            Kind::Sha1 => "sha1",
            Kind::Sha2 => "sha2",
            Kind::Sha3 => "sha3",
        }
    }

    /// Returns the algorithms of a kind of hash.
    fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Kind::Md5 => &[Algorithm::Md5],
            Kind::Sha1 => &[Algorithm::Sha1],
            Kind::Sha2 => &[Algorithm::Sha2With256, Algorithm::Sha2With384, Algorithm::Sha2With512],
            Kind::Sha3 => &[
                Algorithm::Sha3With224,
                Algorithm::Sha3With256,
                Algorithm::Sha3With384,
                Algorithm::Sha3With512,
            ],
            Kind::Name | Kind::Size | Kind::Mode | Kind::Mtime | Kind::Content => &[],
        }
    }
}

/// A filter that makes no sense, in the original's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    #[error("Empty values are not permitted")]
    Empty,
    /// Its expression is none.
    #[error("Invalid regexp '{pattern}'. Must be a regexp. Compilation failed with '{error}'")]
    Regex {
        pattern: String,
        /// What is wrong with it; part of the text, for the original quotes it.
        error: RegexError,
    },
    /// It is no size.
    #[error("Invalid size format for size '{0}'. Must match regex {SIZE_FORM}")]
    Size(String),
    /// It is no age.
    #[error("Invalid mtime format for mtime '{0}'. Must match regex {AGE_FORM}")]
    Mtime(String),
    /// It is a size or age without a number, or with one too big.
    #[error("makeChecks() -> {0}")]
    Number(String),
    /// It is no hash.
    #[error("Invalid checksum format for hash '{hash}'. Must match regex {form}")]
    Hash {
        hash: String,
        /// What it must look like.
        form: Digits,
    },
}

/// How many hexadecimal digits a hash may have.
#[derive(Debug)]
pub(super) struct Digits(Vec<usize>);

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forms: Vec<String> = self.0.iter().map(|n| format!("[A-F0-9]{{{n}}}")).collect();
        match forms.as_slice() {
            [form] => write!(f, "^{form}$"),
            forms => write!(f, "^({})$", forms.join("|")),
        }
    }
}

/// What a filter asks.
#[derive(Debug)]
pub(super) enum Test {
    /// Whether the name matches.
    Name(GoRegex),
    /// Whether the mode's text matches.
    Mode(GoRegex),
    /// Whether the size fits.
    Size(SizeTest),
    /// Whether the time of change fits.
    Mtime(AgeTest),
    Content(LineTest),
    /// Whether the hash is this one, in upper-case digits.
    Hash(Algorithm, String),
}

#[derive(Debug)]
pub(super) struct Check {
    pub(super) kind: Kind,
    /// How it was written; hashes in upper case.
    pub(super) value: String,
    pub(super) test: Test,
    /// Whether the answer is turned round; lines do that themselves.
    pub(super) inverse: bool,
}

impl Check {
    /// Reads a filter of `kind`; with `mismatch` its answer is turned round.
    pub(super) fn new(
        kind: Kind,
        value: &str,
        mismatch: bool,
        now: Timestamp,
    ) -> Result<Check, CheckError> {
        if value.is_empty() {
            return Err(CheckError::Empty);
        }
        // An exclamation mark alone is no sign but a character.
        let (inverse, pattern) = match value.strip_prefix('!') {
            Some(rest) if !rest.is_empty() => (true, rest),
            _ => (false, value),
        };
        let check = |test, inverse| Check { kind, value: value.to_owned(), test, inverse };
        match kind {
            Kind::Name => Ok(check(Test::Name(regex(pattern, pattern)?), inverse ^ mismatch)),
            // The original takes the sign off where it validates and leaves it where it matches.
            Kind::Mode => Ok(check(Test::Mode(regex(value, pattern)?), mismatch)),
            Kind::Content => {
                let regex = regex(pattern, pattern)?;
                Ok(check(Test::Content(LineTest { regex, inverse, mismatch }), false))
            }
            Kind::Size => Ok(check(Test::Size(size(value)?), mismatch)),
            Kind::Mtime => Ok(check(Test::Mtime(age(value, now)?), mismatch)),
            Kind::Md5 | Kind::Sha1 | Kind::Sha2 | Kind::Sha3 => {
                let (algorithm, hash) = hash(kind, value)?;
                let test = Test::Hash(algorithm, hash.clone());
                Ok(Check { kind, value: hash, test, inverse: mismatch })
            }
        }
    }

    /// Returns what is asked of the lines, if it is about them.
    pub(super) fn lines(&self) -> Option<&LineTest> {
        match &self.test {
            Test::Content(test) => Some(test),
            _ => None,
        }
    }

    /// Returns the algorithm, if it is about a hash.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        match &self.test {
            Test::Hash(algorithm, _) => Some(*algorithm),
            _ => None,
        }
    }

    /// Tells whether a file passes whose hash is `digest`.
    pub(super) fn is_hash(&self, digest: &str) -> bool {
        match &self.test {
            Test::Hash(_, wanted) => (wanted == digest) != self.inverse,
            _ => false,
        }
    }
}

/// Reads the expression `pattern`, which must make sense as `judged` as well.
fn regex(pattern: &str, judged: &str) -> Result<GoRegex, CheckError> {
    let invalid = |error| CheckError::Regex { pattern: judged.to_owned(), error };
    GoRegex::new(judged).map_err(invalid)?;
    GoRegex::new(pattern).map_err(invalid)
}

fn size(value: &str) -> Result<SizeTest, CheckError> {
    let bound = Bound::read(value, &['k', 'm', 'g', 't']);
    let bound = bound.ok_or_else(|| CheckError::Size(value.to_owned()))?;
    let number = bound.number().map_err(CheckError::Number)?;
    Ok(SizeTest::new(bound.sign, number, bound.unit))
}

fn age(value: &str, now: Timestamp) -> Result<AgeTest, CheckError> {
    let bound = Bound::read(value, &['d', 'h', 'm']);
    let Some(bound @ Bound { sign: Some(sign), unit: Some(unit), .. }) = bound else {
        return Err(CheckError::Mtime(value.to_owned()));
    };
    let number = bound.number().map_err(CheckError::Number)?;
    Ok(AgeTest::new(sign, number, unit, now))
}

fn hash(kind: Kind, value: &str) -> Result<(Algorithm, String), CheckError> {
    let hash = value.to_uppercase();
    let digits = hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    let algorithms = kind.algorithms();
    let fitting = algorithms.iter().find(|algorithm| algorithm.digits() == hash.len());
    match fitting {
        Some(algorithm) if digits => Ok((*algorithm, hash)),
        // Of one that is long enough the length is known.
        Some(algorithm) => Err(CheckError::Hash { hash, form: Digits(vec![algorithm.digits()]) }),
        None => {
            let form = Digits(algorithms.iter().map(|algorithm| algorithm.digits()).collect());
            Err(CheckError::Hash { hash, form })
        }
    }
}
