//! Finds the results documents of a job, and the document of a run.
//!
//! Documents are found on the disk, not through records: records are removed after `[retention]
//! done`, while results are kept. Documents that arrived after their job was removed are in the
//! runner's own `results` folder.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::reading::{self, InvalidDocument};
use crate::cli::failure::{Explain, Failure};
use crate::cli::runner::spool_access::SpoolAccess;
use crate::disk::FileKind;
use crate::exit::Exit;
use crate::names::{ActionId, JobName, NameError, RunId};
use crate::spool::{Family, Folder, Record};

/// The files and folders that could not be read. They do not hide the others.
#[derive(Debug, Default)]
pub(super) struct Unread(RefCell<Vec<Failure>>);

impl Unread {
    /// Returns the value of a success, or notes the failure.
    fn noted<T>(&self, read: Result<T, impl Into<Failure>>) -> Option<T> {
        read.map_err(|failure| self.0.borrow_mut().push(failure.into())).ok()
    }

    pub(super) fn into_failures(self) -> Vec<Failure> {
        self.0.into_inner()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("there are no results of {of}: {why}")]
pub(super) struct NoResults {
    /// The run or job.
    of: String,
    why: String,
}

impl Explain for NoResults {
    fn exit(&self) -> Exit {
        Exit::NoInput
    }
}

/// A results document; the order is that of the actions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Document {
    /// The day of the run's slot.
    day: String,
    pub(super) action: ActionId,
    /// Number of the repeated fetch that created it; 0 for the first fetch.
    refetch: u32,
    /// The path relative to the runner's directory.
    pub(super) path: PathBuf,
    /// Whether it is in the folder of all jobs, so that only its contents name its job.
    shared: bool,
}

impl Document {
    /// Returns the document at a path below a `results` folder, if the path is that of a document.
    fn at(path: PathBuf, shared: bool) -> Option<Document> {
        let day = path.parent()?.file_name()?.to_str()?.to_owned();
        let stem = path.file_name()?.to_str()?.strip_suffix(".json")?;
        let (action, refetch) = stem.split_once('-').unwrap_or((stem, "0"));
        let action = ActionId(action.parse().ok()?);
        Some(Document { day, action, refetch: refetch.parse().ok()?, path, shared })
    }
}

/// The documents of a job.
#[derive(Debug, Clone, Copy)]
pub(super) struct Documents<'a> {
    pub(super) spool: &'a SpoolAccess<'a>,
    pub(super) directory: &'a Path,
    pub(super) job: &'a JobName,
    pub(super) unread: &'a Unread,
}

impl Documents<'_> {
    /// Returns the document of the last run that has one.
    pub(super) fn last(&self) -> Option<Document> {
        self.newest(|_| true)
    }

    /// Returns the failure for a job without documents.
    pub(super) fn no_results(&self) -> NoResults {
        NoResults { of: self.job.to_string(), why: "no run has completed yet".to_owned() }
    }

    /// Returns the document of the previous run.
    pub(super) fn previous(&self, document: &Document) -> Option<Document> {
        self.newest(|other| other < document && other.action != document.action)
    }

    /// Returns the document of a run, which is named by its id or by the id of its action.
    pub(super) fn of(&self, run: &str) -> Result<Document, Failure> {
        let none = |why: String| NoResults { of: run.to_owned(), why };
        if let Ok(action) = run.parse() {
            let found = self.newest(|document| document.action == ActionId(action));
            return Ok(found.ok_or_else(|| none(format!("{} has no such action", self.job)))?);
        }
        let id: RunId = run.parse().map_err(|error: NameError| none(error.to_string()))?;
        if id.stem() != self.job.as_str() {
            return Err(none(format!("it is not a run of {}", self.job)).into());
        }
        let Some((folder, record)) = self.record(&id)? else {
            return Err(none(self.why_unknown(&id)).into());
        };
        if let Some(why) = unfinished(folder, &record) {
            return Err(none(why).into());
        }
        let path = PathBuf::from(record.document.unwrap_or_default());
        let document = Document::at(path, false);
        Ok(document.ok_or_else(|| none("its record names no document".to_owned()))?)
    }

    /// Returns the record of the run that a document belongs to, if it still exists.
    pub(super) fn run(&self, document: &Document) -> Result<Option<Record>, Failure> {
        let view = self.spool.report_view();
        for folder in Family::Command.folders() {
            for id in self.unread.noted(view.ids(folder)).unwrap_or_default() {
                let may_match = id.stem() == self.job.as_str() && day(&id) == document.day;
                if may_match
                    && let Some(run) = view.read_run(folder, &id)?
                    && run.record().document.as_deref() == document.path.to_str()
                {
                    return Ok(Some(run.into_record()));
                }
            }
        }
        Ok(None)
    }

    fn record(&self, id: &RunId) -> Result<Option<(Folder, Record)>, Failure> {
        let view = self.spool.report_view();
        let run = match view.counting(id, Family::Command)? {
            None => view.counting(id, Family::Action)?,
            some => some,
        };
        Ok(run.map(|run| (run.folder(), run.into_record())))
    }

    /// Returns why a run without a record has no results, and the actions that it may have had.
    fn why_unknown(&self, id: &RunId) -> String {
        let day = day(id);
        let mut actions = Vec::new();
        for document in self.all().into_iter().filter(|document| document.day == day) {
            if self.belongs_to_job(&document) {
                actions.push(document.action.to_string());
            }
        }
        actions.dedup();
        if actions.is_empty() {
            "it is not in the spool".to_owned()
        } else {
            format!(
                "its record was removed; name its action instead, one of {}",
                actions.join(", ")
            )
        }
    }

    fn newest(&self, wanted: impl Fn(&Document) -> bool) -> Option<Document> {
        let mut wanted = self.all().into_iter().rev().filter(wanted);
        wanted.find(|document| self.belongs_to_job(document))
    }

    /// Returns all documents that may belong to the job, the oldest first.
    fn all(&self) -> Vec<Document> {
        let own = Path::new("runners").join(self.job.as_str()).join("results");
        let mut found = self.below(&own, false);
        found.extend(self.below(Path::new("results"), true));
        found.sort_unstable();
        found
    }

    fn below(&self, results: &Path, shared: bool) -> Vec<Document> {
        let list = |folder: &Path, kind| {
            self.unread.noted(self.list(folder, kind)).unwrap_or_default().into_iter()
        };
        let days = list(results, FileKind::Folder);
        let paths = days.flat_map(|day| list(&day, FileKind::File));
        paths.filter_map(|path| Document::at(path, shared)).collect()
    }

    /// Returns the entries of one kind in a folder, or none if the folder does not exist.
    fn list(&self, folder: &Path, kind: FileKind) -> Result<Vec<PathBuf>, Failure> {
        let full = self.directory.join(folder);
        if self.spool.disk.find(&full)?.is_none() {
            return Ok(Vec::new());
        }
        let entries = self.spool.disk.list(&full)?.into_iter();
        let entries = entries.filter(|entry| entry.kind == kind);
        Ok(entries.map(|entry| folder.join(entry.name)).collect())
    }

    /// Returns whether a document belongs to the job.
    fn belongs_to_job(&self, document: &Document) -> bool {
        if !document.shared {
            return true;
        }
        let path = self.directory.join(&document.path);
        match reading::read(&self.spool.disk, &path, &mut |_| Ok(())) {
            // Another user's file must not prevent finding the documents.
            Err(failure) if failure.downcast_ref::<InvalidDocument>().is_some() => false,
            read => self.unread.noted(read).flatten().as_deref() == Some(self.job.as_str()),
        }
    }
}

/// Returns why a run has no results yet.
fn unfinished(folder: Folder, record: &Record) -> Option<String> {
    if record.fetched.is_some() && record.document.is_some() {
        return None;
    }
    if let Some(newer) = &record.superseded {
        return Some(format!("it was not sent: superseded by {newer}"));
    }
    if !record.has_results() {
        return Some("they are not fetched (sendonly)".to_owned());
    }
    Some(match record.reason.as_ref().or(record.error.as_ref()) {
        Some(text) => format!("it is in {folder}: {text}"),
        None => format!("it is in {folder}"),
    })
}

fn day(id: &RunId) -> String {
    jiff::tz::Offset::UTC.to_datetime(id.slot()).strftime("%Y%m%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_ordered_by_day_and_action() {
        let at = |path: &str| Document::at(path.into(), false);
        let mut documents: Vec<Document> = [
            "r/20261122/9.json",
            "r/20261122/10-2.json",
            "r/20261121/11.json",
            "r/20261122/10.json",
        ]
        .iter()
        .filter_map(|path| at(path))
        .collect();
        documents.sort_unstable();
        let paths: Vec<_> = documents.iter().filter_map(|found| found.path.to_str()).collect();
        let sorted = [
            "r/20261121/11.json",
            "r/20261122/9.json",
            "r/20261122/10.json",
            "r/20261122/10-2.json",
        ];
        assert_eq!(paths, sorted);
        for other in ["7.json", "r/7.txt", "r/.7.part", "r/x.json", "r/7-x.json"] {
            assert_eq!(at(other), None, "{other}");
        }
    }
}
