//! The results documents that are on disk: `results/YYYYMMDD/ACTIONID.json`, of a
//! job or of the runner's directory, and a link to each in `results/`.
//!
//! A document outlives the record of its run: how long it is kept is asked of the
//! job as it is now, and of the runner's configuration where there is no job.
//!
//! **Invariant.** Only what bears the name of a document goes; a document of a run
//! that is not finished stays.

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

/// How a day is written in the name of its folder.
const DAY_FORMAT: &str = "%Y%m%d";

/// The documents below one `results` folder.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    /// The folder, relative to the runner's directory.
    pub(crate) folder: PathBuf,
    /// How long documents are kept in it.
    pub(crate) keep: Keep,
}

/// Where documents are, and which of them are still needed.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    pub(crate) disk: &'a Disk,
    pub(crate) directory: &'a Path,
    /// Documents of runs that are not finished, relative to the directory.
    pub(crate) needed: &'a BTreeSet<String>,
    pub(crate) now: Timestamp,
}

/// A document, by its day and its path relative to the runner's directory.
#[derive(Debug)]
struct Document {
    end_of_day: Timestamp,
    path: PathBuf,
}

impl Archive<'_> {
    /// Removes the documents of a shelf that are due, the oldest first, with their links, and the
    /// folders of past days that are empty; returns how many documents went.
    ///
    /// # Errors
    /// The disk did not do what it was asked; what is left is removed another time.
    pub(crate) fn prune(&self, shelf: &Shelf) -> Result<usize, DiskError> {
        let days = self.days(&shelf.folder)?;
        let mut removed = 0;
        if let Some(cutoff) = cutoff(shelf.keep, self.now) {
            let documents = self.documents(&days)?;
            let due = due(documents, shelf.keep, self.now, |d| d.end_of_day, |_| "");
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

    /// Returns the folders of days on a shelf, each with the end of its day.
    fn days(&self, shelf: &Path) -> Result<Vec<(Timestamp, PathBuf)>, DiskError> {
        let path = self.directory.join(shelf);
        let found = self.disk.resolve(&path, Some(self.directory))?;
        if found.is_none_or(|found| found.meta.kind != FileKind::Folder) {
            return Ok(Vec::new());
        }
        let entries = self.disk.list(&path)?;
        let folders = entries.into_iter().filter(|entry| entry.kind == FileKind::Folder);
        Ok(folders
            .filter_map(|entry| Some((end_of(&entry.name)?, shelf.join(&entry.name))))
            .collect())
    }

    fn documents(&self, days: &[(Timestamp, PathBuf)]) -> Result<Vec<Document>, DiskError> {
        let mut documents = Vec::new();
        for (end_of_day, day) in days {
            for entry in self.disk.list(&self.directory.join(day))? {
                if entry.kind == FileKind::File && is_document(&entry.name) {
                    let path = day.join(&entry.name);
                    documents.push(Document { end_of_day: *end_of_day, path });
                }
            }
        }
        Ok(documents)
    }

    /// Removes a document that nobody needs and that has not changed since `before`, and its link.
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

/// Returns the end of the day that a folder is named for.
fn end_of(name: &OsStr) -> Option<Timestamp> {
    let text = name.to_str().filter(|text| text.len() == 8)?;
    let day = Date::strptime(DAY_FORMAT, text).ok()?;
    let begin = Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
    Some(after(begin, DAY))
}

/// Tells whether a name is that of a document: `ACTIONID.json`, or `ACTIONID-2.json` and so on.
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
    #![expect(clippy::disallowed_methods, reason = "tests put files where they want")]

    use std::sync::Arc;

    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::disk::{COMMAND_PREFIX, RealFs};

    /// Days of documents: each has one, with a link, and the last also a part.
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
            archive.prune(&Shelf { folder: "runners/j/results".into(), keep }).unwrap()
        }

        /// Returns the numbers of the documents that are there, the links, and the days.
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
    fn documents_go_by_number_or_age_with_their_links_and_empty_days() {
        let rig = Rig::new();
        assert_eq!(rig.prune(Keep::All, 400), 0);
        // Of old days, but written just now.
        assert_eq!(rig.prune(Keep::For(DAY * 30), 2), 0);
        assert_eq!(rig.prune(Keep::Count(2), 0), 0);
        assert_eq!(rig.left(), left("0123", "0123"));
        assert_eq!(rig.prune(Keep::Count(2), 2), 2);
        // Another one's file keeps its folder.
        assert_eq!(rig.left(), left("23", "123"));
        assert_eq!(rig.prune(Keep::For(DAY * 30), 31), 2);
        assert_eq!(rig.left(), left("", "1"));
    }

    #[test]
    fn what_an_unfinished_run_needs_stays() {
        let mut rig = Rig::new();
        rig.needed.insert("runners/j/results/20200101/0.json".to_owned());
        assert_eq!(rig.prune(Keep::Count(0), 2), 3);
        assert_eq!(rig.left(), left("0", "01"));
    }

    #[test]
    fn names_of_documents_and_days_are_told_from_others() {
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
    fn a_shelf_behind_a_link_is_pruned_too() {
        let rig = Rig::new();
        std::fs::rename(rig.path("runners/j/results"), rig.path("kept")).unwrap();
        std::os::unix::fs::symlink("../../kept", rig.path("runners/j/results")).unwrap();
        assert_eq!(rig.prune(Keep::Count(1), 2), 3);
        // One day has a file of somebody else's.
        assert_eq!(rig.left(), ("3".to_owned(), "3".to_owned(), "13".to_owned()));
    }
}
