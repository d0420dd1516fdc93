//! The result in the original's form.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::to_raw_value;

use super::super::ModuleResult;
use super::findings::{FileFindings, FileInfo, FoundFiles};
use crate::chain::Chain;
use crate::go::duration;
use crate::go::regexp::decode_utf8;
use crate::modules::file::{Search, SearchParameters};

#[derive(Debug, Default, Serialize)]
struct FileStatistics {
    filescount: u64,
    openfailed: u64,
    totalhits: usize,
    exectime: String,
}

/// One hit. An entry with an empty path means that there are no hits.
#[derive(Debug, Serialize)]
struct HitEntry<'a> {
    file: Cow<'a, str>,
    search: Cow<'a, SearchParameters>,
    fileinfo: Cow<'a, FileInfo>,
}

/// Returns the entries of a search, or `None` for a search without filters and without `matchall`.
fn entries<'a>(search: &'a Search, sets: &'a [FoundFiles]) -> Option<Vec<HitEntry<'a>>> {
    let parameters = &search.parameters;
    if parameters.options.matchall {
        let whole = |_: Option<&Path>| Cow::Borrowed(parameters);
        return Some(sets.iter().flat_map(|files| entries_of(files, whole)).collect());
    }
    let mut entries = Vec::new();
    for (filter, files) in search.filters.iter().zip(sets) {
        // Each filter is a search of its own, limited to the folder of the hit.
        let alone = |path: Option<&Path>| {
            let paths = match path {
                Some(path) => {
                    vec![decode_utf8(folder(path).as_os_str().as_bytes()).into_owned()]
                }
                None => parameters.paths.clone(),
            };
            Cow::Owned(SearchParameters::of_filter(filter.kind, &filter.value, paths))
        };
        entries.extend(entries_of(files, alone));
    }
    (!entries.is_empty()).then_some(entries)
}

/// Returns an entry for each file; without files, a single entry with an empty path.
fn entries_of<'a>(
    files: &'a FoundFiles,
    search: impl Fn(Option<&Path>) -> Cow<'a, SearchParameters>,
) -> Vec<HitEntry<'a>> {
    if files.is_empty() {
        let (file, fileinfo) = (Cow::Borrowed(""), Cow::Owned(FileInfo::default()));
        return vec![HitEntry { file, search: search(None), fileinfo }];
    }
    let entry = |(path, info): (&'a Vec<u8>, &'a FileInfo)| HitEntry {
        file: decode_utf8(path),
        search: search(Some(Path::new(OsStr::from_bytes(path)))),
        fileinfo: Cow::Borrowed(info),
    };
    files.iter().map(entry).collect()
}

/// Returns the folder of a path.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Returns the first errors, as far as the search with the highest limit allows.
fn limited(mut errors: Vec<String>, searches: &[Search]) -> Vec<String> {
    let max = searches.iter().map(|search| search.errors_max).max().unwrap_or(0);
    if max == 0 {
        return errors;
    }
    // A negative limit counts as 0, but like the original the result still has one error.
    let max = usize::try_from(max).unwrap_or(0);
    let count = errors.len();
    if count > max {
        errors.truncate(max.max(1));
        errors.push(format!("errors not listed: {} (maxerrors = {max})", count - max));
    }
    errors
}

/// Returns the result of a run.
pub(super) fn report(
    searches: &[Search],
    findings: FileFindings,
    took: Duration,
) -> Result<ModuleResult, serde_json::Error> {
    let mut elements = BTreeMap::new();
    for (search, hits) in searches.iter().zip(&findings.hits) {
        elements.insert(&search.label, entries(search, &hits.sets));
    }
    let totalhits = findings.total();
    Ok(ModuleResult {
        foundanything: totalhits > 0,
        success: true,
        elements: to_raw_value(&elements)?,
        statistics: to_raw_value(&FileStatistics {
            filescount: findings.files,
            openfailed: findings.unopened,
            totalhits,
            exectime: duration::text(took),
        })?,
        errors: limited(findings.errors, searches),
    })
}

/// Returns the result for invalid parameters.
pub(super) fn rejection(error: &(dyn Error + 'static)) -> Result<ModuleResult, serde_json::Error> {
    Ok(ModuleResult {
        foundanything: false,
        success: false,
        elements: to_raw_value(&BTreeMap::<&str, ()>::new())?,
        statistics: to_raw_value(&FileStatistics::default())?,
        errors: vec![Chain(error).to_string()],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_of_a_relative_path_is_the_working_folder() {
        for (path, expected) in [("x", "."), ("a/x", "a"), ("/x", "/"), ("/", "/")] {
            assert_eq!(folder(Path::new(path)), Path::new(expected), "{path}");
        }
    }
}
