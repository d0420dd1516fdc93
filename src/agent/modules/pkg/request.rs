//! What was asked: patterns for names, and one for versions.

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::go_regex::{GoRegex, RegexError};
use super::super::parameters::{Place, ReadError, Structure, TypeError, parse};

/// Parameters that make no sense, in the original's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// They cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// They ask for nothing.
    #[error("must specify at least one package to match")]
    Nothing,
    /// A pattern is no expression.
    #[error(transparent)]
    Pattern(#[from] RegexError),
}

/// What is wanted of a package.
#[derive(Debug)]
pub(super) struct Request {
    /// Its name matches one of them.
    pub(super) names: Vec<GoRegex>,
    /// Its version matches, or with `true` does not.
    version: Option<(GoRegex, bool)>,
}

impl Request {
    /// Tells whether a version is wanted.
    pub(super) fn is_version(&self, version: &str) -> bool {
        self.version
            .as_ref()
            .is_none_or(|(pattern, inverse)| pattern.is_match(version.as_bytes()) != *inverse)
    }
}

/// Reads the parameters of the module.
pub(super) fn read(parameters: &RawValue) -> Result<Request, RequestError> {
    let (names, version) = parse(parameters, texts)?;
    if names.is_empty() {
        return Err(RequestError::Nothing);
    }
    let names = names.iter().map(|name| GoRegex::new(name)).collect::<Result<_, _>>()?;
    let version = match version.as_str() {
        "" => None,
        "!" => Some((GoRegex::new("!")?, false)),
        version => match version.strip_prefix('!') {
            Some(version) => Some((GoRegex::new(version)?, true)),
            None => Some((GoRegex::new(version)?, false)),
        },
    };
    Ok(Request { names, version })
}

fn texts(parameters: &Value) -> Result<(Vec<String>, String), TypeError> {
    let whole = Structure::new(parameters, &Place::Whole, "Parameters", "pkg.Parameters")?;
    let (names, place) = whole.field("pkgmatch");
    let names = Structure::new(names, &place, "PkgMatch", "pkg.PkgMatch")?;
    Ok((names.texts("matches")?, whole.text("vermatch")?))
}
