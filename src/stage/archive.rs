//! The results documents on disk: `results/YYYYMMDD/ACTIONID.json` of a job or of the runner's
//! directory, and a link to each of them in `results/`.
//!
//! A document outlives the record of its run. How long it is kept therefore depends on the job as
//! it is configured now, or on the runner's configuration if the job no longer exists.
//!
//! **Invariant.** Only files with the name of a document are removed, and no document of an
//! unfinished run.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use super::prune::{DAY, cutoff, due};
use crate::clock::{after, before};
use crate::config::duration::Keep;
use crate::disk::{Disk, DiskError, FileKind};

/// Format of the day in a folder's name.
const DAY_FORMAT: &str = "%Y%m%d";

/// A folder `results` with documents below it.
#[derive(Debug, Clone)]
pub(crate) struct ResultsFolder {
    /// Relative to the runner's directory.
    pub(crate) folder: PathBuf,
    /// How long its documents are kept.
    pub(crate) keep: Keep,
}

/// The documents below the runner's directory.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    pub(crate) disk: &'a Disk,
    pub(crate) directory: &'a Path,
    /// Paths of the documents of unfinished runs, relative to the directory.
    pub(crate) needed: &'a BTreeSet<String>,
    pub(crate) now: Timestamp,
}

#[derive(Debug)]
struct ArchivedDocument {
    end_of_day: Timestamp,
    /// Relative to the runner's directory.
    path: PathBuf,
}

impl Archive<'_> {
    /// Removes the expired documents of a folder, the oldest first, with their links, and the empty
    /// folders of past days. Returns the number of removed documents. Files left after an error are
    /// removed by the next call.
    pub(crate) fn prune(&self, results: &ResultsFolder) -> Result<usize, DiskError> {
        let days = self.days(&results.folder)?;
        let mut removed = 0;
        if let Some(cutoff) = cutoff(results.keep, self.now) {
            let documents = self.documents(&days)?;
            let due = due(documents, results.keep, self.now, |d| d.end_of_day, |_| "");
            for document in due {
                removed += usize::from(self.remove(&document.path, cutoff)?);
            }
        }
        // Yesterday's folder may still be written to.
        let past = before(self.now, DAY);
        for (_, day) in days.iter().filter(|(end, _)| *end <= past) {
            self.disk.remove_folder(&self.directory.join(day))?;
        }
        Ok(removed)
    }

    /// Returns the day folders of `results`, each with the end of its day.
    fn days(&self, results: &Path) -> Result<Vec<(Timestamp, PathBuf)>, DiskError> {
        let path = self.directory.join(results);
        let found = self.disk.resolve(&path, Some(self.directory))?;
        if found.is_none_or(|found| found.meta.kind != FileKind::Folder) {
            return Ok(Vec::new());
        }
        let entries = self.disk.list(&path)?;
        let folders = entries.into_iter().filter(|entry| entry.kind == FileKind::Folder);
        Ok(folders
            .filter_map(|entry| Some((end_of(&entry.name)?, results.join(&entry.name))))
            .collect())
    }

    fn documents(&self, days: &[(Timestamp, PathBuf)]) -> Result<Vec<ArchivedDocument>, DiskError> {
        let mut documents = Vec::new();
        for (end_of_day, day) in days {
            for entry in self.disk.list(&self.directory.join(day))? {
                if entry.kind == FileKind::File && is_document(&entry.name) {
                    let path = day.join(&entry.name);
                    documents.push(ArchivedDocument { end_of_day: *end_of_day, path });
                }
            }
        }
        Ok(documents)
    }

    /// Removes a document that is not needed and has not changed since `before`, and its link.
    fn remove(&self, document: &Path, before: Timestamp) -> Result<bool, DiskError> {
        if self.needed.contains(document.to_string_lossy().as_ref()) {
            return Ok(false);
        }
        let path = self.directory.join(document);
        let Some(meta) = self.disk.find(&path)? else { return Ok(false) };
        if meta.modified >= before {
            return Ok(false);
        }
        self.disk.unlink(&path)?;
        if let Some(name) = document.file_name() {
            let link = self.directory.join("results").join(name);
            if self.disk.find(&link)?.is_some_and(|meta| meta.kind == FileKind::Link) {
                self.disk.unlink(&link)?;
            }
        }
        Ok(true)
    }
}

/// Returns the end of the day in a folder's name.
fn end_of(name: &OsStr) -> Option<Timestamp> {
    let text = name.to_str().filter(|text| text.len() == 8)?;
    let day = Date::strptime(DAY_FORMAT, text).ok()?;
    let begin = Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
    Some(after(begin, DAY))
}

/// Returns whether a name is that of a document: `ACTIONID.json`, `ACTIONID-2.json` and so on.
fn is_document(name: &OsStr) -> bool {
    let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".json")) else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match stem.split_once('-') {
        Some((id, number)) => is_number(id) && is_number(number),
        None => is_number(stem),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests create the files of each case")]

    use std::sync::Arc;

    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::disk::{COMMAND_PREFIX, RealFs};

    /// Days of documents; each day has one document with a link, and the second day a foreign file.
    const DAYS: [&str; 4] = ["20200101", "20200102", "20200103", "20200104"];

    struct Rig {
        folder: tempfile::TempDir,
        disk: Disk,
        needed: BTreeSet<String>,
    }

    impl Rig {
        fn new() -> Rig {
            let folder = tempfile::tempdir().unwrap();
            let disk = Disk::new(Arc::new(RealFs), folder.path().join("unused"), COMMAND_PREFIX);
            let rig = Rig { folder, disk, needed: BTreeSet::new() };
            for (number, day) in DAYS.iter().enumerate() {
                let path = rig.path(&format!("runners/j/results/{day}"));
                std::fs::create_dir_all(&path).unwrap();
                std::fs::write(path.join(format!("{number}.json")), "{}").unwrap();
                std::fs::create_dir_all(rig.path("results")).unwrap();
                let target = format!("../runners/j/results/{day}/{number}.json");
                std::os::unix::fs::symlink(target, rig.path(&format!("results/{number}.json")))
                    .unwrap();
            }
            std::fs::write(rig.path("runners/j/results/20200102/notes"), "mine").unwrap();
            rig
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn prune(&self, keep: Keep, days_later: u32) -> usize {
            let now = after(SystemClock.now(), DAY * days_later);
            let (disk, directory) = (&self.disk, self.folder.path());
            let archive = Archive { disk, directory, needed: &self.needed, now };
            archive.prune(&ResultsFolder { folder: "runners/j/results".into(), keep }).unwrap()
        }

        /// Returns the numbers of the existing documents, links and days.
        fn left(&self) -> (String, String, String) {
            let is_there = |path: String| self.path(&path).symlink_metadata().is_ok();
            let numbers = |kind: &str| {
                let all = DAYS.iter().enumerate();
                let there = all.filter(|(number, day)| match kind {
                    "documents" => is_there(format!("runners/j/results/{day}/{number}.json")),
                    "links" => is_there(format!("results/{number}.json")),
                    _ => is_there(format!("runners/j/results/{day}")),
                });
                there.map(|(number, _)| number.to_string()).collect()
            };
            (numbers("documents"), numbers("links"), numbers("days"))
        }
    }

    fn left(documents: &str, days: &str) -> (String, String, String) {
        (documents.to_owned(), documents.to_owned(), days.to_owned())
    }

    #[test]
    fn documents_are_removed_by_count_or_age_with_links_and_empty_days() {
        let rig = Rig::new();
        assert_eq!(rig.prune(Keep::All, 400), 0);
        // The days are old, but the files were written just now.
        assert_eq!(rig.prune(Keep::For(DAY * 30), 2), 0);
        assert_eq!(rig.prune(Keep::Count(2), 0), 0);
        assert_eq!(rig.left(), left("0123", "0123"));
        assert_eq!(rig.prune(Keep::Count(2), 2), 2);
        // The foreign file keeps its folder.
        assert_eq!(rig.left(), left("23", "123"));
        assert_eq!(rig.prune(Keep::For(DAY * 30), 31), 2);
        assert_eq!(rig.left(), left("", "1"));
    }

    #[test]
    fn document_of_an_unfinished_run_is_kept() {
        let mut rig = Rig::new();
        rig.needed.insert("runners/j/results/20200101/0.json".to_owned());
        assert_eq!(rig.prune(Keep::Count(0), 2), 3);
        assert_eq!(rig.left(), left("0", "01"));
    }

    #[test]
    fn names_of_documents_and_days_are_recognised() {
        for good in ["1.json", "28052764426376.json", "7-2.json"] {
            assert!(is_document(good.as_ref()), "{good}");
        }
        for bad in [".json", "x.json", "7.json.bak", ".7.part", "7-.json", "-2.json", "7"] {
            assert!(!is_document(bad.as_ref()), "{bad}");
        }
        assert!(end_of("20200229".as_ref()).is_some());
        for bad in ["20200230", "2020010", "20200101x", "+2020010", "today"] {
            assert_eq!(end_of(bad.as_ref()), None, "{bad}");
        }
    }

    #[test]
    fn results_folder_behind_a_link_is_pruned() {
        let rig = Rig::new();
        std::fs::rename(rig.path("runners/j/results"), rig.path("kept")).unwrap();
        std::os::unix::fs::symlink("../../kept", rig.path("runners/j/results")).unwrap();
        assert_eq!(rig.prune(Keep::Count(1), 2), 3);
        // The second day has a foreign file.
        assert_eq!(rig.left(), ("3".to_owned(), "3".to_owned(), "13".to_owned()));
    }
}
