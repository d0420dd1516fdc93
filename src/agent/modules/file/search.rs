//! One search: what was asked, made ready to be applied to files.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::check::{Check, CheckError, Kind};
use super::report;
use super::request::{Request, Requests};

/// The longest label, in characters.
const LABEL_CHARS_MAX: usize = 64;
const LABEL_FORM: &str = "^([a-zA-Z0-9_-]|.){1,64}$";
const FILTER_FORM: &str = "^(name|size|mode|mtime|content|md5|sha1|sha2|sha3)$";

/// A search that makes no sense, in the original's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum SearchError {
    /// It has no label.
    #[error("empty labels are not permitted")]
    NoLabel,
    /// Its label is too long or has several lines.
    #[error("The syntax of label '{0}' is invalid. Must match regex {LABEL_FORM}")]
    Label(String),
    /// It is null. The text is what became of that in the original, and what its clients know.
    #[error("runtime error: invalid memory address or nil pointer dereference")]
    Null,
    /// It has no path.
    #[error("invalid empty search path, must have at least one search path")]
    NoPath,
    /// A filter makes no sense.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A filter that is to be turned round has no name.
    #[error("empty filters are not permitted")]
    NoFilter,
    /// There is no filter of a name that is to be turned round.
    #[error("The syntax of filter '{0}' is invalid. Must match regex {FILTER_FORM}")]
    Filter(String),
    /// It cannot be written as JSON.
    #[error("cannot write the search")]
    Write(#[source] serde_json::Error),
}

#[derive(Debug)]
pub(super) struct Search {
    pub(super) label: String,
    pub(super) request: Request,
    /// What was asked, as it stands beside each hit.
    pub(super) echo: Box<RawValue>,
    pub(super) roots: Vec<PathBuf>,
    /// The filters, in the order in which the original tells of them.
    pub(super) checks: Vec<Check>,
    /// How many levels of folders.
    pub(super) depth_max: Option<u64>,
    pub(super) hits_max: Option<usize>,
}

/// Makes all searches ready, or says what is wrong with the first that is not.
pub(super) fn prepare(requests: Requests, now: Timestamp) -> Result<Vec<Search>, SearchError> {
    let searches = requests.into_iter().map(|(label, request)| Search::new(label, request, now));
    searches.collect()
}

impl Search {
    fn new(label: String, request: Option<Request>, now: Timestamp) -> Result<Search, SearchError> {
        if label.is_empty() {
            return Err(SearchError::NoLabel);
        }
        if label.chars().count() > LABEL_CHARS_MAX || label.contains('\n') {
            return Err(SearchError::Label(label));
        }
        let request = request.ok_or(SearchError::Null)?;
        if request.paths.is_empty() {
            return Err(SearchError::NoPath);
        }
        let mut checks = Vec::new();
        for (kind, values) in [
            (Kind::Content, &request.contents),
            (Kind::Name, &request.names),
            (Kind::Size, &request.sizes),
            (Kind::Mode, &request.modes),
            (Kind::Mtime, &request.mtimes),
            (Kind::Md5, &request.md5),
            (Kind::Sha1, &request.sha1),
            (Kind::Sha2, &request.sha2),
            (Kind::Sha3, &request.sha3),
        ] {
            let mismatch = request.options.mismatch.iter().any(|name| name == kind.name());
            for value in values {
                checks.push(Check::new(kind, value, mismatch, now)?);
            }
        }
        for name in &request.options.mismatch {
            if name.is_empty() {
                return Err(SearchError::NoFilter);
            }
            if !Kind::ALL.iter().any(|kind| kind.name() == name) {
                return Err(SearchError::Filter(name.clone()));
            }
        }
        let echo = report::echo(&request).map_err(SearchError::Write)?;
        Ok(Search {
            label,
            echo,
            roots: request.paths.iter().map(PathBuf::from).collect(),
            checks,
            depth_max: u64::try_from(request.options.maxdepth).ok().filter(|max| *max > 0),
            hits_max: usize::try_from(request.options.matchlimit).ok().filter(|max| *max > 0),
            request,
        })
    }
}
