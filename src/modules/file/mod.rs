//! Parameters of the module `file`: validated searches.

mod bounds;
mod filter;
mod parameters;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::parameters::{ParameterError, truncate};
pub(crate) use filter::{Filter, FilterKind, FilterTest, HashAlgorithm, LineTest};
pub(crate) use parameters::SearchParameters;

use filter::FilterError;

/// The longest label, in characters.
const LABEL_CHARS_MAX: usize = 64;

#[derive(Debug, thiserror::Error)]
pub(crate) enum FileParameterError {
    #[error(transparent)]
    Form(#[from] ParameterError),
    #[error("a search has no label")]
    NoLabel,
    #[error("label {0:?} has more than {LABEL_CHARS_MAX} characters or a line break")]
    Label(String),
    #[error("search {0:?} is null")]
    Null(String),
    #[error("search {0:?} has no path")]
    NoPath(String),
    #[error("search {label:?}")]
    Filter { label: String, source: FilterError },
    #[error("search {label:?}: mismatch of unknown filter {name:?}")]
    Mismatch {
        label: String,
        /// The name of the filter.
        name: String,
    },
}

#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) label: String,
    pub(crate) parameters: SearchParameters,
    /// The filters, in the order in which the original reports them.
    pub(crate) filters: Vec<Filter>,
    /// Maximum number of folder levels.
    pub(crate) depth_max: Option<u64>,
    /// Number of hits after which the search ends.
    pub(crate) hits_max: Option<usize>,
    /// Maximum number of errors; 0 for no limit. It may be negative.
    pub(crate) errors_max: i64,
}

/// Reads the parameters. Ages are relative to `now`.
pub(crate) fn read(
    parameters: &RawValue,
    now: Timestamp,
) -> Result<Vec<Search>, FileParameterError> {
    let searches = parameters::read(parameters)?.into_iter();
    searches.map(|(label, parameters)| Search::new(label, parameters, now)).collect()
}

impl Search {
    fn new(
        label: String,
        parameters: Option<SearchParameters>,
        now: Timestamp,
    ) -> Result<Search, FileParameterError> {
        if label.is_empty() {
            return Err(FileParameterError::NoLabel);
        }
        if label.chars().count() > LABEL_CHARS_MAX || label.contains('\n') {
            return Err(FileParameterError::Label(label));
        }
        let Some(parameters) = parameters else { return Err(FileParameterError::Null(label)) };
        if parameters.paths.is_empty() {
            return Err(FileParameterError::NoPath(label));
        }
        let options = &parameters.options;
        let mut filters = Vec::new();
        for (kind, values) in parameters.filters() {
            let mismatch = options.mismatch.iter().any(|name| name == kind.name());
            for value in values {
                match Filter::new(kind, value, mismatch, now) {
                    Ok(filter) => filters.push(filter),
                    Err(source) => return Err(FileParameterError::Filter { label, source }),
                }
            }
        }
        let is_known = |name: &String| FilterKind::ALL.iter().any(|kind| kind.name() == name);
        if let Some(name) = options.mismatch.iter().find(|name| !is_known(name)) {
            return Err(FileParameterError::Mismatch { label, name: name.clone() });
        }
        let positive = |limit| u64::try_from(truncate(limit)).ok().filter(|limit| *limit > 0);
        Ok(Search {
            label,
            filters,
            depth_max: positive(options.maxdepth),
            hits_max: positive(options.matchlimit).and_then(|max| usize::try_from(max).ok()),
            errors_max: truncate(options.maxerrors),
            parameters,
        })
    }
}
