//! The walk over all that the searches are to look at.
//!
//! All searches walk together, so that a folder is listed and a file counted once
//! however many of them want it. Each folder comes with the searches that are
//! active in it, and the level that it has for each: a search becomes active at its
//! own path, at level 1, and rests where its levels end. In a folder its files come
//! first, then its folders, by name.
//!
//! Symbolic links to folders are never followed, so that the walk ends. A link to a
//! file stands for the file: under the link's name within a folder, under its own
//! where the link was the path to search.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::reason::reason;
use super::clean::join;
use super::findings::{Files, Findings};
use super::judge::{Candidate, judge};
use super::link;
use super::search::Search;
use super::source::{Links, Source};

/// A search in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Active {
    search: usize,
    /// The folder's level: 1 is the path that was to be searched.
    level: u64,
}

/// A folder to be walked.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    active: Vec<Active>,
}

/// Looks at everything that `searches` are for.
pub(super) fn walk(searches: &[Search]) -> Findings {
    let mut roots: BTreeMap<PathBuf, BTreeSet<usize>> = BTreeMap::new();
    for (index, search) in searches.iter().enumerate() {
        for root in &search.roots {
            roots.entry(root.clone()).or_default().insert(index);
        }
    }
    let mut walk =
        Walk { searches, roots: &roots, met: BTreeSet::new(), findings: Findings::new(searches) };
    // A path comes after those that it lies within, and may have been met with them.
    for (root, searches) in &roots {
        if !walk.met.contains(root.as_path()) {
            walk.root(root, searches);
        }
    }
    walk.findings
}

struct Walk<'a> {
    searches: &'a [Search],
    /// The paths to search, and the searches that are to look there.
    roots: &'a BTreeMap<PathBuf, BTreeSet<usize>>,
    /// Those of them that the walk has come to.
    met: BTreeSet<&'a Path>,
    findings: Findings,
}

impl<'a> Walk<'a> {
    /// Looks at a path that was to be searched.
    fn root(&mut self, root: &'a Path, searches: &BTreeSet<usize>) {
        let active: Vec<Active> =
            searches.iter().map(|search| Active { search: *search, level: 1 }).collect();
        let (link, meta) = match look(root) {
            Ok(found) => found,
            Err(error) => return self.lost(root, &error),
        };
        match (link, meta.is_dir()) {
            (false, true) => self.tree(Folder { path: root.to_owned(), active }),
            (true, true) => {
                let target = link::resolve(root).unwrap_or_else(|_| root.to_owned());
                self.findings.errors.push(format!(
                    "warning: {} is a link to {} and was not followed",
                    root.display(),
                    target.display()
                ));
                self.file(&Candidate::new(root.to_owned(), Links::Follow), &active);
            }
            (_, false) => self.file_root(root, link, &active),
        }
    }

    /// Looks at a file that was itself the path to be searched.
    fn file_root(&mut self, root: &Path, link: bool, active: &[Active]) {
        if let Err(error) = Source::open(root, Links::Follow, false) {
            return self.findings.unopened(format!("ERROR: {error}"));
        }
        let path = if link { link::resolve(root) } else { Ok(root.to_owned()) };
        match path {
            Ok(path) => self.file(&Candidate::new(path, Links::Refuse), active),
            Err(error) => self.findings.unopened(format!("ERROR: followSymLink() -> {error}")),
        }
    }

    /// Walks a folder and all below it.
    fn tree(&mut self, root: Folder) {
        // On a stack of our own: how deep folders go is not for us to say.
        let mut todo = vec![root];
        while let Some(folder) = todo.pop() {
            let wanted = folder.active.iter().any(|active| !self.is_full(active.search));
            if !wanted {
                continue;
            }
            let mut below = self.folder(&folder);
            // The last one in is the first one out.
            below.reverse();
            todo.append(&mut below);
        }
    }

    /// Looks at the files of a folder and returns the folders in it that are to be walked.
    fn folder(&mut self, folder: &Folder) -> Vec<Folder> {
        let entries = match list(&folder.path) {
            Ok(entries) => entries,
            Err(error) => {
                let at_root = folder.active.iter().all(|active| active.level == 1);
                let slash = if at_root { "" } else { "/" };
                let path = folder.path.display();
                let reason = reason(&error);
                self.findings.unopened(format!("ERROR: open {path}{slash}: {reason}"));
                return Vec::new();
            }
        };
        let mut below = Vec::new();
        for (name, kind) in entries {
            let path = join(&folder.path, &name);
            let kind = match kind {
                Ok(kind) => kind,
                Err(error) => {
                    let reason = reason(&error);
                    self.findings.unopened(format!("ERROR: lstat {}: {reason}", path.display()));
                    continue;
                }
            };
            if kind.is_dir() {
                let active = self.below(&folder.active, &path);
                if !active.is_empty() {
                    below.push(Folder { path, active });
                }
            } else if kind.is_file() {
                let mut active = folder.active.clone();
                self.join(&mut active, &path);
                self.file(&Candidate::new(path, Links::Refuse), &active);
            } else if kind.is_symlink() {
                self.link(path, &folder.active);
            }
        }
        below
    }

    /// Returns the searches that are active in a folder below one where `active` are.
    fn below(&mut self, active: &[Active], path: &Path) -> Vec<Active> {
        let deeper = active.iter().filter_map(|Active { search, level }| {
            let level = level.saturating_add(1);
            let depth_max = self.searches.get(*search).and_then(|search| search.depth_max);
            depth_max.is_none_or(|max| level <= max).then_some(Active { search: *search, level })
        });
        let mut active: Vec<Active> = deeper.collect();
        self.join(&mut active, path);
        active
    }

    /// Adds the searches that begin at `path`.
    fn join(&mut self, active: &mut Vec<Active>, path: &Path) {
        let Some((root, searches)) = self.roots.get_key_value(path) else {
            return;
        };
        self.met.insert(root);
        for search in searches {
            active.retain(|other| other.search != *search);
            active.push(Active { search: *search, level: 1 });
        }
    }

    /// Looks at a symbolic link in a folder.
    fn link(&mut self, path: PathBuf, active: &[Active]) {
        let error = match fs::metadata(&path) {
            Ok(meta) if meta.is_file() => {
                return self.file(&Candidate::new(path, Links::Follow), active);
            }
            Ok(_) => return,
            Err(error) => error,
        };
        let why = match link::resolve(&path) {
            Err(error) => error.to_string(),
            Ok(_) => format!("stat {}: {}", path.display(), reason(&error)),
        };
        self.findings.unopened(format!("ERROR: followSymLink() -> {why}"));
    }

    /// Has a file judged by each search that still wants hits.
    fn file(&mut self, candidate: &Candidate, active: &[Active]) {
        self.findings.files += 1;
        let mut told: Vec<String> = Vec::new();
        for Active { search: index, .. } in active {
            if self.is_full(*index) {
                continue;
            }
            let Some(search) = self.searches.get(*index) else {
                continue;
            };
            let judgement = judge(candidate, search);
            if let (Some(info), Some(hits)) = (judgement.info, self.findings.hits.get_mut(*index)) {
                let path = candidate.path.as_os_str().as_bytes();
                let sets = hits.sets.iter_mut().zip(judgement.passed).filter(|(_, passed)| *passed);
                sets.for_each(|(set, _): (&mut Files, _)| {
                    set.insert(path.to_owned(), info.clone());
                });
            }
            for error in judgement.errors {
                let text = error.to_string();
                // What two searches could not read is told once.
                if told.contains(&text) {
                    continue;
                }
                told.push(text.clone());
                if error.is_open() {
                    self.findings.unopened(text);
                } else {
                    self.findings.errors.push(text);
                }
            }
        }
    }

    /// Tells whether a search has as many hits as it wants.
    fn is_full(&self, search: usize) -> bool {
        let hits_max = self.searches.get(search).and_then(|search| search.hits_max);
        let hits = self.findings.hits.get(search);
        hits_max.zip(hits).is_some_and(|(max, hits)| hits.count() >= max)
    }

    fn lost(&mut self, path: &Path, error: &io::Error) {
        self.findings.unopened(format!("ERROR: open {}: {}", path.display(), reason(error)));
    }
}

/// Returns whether a path is a link, and what is at its end.
fn look(path: &Path) -> io::Result<(bool, Metadata)> {
    let link = fs::symlink_metadata(path)?.is_symlink();
    Ok((link, fs::metadata(path)?))
}

/// Returns the entries of a folder, by name, with what they are.
fn list(folder: &Path) -> io::Result<Vec<(OsString, io::Result<FileType>)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        entries.push((entry.file_name(), entry.file_type()));
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}
