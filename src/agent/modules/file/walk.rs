//! The walk over all paths of the searches.
//!
//! All searches walk together, so that a folder is listed and a file counted once, however many
//! searches cover it. Each folder has the searches that are active in it, with its level for each:
//! a search becomes active at its own path, at level 1, and ends at its maximum depth. Within a
//! folder, files come first, then folders, by name.
//!
//! Symbolic links to folders are never followed, so the walk ends. A link to a file stands for the
//! file: within a folder it is listed under the link's name, as a search path under the target's.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::evaluate::{CandidateFile, evaluate};
use super::findings::{FileFindings, FoundFiles};
use super::link::{self, LinkError};
use super::source::{Links, Source};
use crate::chain::Chain;
use crate::modules::file::Search;

#[derive(Debug, thiserror::Error)]
enum WalkError {
    #[error("cannot open {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot list {}", path.display())]
    List { path: PathBuf, source: io::Error },
    #[error("cannot inspect {}", path.display())]
    Inspect { path: PathBuf, source: io::Error },
    #[error("cannot follow link {}", path.display())]
    Follow { path: PathBuf, source: LinkError },
}

/// A search that is active in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ActiveSearch {
    index: usize,
    /// The folder's level: 1 is the path of the search.
    level: u64,
}

/// A folder to walk.
#[derive(Debug)]
struct WalkFolder {
    path: PathBuf,
    active: Vec<ActiveSearch>,
}

/// Evaluates all files that `searches` cover.
pub(super) fn walk(searches: &[Search]) -> FileFindings {
    let mut roots: BTreeMap<PathBuf, BTreeSet<usize>> = BTreeMap::new();
    for (index, search) in searches.iter().enumerate() {
        for path in &search.parameters.paths {
            roots.entry(PathBuf::from(path)).or_default().insert(index);
        }
    }
    let findings = FileFindings::new(searches);
    let mut walk = Walk { searches, roots: &roots, visited: BTreeSet::new(), findings };
    // A path comes after the paths that contain it, and may have been visited with them.
    for (root, searches) in &roots {
        if !walk.visited.contains(root.as_path()) {
            walk.root(root, searches);
        }
    }
    walk.findings
}

struct Walk<'a> {
    searches: &'a [Search],
    /// The search paths, with the searches that start there.
    roots: &'a BTreeMap<PathBuf, BTreeSet<usize>>,
    /// The search paths that the walk has reached.
    visited: BTreeSet<&'a Path>,
    findings: FileFindings,
}

impl<'a> Walk<'a> {
    /// Walks one search path.
    fn root(&mut self, root: &'a Path, searches: &BTreeSet<usize>) {
        let first_level = |index: &usize| ActiveSearch { index: *index, level: 1 };
        let active: Vec<ActiveSearch> = searches.iter().map(first_level).collect();
        let inspected = fs::symlink_metadata(root)
            .and_then(|itself| Ok((itself.is_symlink(), fs::metadata(root)?.is_dir())));
        let path = || root.to_owned();
        match inspected {
            Err(source) => self.findings.add_unopened(&WalkError::Open { path: path(), source }),
            Ok((false, true)) => self.tree(WalkFolder { path: path(), active }),
            Ok((true, true)) => {
                let target = link::resolve(root).unwrap_or_else(|_| path());
                self.findings.errors.push(format!(
                    "warning: did not follow link {} to folder {}",
                    root.display(),
                    target.display()
                ));
                self.file(&CandidateFile::new(path(), Links::Follow), &active);
            }
            Ok((is_link, false)) => self.file_root(root, is_link, &active),
        }
    }

    /// Evaluates a search path that is a file.
    fn file_root(&mut self, root: &Path, is_link: bool, active: &[ActiveSearch]) {
        if let Err(error) = Source::open(root, Links::Follow, false) {
            return self.findings.add_unopened(&error);
        }
        let path = if is_link { link::resolve(root) } else { Ok(root.to_owned()) };
        match path {
            Ok(path) => self.file(&CandidateFile::new(path, Links::Refuse), active),
            Err(source) => {
                let path = root.to_owned();
                self.findings.add_unopened(&WalkError::Follow { path, source });
            }
        }
    }

    /// Walks a folder and all folders below it.
    fn tree(&mut self, root: WalkFolder) {
        // A stack of our own, because folders can be nested too deeply for recursion.
        let mut todo = vec![root];
        while let Some(folder) = todo.pop() {
            let is_needed = folder.active.iter().any(|active| !self.is_full(active.index));
            if is_needed {
                let below = self.folder(&folder);
                // Reversed, so that the first folder is taken first.
                todo.extend(below.into_iter().rev());
            }
        }
    }

    /// Evaluates the files of a folder and returns the folders in it that are to be walked.
    fn folder(&mut self, folder: &WalkFolder) -> Vec<WalkFolder> {
        let entries = match list(&folder.path) {
            Ok(entries) => entries,
            Err(source) => {
                let path = folder.path.clone();
                self.findings.add_unopened(&WalkError::List { path, source });
                return Vec::new();
            }
        };
        let mut below = Vec::new();
        for (name, kind) in entries {
            let path = match folder.path.as_os_str().as_bytes() {
                b"." => PathBuf::from(name),
                _ => folder.path.join(name),
            };
            let kind = match kind {
                Ok(kind) => kind,
                Err(source) => {
                    self.findings.add_unopened(&WalkError::Inspect { path, source });
                    continue;
                }
            };
            if kind.is_dir() {
                let active = self.active_below(&folder.active, &path);
                if !active.is_empty() {
                    below.push(WalkFolder { path, active });
                }
            } else if kind.is_file() {
                let mut active = folder.active.clone();
                self.activate(&mut active, &path);
                self.file(&CandidateFile::new(path, Links::Refuse), &active);
            } else if kind.is_symlink() {
                self.link(path, &folder.active);
            }
        }
        below
    }

    /// Returns the searches that are active in the folder `path`, directly below a folder where
    /// `active` are.
    fn active_below(&mut self, active: &[ActiveSearch], path: &Path) -> Vec<ActiveSearch> {
        let deeper = active.iter().filter_map(|ActiveSearch { index, level }| {
            let level = level.saturating_add(1);
            let depth_max = self.searches.get(*index).and_then(|search| search.depth_max);
            depth_max
                .is_none_or(|max| level <= max)
                .then_some(ActiveSearch { index: *index, level })
        });
        let mut active: Vec<ActiveSearch> = deeper.collect();
        self.activate(&mut active, path);
        active
    }

    /// Adds the searches that start at `path`, and marks that path as visited.
    fn activate(&mut self, active: &mut Vec<ActiveSearch>, path: &Path) {
        let Some((root, searches)) = self.roots.get_key_value(path) else {
            return;
        };
        self.visited.insert(root);
        for index in searches {
            active.retain(|other| other.index != *index);
            active.push(ActiveSearch { index: *index, level: 1 });
        }
    }

    /// Evaluates the target of a symbolic link in a folder, if it is a file.
    fn link(&mut self, path: PathBuf, active: &[ActiveSearch]) {
        match fs::metadata(&path) {
            Ok(target) if target.is_file() => {
                self.file(&CandidateFile::new(path, Links::Follow), active);
            }
            Ok(_) => {}
            Err(source) => {
                let inspect = |_| LinkError::Inspect { path: path.clone(), source };
                let source = link::resolve(&path).map_or_else(|error| error, inspect);
                self.findings.add_unopened(&WalkError::Follow { path, source });
            }
        }
    }

    /// Evaluates a file for each search that still needs hits.
    fn file(&mut self, file: &CandidateFile, active: &[ActiveSearch]) {
        self.findings.files += 1;
        let mut reported: Vec<String> = Vec::new();
        for ActiveSearch { index, .. } in active {
            if self.is_full(*index) {
                continue;
            }
            let Some(search) = self.searches.get(*index) else {
                continue;
            };
            let evaluation = evaluate(file, search);
            if let (Some(info), Some(hits)) = (evaluation.info, self.findings.hits.get_mut(*index))
            {
                let path = file.path.as_os_str().as_bytes();
                let sets = hits.sets.iter_mut().zip(evaluation.passed);
                sets.filter(|(_, passed)| *passed).for_each(|(set, _): (&mut FoundFiles, _)| {
                    set.insert(path.to_owned(), info.clone());
                });
            }
            for error in evaluation.errors {
                let text = Chain(&error as &(dyn Error + 'static)).to_string();
                // An error that several searches have in common is reported once.
                if reported.contains(&text) {
                    continue;
                }
                if error.counts_as_unopened() {
                    self.findings.unopened += 1;
                }
                self.findings.errors.push(text.clone());
                reported.push(text);
            }
        }
    }

    /// Returns whether a search has reached its limit of hits.
    fn is_full(&self, index: usize) -> bool {
        let hits_max = self.searches.get(index).and_then(|search| search.hits_max);
        let hits = self.findings.hits.get(index);
        hits_max.zip(hits).is_some_and(|(max, hits)| hits.count() >= max)
    }
}

/// Returns the entries of a folder with their types, by name.
fn list(folder: &Path) -> io::Result<Vec<(OsString, io::Result<FileType>)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        entries.push((entry.file_name(), entry.file_type()));
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}
