//! Whether a file is what a search is for.

use std::cell::OnceCell;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use jiff::Timestamp;

use super::super::reason::reason;
use super::check::{Check, Kind, Test};
use super::content::{self, Answers, LINE_BYTES_MAX, LineTest, Quantity, Until};
use super::findings::FileInfo;
use super::hash::{self, Algorithm};
use super::mode;
use super::search::Search;
use super::source::{Links, Source, SourceError};

/// How the original writes a time.
const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f +0000 UTC";

/// A file that searches may be for.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Under which path it is told.
    pub(super) path: PathBuf,
    links: Links,
    /// Looked up when first needed: a search by name alone never does.
    meta: OnceCell<Metadata>,
}

impl Candidate {
    /// Returns the file at `path`.
    pub(super) fn new(path: PathBuf, links: Links) -> Candidate {
        Candidate { path, links, meta: OnceCell::new() }
    }

    fn meta(&self) -> io::Result<&Metadata> {
        if let Some(meta) = self.meta.get() {
            return Ok(meta);
        }
        let meta = match self.links {
            Links::Follow => fs::metadata(&self.path)?,
            Links::Refuse => fs::symlink_metadata(&self.path)?,
        };
        Ok(self.meta.get_or_init(|| meta))
    }

    fn name(&self) -> &[u8] {
        self.path.file_name().unwrap_or(self.path.as_os_str()).as_bytes()
    }
}

/// A file that could not be judged, or not wholly. The texts name what the original was doing.
#[derive(Debug, thiserror::Error)]
pub(super) enum JudgeError {
    /// It could not be looked at.
    #[error("ERROR: stat {}: {}", path.display(), reason(source))]
    Stat { path: PathBuf, source: io::Error },
    /// Its lines could not be read.
    #[error("checkContent() -> {0}")]
    Content(SourceError),
    /// A line was too long, and what is asked depends on it.
    #[error("checkContent() -> {}: line {line} is longer than {LINE_BYTES_MAX} bytes", path.display())]
    Long {
        path: PathBuf,
        /// The number of the line.
        line: u64,
    },
    /// It could not be hashed.
    #[error("checkHash() -> getHash() -> {0}")]
    Hash(SourceError),
    /// The hash to be told of a hit could not be had.
    #[error("buildResults() -> getHash() -> {0}")]
    Told(SourceError),
}

impl JudgeError {
    /// Tells whether the file could not be opened.
    pub(super) fn is_open(&self) -> bool {
        match self {
            JudgeError::Stat { .. } => true,
            JudgeError::Long { .. } => false,
            JudgeError::Content(error) | JudgeError::Hash(error) | JudgeError::Told(error) => {
                error.is_open()
            }
        }
    }
}

/// What a search says of a file.
#[derive(Debug)]
pub(super) struct Judgement {
    /// For each set of hits of the search, whether the file belongs to it.
    pub(super) passed: Vec<bool>,
    /// What is to be told of the file, if it belongs to one.
    pub(super) info: Option<FileInfo>,
    /// What went wrong. A file of which something is not known does not pass by it.
    pub(super) errors: Vec<JudgeError>,
}

/// Judges `candidate` by `search`.
pub(super) fn judge(candidate: &Candidate, search: &Search) -> Judgement {
    let case = Case { candidate, search };
    let mut errors = Vec::new();
    let passed = if search.request.options.matchall {
        vec![case.passes_all().unwrap_or_else(|error| {
            errors.push(error);
            false
        })]
    } else {
        case.passes_each(&mut errors)
    };
    let info = if passed.contains(&true) { case.info(&mut errors) } else { None };
    Judgement { passed, info, errors }
}

#[derive(Debug, Clone, Copy)]
struct Case<'a> {
    candidate: &'a Candidate,
    search: &'a Search,
}

impl<'a> Case<'a> {
    /// Whether the file passes every filter; the cheap ones come first.
    fn passes_all(self) -> Result<bool, JudgeError> {
        let checks = &self.search.checks;
        for kind in [Kind::Name, Kind::Mode, Kind::Size, Kind::Mtime] {
            for check in checks.iter().filter(|check| check.kind == kind) {
                if !self.holds(check)? {
                    return Ok(false);
                }
            }
        }
        let contents: Vec<&LineTest> = checks.iter().filter_map(Check::lines).collect();
        if !contents.is_empty() {
            let answers = self.read(&contents, Until::OneFailed)?;
            if let Some(line) = answers.blind_at {
                return Err(JudgeError::Long { path: self.candidate.path.clone(), line });
            }
            if answers.holds.contains(&false) {
                return Ok(false);
            }
        }
        let hashes: Vec<Algorithm> = checks.iter().filter_map(Check::algorithm).collect();
        if !hashes.is_empty() {
            let digests = self.digests(&hashes).map_err(JudgeError::Hash)?;
            let hashed = checks.iter().filter(|check| check.algorithm().is_some());
            return Ok(hashed.zip(digests).all(|(check, digest)| check.is_hash(&digest)));
        }
        // Without any filter a search is for nothing.
        Ok(!checks.is_empty())
    }

    /// Which of the filters the file passes, each by itself.
    fn passes_each(self, errors: &mut Vec<JudgeError>) -> Vec<bool> {
        let checks = &self.search.checks;
        let contents: Vec<&LineTest> = checks.iter().filter_map(Check::lines).collect();
        let mut lines = Vec::new();
        if !contents.is_empty() {
            match self.read(&contents, Until::EachAnswered) {
                Ok(answers) => {
                    let path = || self.candidate.path.clone();
                    errors.extend(
                        answers.blind_at.map(|line| JudgeError::Long { path: path(), line }),
                    );
                    lines = answers.holds;
                }
                Err(error) => errors.push(error),
            }
        }
        let hashes: Vec<Algorithm> = checks.iter().filter_map(Check::algorithm).collect();
        let mut digests = Vec::new();
        // What could not be opened for its lines cannot be opened now.
        if !hashes.is_empty() && !errors.iter().any(JudgeError::is_open) {
            match self.digests(&hashes) {
                Ok(found) => digests = found,
                Err(error) => errors.push(JudgeError::Hash(error)),
            }
        }
        let (mut lines, mut digests) = (lines.into_iter(), digests.into_iter());
        let mut passes = |check: &Check| match &check.test {
            Test::Content(_) => Ok(lines.next().unwrap_or(false)),
            Test::Hash(..) => Ok(digests.next().is_some_and(|digest| check.is_hash(&digest))),
            Test::Name(_) | Test::Mode(_) | Test::Size(_) | Test::Mtime(_) => self.holds(check),
        };
        let mut passed = Vec::with_capacity(checks.len());
        for check in checks {
            passed.push(passes(check).unwrap_or_else(|error| {
                // All of them fail for one reason, which is told once.
                if !errors.iter().any(|error| matches!(error, JudgeError::Stat { .. })) {
                    errors.push(error);
                }
                false
            }));
        }
        passed
    }

    /// Whether the file passes a filter that needs nothing of what is in it.
    fn holds(self, check: &Check) -> Result<bool, JudgeError> {
        let holds = match &check.test {
            Test::Name(regex) => regex.is_match(self.candidate.name()),
            Test::Mode(regex) => regex.is_match(mode::text(self.meta()?.mode()).as_bytes()),
            Test::Size(test) => test.holds(self.meta()?.size()),
            Test::Mtime(test) => test.holds(modified(self.meta()?)),
            Test::Content(_) | Test::Hash(..) => false,
        };
        Ok(holds != check.inverse)
    }

    fn meta(self) -> Result<&'a Metadata, JudgeError> {
        let lost = |source| JudgeError::Stat { path: self.candidate.path.clone(), source };
        self.candidate.meta().map_err(lost)
    }

    fn read(self, tests: &[&LineTest], until: Until) -> Result<Answers, JudgeError> {
        if self.meta()?.is_dir() {
            // A folder, which only a link as a path leads to, has no lines.
            return Ok(Answers { holds: vec![false; tests.len()], blind_at: None });
        }
        let options = &self.search.request.options;
        let quantity = if options.macroal { Quantity::Every } else { Quantity::Any };
        let mut source = self.open().map_err(JudgeError::Content)?;
        content::scan(&mut source, tests, quantity, until)
            .and_then(|answers| source.finish().map(|()| answers))
            .map_err(|error| JudgeError::Content(source.error(error)))
    }

    fn digests(self, algorithms: &[Algorithm]) -> Result<Vec<String>, SourceError> {
        let mut source = self.open()?;
        hash::digests(&mut source, algorithms).map_err(|error| source.error(error))
    }

    fn open(self) -> Result<Source, SourceError> {
        let Candidate { path, links, .. } = self.candidate;
        Source::open(path, *links, self.search.request.options.decompress)
    }

    fn info(self, errors: &mut Vec<JudgeError>) -> Option<FileInfo> {
        let meta = self.meta().map_err(|error| errors.push(error)).ok()?;
        let mut sha256 = None;
        if self.search.request.options.returnsha256 {
            match self.digests(&[Algorithm::Sha2With256]) {
                Ok(digests) => sha256 = digests.into_iter().next(),
                Err(error) => errors.push(JudgeError::Told(error)),
            }
        }
        Some(FileInfo {
            size: meta.size(),
            mode: mode::text(meta.mode()),
            modified: modified(meta).strftime(TIME_FORMAT).to_string(),
            sha256,
        })
    }
}

/// When a file was changed; a time beyond all calendars is the last that they have.
fn modified(meta: &Metadata) -> Timestamp {
    let nanos = i32::try_from(meta.mtime_nsec()).unwrap_or_default();
    let beyond = if meta.mtime() < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::new(meta.mtime(), nanos).unwrap_or(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_by_go() {
        #![expect(clippy::disallowed_methods, reason = "tests read their data")]
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/go-forms.json");
        let forms: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for vector in forms["time"].as_array().unwrap() {
            let nanos = i128::from(vector["unix_ns"].as_i64().unwrap());
            let time = Timestamp::from_nanosecond(nanos).unwrap();
            assert_eq!(time.strftime(TIME_FORMAT).to_string(), vector["string"].as_str().unwrap());
        }
        let before = Timestamp::new(-1, 500_000_000).unwrap();
        assert_eq!(before.strftime(TIME_FORMAT).to_string(), "1969-12-31 23:59:59.5 +0000 UTC");
    }
}
