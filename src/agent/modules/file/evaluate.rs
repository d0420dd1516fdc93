//! Whether a file passes the filters of a search.

use std::cell::OnceCell;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use jiff::Timestamp;

use super::content::{self, LINE_BYTES_MAX, LineQuantifier, LineResults, StopCondition};
use super::findings::FileInfo;
use super::hash;
use super::mode;
use super::source::{Links, Source, SourceError};
use crate::modules::file::{Filter, FilterKind, FilterTest, HashAlgorithm, LineTest, Search};

/// The original's time format.
const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f +0000 UTC";

/// A file found by the walk.
#[derive(Debug)]
pub(super) struct CandidateFile {
    /// The path under which the result lists it.
    pub(super) path: PathBuf,
    links: Links,
    /// Read when it is first needed: a search by name alone does not need it.
    metadata: OnceCell<Metadata>,
}

impl CandidateFile {
    pub(super) fn new(path: PathBuf, links: Links) -> CandidateFile {
        CandidateFile { path, links, metadata: OnceCell::new() }
    }

    fn metadata(&self) -> Result<&Metadata, EvaluateError> {
        if let Some(metadata) = self.metadata.get() {
            return Ok(metadata);
        }
        let metadata = match self.links {
            Links::Follow => fs::metadata(&self.path),
            Links::Refuse => fs::symlink_metadata(&self.path),
        };
        match metadata {
            Ok(metadata) => Ok(self.metadata.get_or_init(|| metadata)),
            Err(source) => Err(EvaluateError::Metadata { path: self.path.clone(), source }),
        }
    }

    fn name(&self) -> &[u8] {
        self.path.file_name().unwrap_or(self.path.as_os_str()).as_bytes()
    }
}

/// Why a filter could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub(super) enum EvaluateError {
    #[error("cannot inspect {}", path.display())]
    Metadata { path: PathBuf, source: io::Error },
    #[error("cannot search contents")]
    Content(#[source] SourceError),
    #[error("line {line} of {} is longer than {LINE_BYTES_MAX} bytes", path.display())]
    LongLine {
        path: PathBuf,
        /// Line number, from 1.
        line: u64,
    },
    #[error("cannot compare hashes")]
    Hash(#[source] SourceError),
    #[error("cannot return SHA-256")]
    ReturnedHash(#[source] SourceError),
}

impl EvaluateError {
    /// Returns whether the statistics count the file among those that could not be opened.
    pub(super) fn counts_as_unopened(&self) -> bool {
        match self {
            EvaluateError::Metadata { .. } => true,
            EvaluateError::LongLine { .. } => false,
            EvaluateError::Content(error)
            | EvaluateError::Hash(error)
            | EvaluateError::ReturnedHash(error) => error.counts_as_unopened(),
        }
    }
}

/// The result of a search for one file.
#[derive(Debug)]
pub(super) struct Evaluation {
    /// For each set of hits of the search, whether the file belongs to it.
    pub(super) passed: Vec<bool>,
    /// The file's properties, if it belongs to one of the sets.
    pub(super) info: Option<FileInfo>,
    /// Why filters could not be evaluated. The file does not pass those filters.
    pub(super) errors: Vec<EvaluateError>,
}

pub(super) fn evaluate(file: &CandidateFile, search: &Search) -> Evaluation {
    let evaluator = Evaluator { file, search };
    let mut errors = Vec::new();
    let passed = if search.parameters.options.matchall {
        vec![evaluator.passes_all().unwrap_or_else(|error| {
            errors.push(error);
            false
        })]
    } else {
        evaluator.passes_each(&mut errors)
    };
    let info = if passed.contains(&true) { evaluator.info(&mut errors) } else { None };
    Evaluation { passed, info, errors }
}

#[derive(Debug, Clone, Copy)]
struct Evaluator<'a> {
    file: &'a CandidateFile,
    search: &'a Search,
}

impl Evaluator<'_> {
    /// Returns whether the file passes every filter, trying the cheap ones first.
    fn passes_all(self) -> Result<bool, EvaluateError> {
        let filters = &self.search.filters;
        for kind in [FilterKind::Name, FilterKind::Mode, FilterKind::Size, FilterKind::Mtime] {
            for filter in filters.iter().filter(|filter| filter.kind == kind) {
                if !self.passes_without_reading(filter)? {
                    return Ok(false);
                }
            }
        }
        let contents: Vec<&LineTest> = filters.iter().filter_map(Filter::line_test).collect();
        if !contents.is_empty() {
            let results = self.scan(&contents, StopCondition::OneFailed)?;
            if let Some(line) = results.unknown_at {
                return Err(EvaluateError::LongLine { path: self.file.path.clone(), line });
            }
            if results.passed.contains(&false) {
                return Ok(false);
            }
        }
        let hashed: Vec<&Filter> =
            filters.iter().filter(|filter| filter.hash_algorithm().is_some()).collect();
        if !hashed.is_empty() {
            let digests = self.filter_digests().map_err(EvaluateError::Hash)?;
            return Ok(hashed.iter().zip(digests).all(|(filter, hash)| filter.accepts_hash(&hash)));
        }
        // A search without filters finds nothing.
        Ok(!filters.is_empty())
    }

    /// Returns for each filter whether the file passes it.
    fn passes_each(self, errors: &mut Vec<EvaluateError>) -> Vec<bool> {
        let filters = &self.search.filters;
        let contents: Vec<&LineTest> = filters.iter().filter_map(Filter::line_test).collect();
        let mut lines = Vec::new();
        if !contents.is_empty() {
            match self.scan(&contents, StopCondition::AllDecided) {
                Ok(results) => {
                    let long = results.unknown_at;
                    errors.extend(long.map(|line| EvaluateError::LongLine {
                        path: self.file.path.clone(),
                        line,
                    }));
                    lines = results.passed;
                }
                Err(error) => errors.push(error),
            }
        }
        let mut digests = Vec::new();
        // A file that could not be opened to search its contents is not opened again.
        if !errors.iter().any(EvaluateError::counts_as_unopened)
            && filters.iter().any(|filter| filter.hash_algorithm().is_some())
        {
            match self.filter_digests() {
                Ok(found) => digests = found,
                Err(error) => errors.push(EvaluateError::Hash(error)),
            }
        }
        let (mut lines, mut digests) = (lines.into_iter(), digests.into_iter());
        let mut passes = |filter: &Filter| match &filter.test {
            FilterTest::Content(_) => Ok(lines.next().unwrap_or(false)),
            FilterTest::Hash(..) => {
                Ok(digests.next().is_some_and(|hash| filter.accepts_hash(&hash)))
            }
            FilterTest::Name(_)
            | FilterTest::Mode(_)
            | FilterTest::Size(_)
            | FilterTest::Mtime(_) => self.passes_without_reading(filter),
        };
        let mut passed = Vec::with_capacity(filters.len());
        for filter in filters {
            passed.push(passes(filter).unwrap_or_else(|error| {
                // All such filters fail because the metadata cannot be read, which is reported
                // once.
                if !errors.iter().any(|error| matches!(error, EvaluateError::Metadata { .. })) {
                    errors.push(error);
                }
                false
            }));
        }
        passed
    }

    /// Returns whether the file passes a filter that does not need its content.
    fn passes_without_reading(self, filter: &Filter) -> Result<bool, EvaluateError> {
        let metadata = || self.file.metadata();
        let holds = match &filter.test {
            FilterTest::Name(regexp) => regexp.is_match(self.file.name()),
            FilterTest::Mode(regexp) => regexp.is_match(mode::text(metadata()?.mode()).as_bytes()),
            FilterTest::Size(bound) => bound.contains(metadata()?.size()),
            FilterTest::Mtime(bound) => bound.contains(modified(metadata()?)),
            FilterTest::Content(_) | FilterTest::Hash(..) => false,
        };
        Ok(holds != filter.inverse)
    }

    fn scan(self, tests: &[&LineTest], stop: StopCondition) -> Result<LineResults, EvaluateError> {
        if self.file.metadata()?.is_dir() {
            // A folder, which can only be a search path that is a link, has no lines.
            return Ok(LineResults { passed: vec![false; tests.len()], unknown_at: None });
        }
        let is_every = self.search.parameters.options.macroal;
        let quantifier = if is_every { LineQuantifier::Every } else { LineQuantifier::Any };
        let mut source = self.open().map_err(EvaluateError::Content)?;
        content::scan(&mut source, tests, quantifier, stop)
            .and_then(|results| source.finish().map(|()| results))
            .map_err(|error| EvaluateError::Content(source.error(error)))
    }

    /// Returns the hashes for the filters that compare one, in their order.
    fn filter_digests(self) -> Result<Vec<String>, SourceError> {
        let algorithms = self.search.filters.iter().filter_map(Filter::hash_algorithm);
        self.digests(&algorithms.collect::<Vec<_>>())
    }

    fn digests(self, algorithms: &[HashAlgorithm]) -> Result<Vec<String>, SourceError> {
        let mut source = self.open()?;
        hash::digests(&mut source, algorithms).map_err(|error| source.error(error))
    }

    fn open(self) -> Result<Source, SourceError> {
        Source::open(&self.file.path, self.file.links, self.search.parameters.options.decompress)
    }

    fn info(self, errors: &mut Vec<EvaluateError>) -> Option<FileInfo> {
        let metadata = self.file.metadata().map_err(|error| errors.push(error)).ok()?;
        let mut sha256 = None;
        if self.search.parameters.options.returnsha256 {
            match self.digests(&[HashAlgorithm::Sha2With256]) {
                Ok(digests) => sha256 = digests.into_iter().next(),
                Err(error) => errors.push(EvaluateError::ReturnedHash(error)),
            }
        }
        Some(FileInfo {
            size: metadata.size(),
            mode: mode::text(metadata.mode()),
            lastmodified: modified(metadata).strftime(TIME_FORMAT).to_string(),
            sha256,
        })
    }
}

/// Returns when a file was modified. A time out of range becomes the nearest possible one.
fn modified(metadata: &Metadata) -> Timestamp {
    let nanos = i32::try_from(metadata.mtime_nsec()).unwrap_or_default();
    let nearest = if metadata.mtime() < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::new(metadata.mtime(), nanos).unwrap_or(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_in_go() {
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
