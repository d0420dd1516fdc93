//! What has been found so far: hits, counts and errors.

use std::collections::BTreeMap;

use super::search::Search;

/// What is told of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileInfo {
    /// Its size in bytes.
    pub(super) size: u64,
    /// Its mode, as Go writes it.
    pub(super) mode: String,
    /// When it was changed, as Go writes it.
    pub(super) modified: String,
    /// Its SHA-256, if that was asked for and could be had.
    pub(super) sha256: Option<String>,
}

/// Files by the bytes of their path, which is the order in which they are told.
pub(super) type Files = BTreeMap<Vec<u8>, FileInfo>;

/// The hits of one search.
#[derive(Debug)]
pub(super) struct Hits {
    /// For each filter the files that pass it; for a search that wants all at once just one set.
    pub(super) sets: Vec<Files>,
}

impl Hits {
    /// Returns how many hits there are.
    pub(super) fn count(&self) -> usize {
        self.sets.iter().map(BTreeMap::len).sum()
    }
}

/// What has been found.
#[derive(Debug)]
pub(super) struct Findings {
    /// The hits of each search, in the order of the searches.
    pub(super) hits: Vec<Hits>,
    /// How many files were looked at.
    pub(super) files: u64,
    /// How many could not be opened.
    pub(super) unopened: u64,
    pub(super) errors: Vec<String>,
}

impl Findings {
    /// Returns what is found before anything was looked at.
    pub(super) fn new(searches: &[Search]) -> Findings {
        let sets = |search: &Search| {
            let count = if search.request.options.matchall { 1 } else { search.checks.len() };
            Hits { sets: vec![Files::new(); count] }
        };
        let hits = searches.iter().map(sets).collect();
        Findings { hits, files: 0, unopened: 0, errors: Vec::new() }
    }

    /// Notes that something could not be opened, and why.
    pub(super) fn unopened(&mut self, error: String) {
        self.unopened += 1;
        self.errors.push(error);
    }

    /// Returns how many hits there are in all.
    pub(super) fn total(&self) -> usize {
        self.hits.iter().map(Hits::count).sum()
    }
}
