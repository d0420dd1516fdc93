//! Parameters of the module `pkg`: compiled expressions for names and versions.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::parameters::{self, ParameterError, fields};
use crate::go::regexp::{Regexp, RegexpError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum PkgParameterError {
    #[error(transparent)]
    Form(#[from] ParameterError),
    #[error("pkgmatch has no matches")]
    NoMatches,
    #[error(transparent)]
    Regexp(#[from] RegexpError),
}

#[derive(Debug)]
pub(crate) struct PkgSearch {
    /// Expressions for names; at least one must match.
    pub(crate) names: Vec<Regexp>,
    /// An expression for the version, and whether it is inverted.
    version: Option<(Regexp, bool)>,
}

impl PkgSearch {
    /// Returns whether packages of this version are wanted.
    pub(crate) fn accepts_version(&self, version: &str) -> bool {
        self.version
            .as_ref()
            .is_none_or(|(regexp, inverse)| regexp.is_match(version.as_bytes()) != *inverse)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PkgParameters {
    #[serde(deserialize_with = "fields")]
    pkgmatch: PkgMatch,
    vermatch: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PkgMatch {
    matches: Vec<String>,
}

pub(crate) fn read(parameters: &RawValue) -> Result<PkgSearch, PkgParameterError> {
    let PkgParameters { pkgmatch: PkgMatch { matches }, vermatch } = parameters::read(parameters)?;
    if matches.is_empty() {
        return Err(PkgParameterError::NoMatches);
    }
    let names = matches.iter().map(|name| Regexp::new(name)).collect::<Result<_, _>>()?;
    // An exclamation mark alone is an expression, not an inversion.
    let (pattern, inverse) = match vermatch.strip_prefix('!') {
        Some(rest) if !rest.is_empty() => (rest, true),
        _ => (vermatch.as_str(), false),
    };
    let version = if pattern.is_empty() { None } else { Some((Regexp::new(pattern)?, inverse)) };
    Ok(PkgSearch { names, version })
}
