//! Hits, counts and errors of a run.

use std::collections::BTreeMap;
use std::error::Error;

use serde::Serialize;

use crate::chain::Chain;
use crate::modules::file::Search;

/// The properties of a file that the result lists, in the original's form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct FileInfo {
    /// In bytes.
    pub(super) size: u64,
    pub(super) mode: String,
    pub(super) lastmodified: String,
    /// `None` if it is not requested or cannot be computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
}

/// Files by the bytes of their paths, which is the order in which the result lists them.
pub(super) type FoundFiles = BTreeMap<Vec<u8>, FileInfo>;

/// The hits of one search.
#[derive(Debug)]
pub(super) struct SearchHits {
    /// For each filter the files that pass it; a single set for a search with `matchall`.
    pub(super) sets: Vec<FoundFiles>,
}

impl SearchHits {
    pub(super) fn count(&self) -> usize {
        self.sets.iter().map(BTreeMap::len).sum()
    }
}

#[derive(Debug)]
pub(super) struct FileFindings {
    /// The hits of each search, in the order of the searches.
    pub(super) hits: Vec<SearchHits>,
    /// Number of files checked.
    pub(super) files: u64,
    /// Number of files and folders that could not be opened.
    pub(super) unopened: u64,
    pub(super) errors: Vec<String>,
}

impl FileFindings {
    /// Returns findings without any hit.
    pub(super) fn new(searches: &[Search]) -> FileFindings {
        let no_hits = |search: &Search| {
            let count = if search.parameters.options.matchall { 1 } else { search.filters.len() };
            SearchHits { sets: vec![FoundFiles::new(); count] }
        };
        let hits = searches.iter().map(no_hits).collect();
        FileFindings { hits, files: 0, unopened: 0, errors: Vec::new() }
    }

    /// Counts a file or folder that could not be opened.
    pub(super) fn add_unopened(&mut self, error: &(dyn Error + 'static)) {
        self.unopened += 1;
        self.errors.push(Chain(error).to_string());
    }

    /// Returns the number of hits of all searches.
    pub(super) fn total(&self) -> usize {
        self.hits.iter().map(SearchHits::count).sum()
    }
}
