//! The result in the original's form.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::super::ModuleResult;
use super::super::go_regex::as_go_reads;
use super::check::{Check, Kind};
use super::clean;
use super::findings::{FileInfo, Files, Findings};
use super::request::Request;
use super::search::Search;
use crate::go::duration;

/// What was looked at.
#[derive(Debug, Serialize)]
struct Statistics {
    filescount: u64,
    openfailed: u64,
    totalhits: usize,
    exectime: String,
}

/// A search as it is told beside a hit.
#[derive(Debug, Clone, Default, Serialize)]
struct Echo<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    paths: Cow<'a, [String]>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    contents: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    names: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sizes: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    modes: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mtimes: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    md5: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sha1: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sha2: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sha3: &'a [String],
    options: EchoOptions<'a>,
}

/// Its options. The three numbers are not handed back by the original, which always writes 0.
#[derive(Debug, Clone, Default, Serialize)]
struct EchoOptions<'a> {
    maxdepth: u8,
    maxerrors: u8,
    #[serde(skip_serializing_if = "is_false")]
    remotefs: bool,
    matchall: bool,
    macroal: bool,
    mismatch: Option<&'a [String]>,
    matchlimit: u8,
    #[serde(skip_serializing_if = "str::is_empty")]
    debug: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    returnsha256: bool,
    #[serde(skip_serializing_if = "is_false")]
    decompress: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// One hit, or that there is none.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    file: String,
    search: Told<'a>,
    fileinfo: Info<'a>,
}

/// The search that a file was found by.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Told<'a> {
    /// All of it, where a file must pass every filter.
    Whole(&'a RawValue),
    /// The filter that the file passed.
    Check(Box<Echo<'a>>),
}

#[derive(Debug, Default, Serialize)]
struct Info<'a> {
    size: u64,
    mode: &'a str,
    lastmodified: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
}

impl<'a> From<&'a FileInfo> for Info<'a> {
    fn from(info: &'a FileInfo) -> Info<'a> {
        Info {
            size: info.size,
            mode: &info.mode,
            lastmodified: &info.modified,
            sha256: info.sha256.as_deref(),
        }
    }
}

/// Returns what was asked as it is told beside each hit.
pub(super) fn echo(request: &Request) -> Result<Box<RawValue>, serde_json::Error> {
    let options = &request.options;
    to_raw_value(&Echo {
        description: &request.description,
        paths: Cow::Borrowed(&request.paths),
        contents: &request.contents,
        names: &request.names,
        sizes: &request.sizes,
        modes: &request.modes,
        mtimes: &request.mtimes,
        md5: &request.md5,
        sha1: &request.sha1,
        sha2: &request.sha2,
        sha3: &request.sha3,
        options: EchoOptions {
            remotefs: options.remotefs,
            matchall: options.matchall,
            macroal: options.macroal,
            mismatch: (!options.mismatch.is_empty()).then_some(&options.mismatch),
            debug: &options.debug,
            returnsha256: options.returnsha256,
            decompress: options.decompress,
            ..EchoOptions::default()
        },
    })
}

/// Returns one filter as it is told beside a hit in `paths`.
fn echo_check<'a>(check: &'a Check, paths: Cow<'a, [String]>) -> Echo<'a> {
    let mut echo = Echo { paths, ..Echo::default() };
    let list = match check.kind {
        Kind::Name => &mut echo.names,
        Kind::Size => &mut echo.sizes,
        Kind::Mode => &mut echo.modes,
        Kind::Mtime => &mut echo.mtimes,
        Kind::Content => &mut echo.contents,
        Kind::Md5 => &mut echo.md5,
        Kind::Sha1 => &mut echo.sha1,
        Kind::Sha2 => &mut echo.sha2,
        Kind::Sha3 => &mut echo.sha3,
    };
    *list = std::slice::from_ref(&check.value);
    echo
}

/// Returns the entries of a search; `None` for one that has no filter to tell of.
fn entries<'a>(search: &'a Search, sets: &'a [Files]) -> Option<Vec<Entry<'a>>> {
    let whole = |_: Option<&Path>| Told::Whole(&search.echo);
    if search.request.options.matchall {
        return Some(sets.iter().flat_map(|files| entries_of(files, whole)).collect());
    }
    let mut entries = Vec::new();
    for (check, files) in search.checks.iter().zip(sets) {
        let told = |path: Option<&Path>| {
            Told::Check(Box::new(match path {
                Some(path) => {
                    let folder = clean::folder(path).as_os_str().as_bytes();
                    echo_check(check, Cow::Owned(vec![as_go_reads(folder).into_owned()]))
                }
                None => echo_check(check, Cow::Borrowed(&search.request.paths)),
            }))
        };
        entries.extend(entries_of(files, told));
    }
    (!entries.is_empty()).then_some(entries)
}

/// Returns an entry for each file, or the one that says that there is none.
fn entries_of<'a>(files: &'a Files, search: impl Fn(Option<&Path>) -> Told<'a>) -> Vec<Entry<'a>> {
    if files.is_empty() {
        return vec![Entry {
            file: String::new(),
            search: search(None),
            fileinfo: Info::default(),
        }];
    }
    let entry = |(path, info): (&'a Vec<u8>, &'a FileInfo)| Entry {
        file: as_go_reads(path).into_owned(),
        search: search(Some(Path::new(OsStr::from_bytes(path)))),
        fileinfo: info.into(),
    };
    files.iter().map(entry).collect()
}

/// Returns the first errors, as many as the search that wants most of them allows.
fn bounded(mut errors: Vec<String>, searches: &[Search]) -> Vec<String> {
    let max = searches.iter().map(|search| search.request.options.maxerrors).max().unwrap_or(0);
    if max == 0 {
        return errors;
    }
    // Of a negative number the original makes none, and tells of one error all the same.
    let max = usize::try_from(max).unwrap_or(0);
    let count = errors.len();
    if count > max {
        errors.truncate(max.max(1));
        errors.push(format!("{} errors were not returned (max errors = {max})", count - max));
    }
    errors
}

/// Returns the result of searches that were carried out.
pub(super) fn report(
    searches: &[Search],
    findings: Findings,
    took: Duration,
) -> Result<ModuleResult, serde_json::Error> {
    let mut elements = BTreeMap::new();
    for (search, hits) in searches.iter().zip(&findings.hits) {
        elements.insert(&search.label, entries(search, &hits.sets));
    }
    let total = findings.total();
    Ok(ModuleResult {
        foundanything: total > 0,
        success: true,
        elements: to_raw_value(&elements)?,
        statistics: to_raw_value(&Statistics {
            filescount: findings.files,
            openfailed: findings.unopened,
            totalhits: total,
            exectime: duration::text(took),
        })?,
        errors: bounded(findings.errors, searches),
    })
}

/// Returns the result of parameters that make no sense.
pub(super) fn refusal(reason: String) -> Result<ModuleResult, serde_json::Error> {
    let nothing =
        Statistics { filescount: 0, openfailed: 0, totalhits: 0, exectime: String::new() };
    Ok(ModuleResult {
        foundanything: false,
        success: false,
        elements: to_raw_value(&BTreeMap::<&str, ()>::new())?,
        statistics: to_raw_value(&nothing)?,
        errors: vec![reason],
    })
}
