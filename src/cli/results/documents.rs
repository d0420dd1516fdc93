//! Which results documents a job has, and which of them is that of a run.
//!
//! The documents are found where they are, not through records: those go with
//! `[retention] done`, while results are kept. A job that was removed has its later
//! documents in the runner's own folder.

use std::path::{Path, PathBuf};

use super::Failure;
use super::reading;
use crate::cli::hand::Hand;
use crate::disk::FileKind;
use crate::names::{ActionId, JobName, NameError, RunId};
use crate::spool::{Family, Folder, Record};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Document {
    /// The day of the run's slot.
    day: String,
    pub(super) action: ActionId,
    /// How often its results were fetched anew.
    again: u32,
    /// Where it is, relative to the runner's directory.
    pub(super) path: PathBuf,
    /// Whether the place does not tell whose it is.
    shared: bool,
}

impl Document {
    /// Returns the document that a path below a `results` folder names, if it names one.
    fn at(path: PathBuf, shared: bool) -> Option<Document> {
        let day = path.parent()?.file_name()?.to_str()?.to_owned();
        let stem = path.file_name()?.to_str()?.strip_suffix(".json")?;
        let (action, again) = stem.split_once('-').unwrap_or((stem, "0"));
        let action = ActionId(action.parse().ok()?);
        Some(Document { day, action, again: again.parse().ok()?, path, shared })
    }
}

/// Looks for the documents of a job.
#[derive(Debug, Clone, Copy)]
pub(super) struct Documents<'a> {
    pub(super) hand: &'a Hand<'a>,
    pub(super) directory: &'a Path,
    pub(super) job: &'a JobName,
}

impl Documents<'_> {
    /// Returns the document of the last run that has one.
    pub(super) fn last(&self) -> Result<Document, Failure> {
        self.newest(|_| true)?.ok_or_else(|| Failure::NoResults {
            of: format!("of {}", self.job),
            why: "none of its runs has brought any".to_owned(),
        })
    }

    /// Returns the document of the run before.
    pub(super) fn before(&self, document: &Document) -> Result<Option<Document>, Failure> {
        self.newest(|other| other < document && other.action != document.action)
    }

    /// Returns the document of a run, named by its id or that of its action.
    pub(super) fn of(&self, run: &str) -> Result<Document, Failure> {
        let none = |why: String| Failure::NoResults { of: format!("of {run}"), why };
        if let Ok(action) = run.parse() {
            let found = self.newest(|document| document.action == ActionId(action))?;
            return found.ok_or_else(|| none(format!("{} has no such action", self.job)));
        }
        let id: RunId = run.parse().map_err(|error: NameError| none(error.to_string()))?;
        if id.stem() != self.job.as_str() {
            return Err(none(format!("it is no run of {}", self.job)));
        }
        let Some((folder, record)) = self.record(&id)? else {
            return Err(none(self.unknown(&id)?));
        };
        if let Some(why) = unfinished(folder, &record) {
            return Err(none(why));
        }
        let path = PathBuf::from(record.document.unwrap_or_default());
        Document::at(path, false).ok_or_else(|| none("its record names no document".to_owned()))
    }

    /// Returns the run whose document it is, as far as there is a record of it.
    pub(super) fn run(&self, document: &Document) -> Result<Option<Record>, Failure> {
        let view = self.hand.view();
        for folder in Family::Command.folders() {
            for id in view.ids(folder)? {
                let is_near = id.stem() == self.job.as_str() && day(&id) == document.day;
                if is_near
                    && let Some(run) = view.take(folder, &id)?
                    && run.record().document.as_deref() == document.path.to_str()
                {
                    return Ok(Some(run.into_record()));
                }
            }
        }
        Ok(None)
    }

    fn record(&self, id: &RunId) -> Result<Option<(Folder, Record)>, Failure> {
        let view = self.hand.view();
        let run = match view.counting(id, Family::Command)? {
            None => view.counting(id, Family::Action)?,
            some => some,
        };
        Ok(run.map(|run| (run.folder(), run.into_record())))
    }

    /// Says why a run without a record has no results, and which it may be.
    fn unknown(&self, id: &RunId) -> Result<String, Failure> {
        let day = day(id);
        let mut actions = Vec::new();
        for document in self.all()?.into_iter().filter(|document| document.day == day) {
            if self.is_ours(&document)? {
                actions.push(document.action.to_string());
            }
        }
        actions.dedup();
        Ok(if actions.is_empty() {
            "it is not in the spool".to_owned()
        } else {
            format!("its record is gone; name its action, one of {}", actions.join(", "))
        })
    }

    fn newest(&self, wanted: impl Fn(&Document) -> bool) -> Result<Option<Document>, Failure> {
        for document in self.all()?.into_iter().rev().filter(wanted) {
            if self.is_ours(&document)? {
                return Ok(Some(document));
            }
        }
        Ok(None)
    }

    /// Returns all that may be the job's, the oldest first.
    fn all(&self) -> Result<Vec<Document>, Failure> {
        let own = Path::new("runners").join(self.job.as_str()).join("results");
        let mut found = self.below(&own, false)?;
        found.extend(self.below(Path::new("results"), true)?);
        found.sort_unstable();
        Ok(found)
    }

    fn below(&self, results: &Path, shared: bool) -> Result<Vec<Document>, Failure> {
        let mut found = Vec::new();
        for day in self.list(results, FileKind::Folder)? {
            for path in self.list(&day, FileKind::File)? {
                found.extend(Document::at(path, shared));
            }
        }
        Ok(found)
    }

    /// Lists what of a kind is in a folder, none if there is no such folder.
    fn list(&self, folder: &Path, kind: FileKind) -> Result<Vec<PathBuf>, Failure> {
        let full = self.directory.join(folder);
        if self.hand.disk.find(&full)?.is_none() {
            return Ok(Vec::new());
        }
        let entries = self.hand.disk.list(&full)?.into_iter();
        let entries = entries.filter(|entry| entry.kind == kind);
        Ok(entries.map(|entry| folder.join(entry.name)).collect())
    }

    /// Tells whether a document is the job's: in the runner's own folder only it itself tells.
    fn is_ours(&self, document: &Document) -> Result<bool, Failure> {
        if !document.shared {
            return Ok(true);
        }
        let path = self.directory.join(&document.path);
        match reading::read(&self.hand.disk, &path, &mut |_| Ok(())) {
            Ok(name) => Ok(name.as_deref() == Some(self.job.as_str())),
            // Somebody else's file is not in the way.
            Err(Failure::Document { .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

/// Says why a run has no results yet.
fn unfinished(folder: Folder, record: &Record) -> Option<String> {
    if record.fetched.is_some() && record.document.is_some() {
        return None;
    }
    if let Some(newer) = &record.superseded {
        return Some(format!("it was not sent: it was superseded by {newer}"));
    }
    if !record.has_results() {
        return Some("they are left to others (sendonly)".to_owned());
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
    fn documents_are_in_the_order_of_their_actions() {
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
        for none in ["7.json", "r/7.txt", "r/.7.part", "r/x.json", "r/7-x.json"] {
            assert_eq!(at(none), None, "{none}");
        }
    }
}
