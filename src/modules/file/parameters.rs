//! The parameters of the module `file`, as an action contains them.
//!
//! Results repeat them beside each hit, so they are serialized exactly as the original does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::super::parameters::{self, Fields, ParameterError, fields};
use super::filter::FilterKind;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FileParameters {
    searches: BTreeMap<String, Option<Fields<SearchParameters>>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SearchParameters {
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    /// Files and folders to search, cleaned as Go's `filepath.Clean` does.
    pub(crate) paths: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contents: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sizes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    modes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mtimes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    md5: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sha1: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sha2: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sha3: Vec<String>,
    #[serde(deserialize_with = "fields")]
    pub(crate) options: SearchOptions,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SearchOptions {
    /// Maximum number of folder levels, where the path itself is level 1; 0 or less for no limit.
    #[serde(serialize_with = "zero")]
    pub(super) maxdepth: f64,
    /// Maximum number of errors in the result; 0 for no limit.
    #[serde(serialize_with = "zero")]
    pub(super) maxerrors: f64,
    /// Has no effect; only repeated in the result.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    remotefs: bool,
    /// Whether a file must pass every filter.
    pub(crate) matchall: bool,
    /// Whether every line of a file must match; otherwise one matching line is enough.
    pub(crate) macroal: bool,
    /// Names of the kinds of filters to invert.
    #[serde(serialize_with = "null_if_empty")]
    pub(super) mismatch: Vec<String>,
    /// Number of hits after which a search ends; 0 or less for no limit.
    #[serde(serialize_with = "zero")]
    pub(super) matchlimit: f64,
    /// Has no effect; only repeated in the result.
    #[serde(skip_serializing_if = "String::is_empty")]
    debug: String,
    /// Whether each hit includes the SHA-256 of the file.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) returnsha256: bool,
    /// Whether files compressed with gzip are unpacked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) decompress: bool,
}

/// The original always writes these numbers as 0 in results.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn zero<S: Serializer>(_: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(0)
}

fn null_if_empty<S: Serializer>(names: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    if names.is_empty() { serializer.serialize_none() } else { names.serialize(serializer) }
}

impl SearchParameters {
    /// Returns a search with a single filter value. Without `matchall`, each filter counts as a
    /// search of its own, and results repeat it in this form.
    pub(crate) fn of_filter(kind: FilterKind, value: &str, paths: Vec<String>) -> SearchParameters {
        let mut search = SearchParameters { paths, ..SearchParameters::default() };
        let values = match kind {
            FilterKind::Name => &mut search.names,
            FilterKind::Size => &mut search.sizes,
            FilterKind::Mode => &mut search.modes,
            FilterKind::Mtime => &mut search.mtimes,
            FilterKind::Content => &mut search.contents,
            FilterKind::Md5 => &mut search.md5,
            FilterKind::Sha1 => &mut search.sha1,
            FilterKind::Sha2 => &mut search.sha2,
            FilterKind::Sha3 => &mut search.sha3,
        };
        values.push(value.to_owned());
        search
    }

    /// Returns the filter values by kind, in the order in which the original reports them.
    pub(super) fn filters(&self) -> [(FilterKind, &[String]); 9] {
        [
            (FilterKind::Content, &self.contents),
            (FilterKind::Name, &self.names),
            (FilterKind::Size, &self.sizes),
            (FilterKind::Mode, &self.modes),
            (FilterKind::Mtime, &self.mtimes),
            (FilterKind::Md5, &self.md5),
            (FilterKind::Sha1, &self.sha1),
            (FilterKind::Sha2, &self.sha2),
            (FilterKind::Sha3, &self.sha3),
        ]
    }
}

/// Reads the searches by label; `None` for a search that is `null`.
pub(super) fn read(
    parameters: &RawValue,
) -> Result<BTreeMap<String, Option<SearchParameters>>, ParameterError> {
    let FileParameters { searches } = parameters::read(parameters)?;
    let cleaned = |Fields(mut search): Fields<SearchParameters>| {
        search.paths.iter_mut().for_each(|path| *path = clean(path));
        search
    };
    Ok(searches.into_iter().map(|(label, search)| (label, search.map(cleaned))).collect())
}

/// Returns the shortest equivalent of `path`, without reading the file system, as Go's `Clean`
/// does.
fn clean(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    match (is_absolute, parts.join("/")) {
        (true, rest) => format!("/{rest}"),
        (false, rest) if rest.is_empty() => ".".to_owned(),
        (false, rest) => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_in_go() {
        for (path, cleaned) in [
            ("", "."),
            ("a/", "a"),
            ("./a", "a"),
            ("a/../b", "b"),
            ("a/../../b", "../b"),
            ("..//../x", "../../x"),
            ("/..//a/./b/", "/a/b"),
            ("/", "/"),
            ("/../..", "/"),
            ("a/..", "."),
        ] {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }
}
