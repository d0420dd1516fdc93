//! `command/ready` and `command/inflight`: fetches the results of an action.
//!
//! A fetch that stops half way keeps the pages that it has. A document that has
//! its final name is complete, so that a fetch which finds it is over.

mod verdict;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::Offset;

use super::document::{DocumentError, Part, part_path};
use super::pages::{self, End, Reader};
use super::{Move, Past, Step, Work, grace};
use crate::action::{Summary, document};
use crate::api::{Api, ApiError, Seen};
use crate::clock::{Clock, after};
use crate::disk::{Disk, DiskError, FileKind};
use crate::names::ActionId;
use crate::spool::{DeliveryState, Record, Transition};
use crate::wake::Stop;
pub(crate) use verdict::fetched;
use verdict::pause_of;
pub(super) use verdict::unanswered;

/// The platform's word for an action that no agent was sent.
pub(super) const INVALID: &str = "invalid";
/// What that means to who wrote the action.
pub(super) const NO_AGENT: &str = "no agent matched the target";
/// How many documents of one action there may be, after fetching anew.
const DOCUMENTS_MAX: u32 = 1000;

/// Says what is to be done with a run in `command/inflight`.
pub(crate) fn decide(record: &Record, now: Timestamp, past: Past, giveup: Duration) -> Step {
    let (Some(_), Some(_), Some(_)) = (&record.action_id, &record.document, record.collected)
    else {
        return Step::Reject(
            "it lacks what a fetch needs: move a run to command/ready to fetch its results"
                .to_owned(),
        );
    };
    if record.reason.is_some() {
        // Put back by hand after it was given up: it goes on, for as long as at first.
        return Step::Move(Move::changing(Transition::FetchNoted, move |record| {
            record.reason = None;
            record.collected = Some(now);
        }));
    }
    if record.collected.is_some_and(|begun| past.is_hopeless(now, after(begun, giveup))) {
        let cause = record.error.clone().unwrap_or_else(|| "the API did not answer".to_owned());
        let reason = format!("the results could not be fetched: {cause}");
        return Step::Move(Move::refused(Transition::FetchGivenUp, reason));
    }
    match past.not_before {
        later if now < later => Step::Wait(Some(later)),
        _ => Step::Work(Work::Fetch),
    }
}

/// Says what is to be done with a run in `command/ready`, whose results will go to the document that
/// `place` returns: its fetch begins. One that was fetched before is fetched anew, and owed to every
/// plugin again.
///
/// # Errors
/// There is no place for the document.
pub(crate) fn begin(
    record: &Record,
    now: Timestamp,
    place: impl FnOnce() -> Result<String, FetchError>,
) -> Result<Step, FetchError> {
    if record.action_id.is_none() {
        return Ok(Step::Reject("it was never accepted: there are no results to fetch".to_owned()));
    }
    let (document, again) = (place()?, record.document.is_some());
    Ok(Step::Move(Move::changing(Transition::Begun, move |record| {
        record.document = Some(document.clone());
        record.fetched = None;
        record.summary = None;
        record.reason = None;
        record.error = record.error.take().filter(|_| !again);
        record.status = record.status.take().filter(|_| !again);
        record.collected = record.collected.filter(|_| !again).or(Some(now));
        for delivery in &mut record.plugins {
            delivery.state = DeliveryState::Owed;
        }
    })))
}

/// Returns where the document of a run will go, relative to the runner's directory: below its job,
/// or below the directory itself if the job is gone or there was none; the first name that is free.
///
/// # Errors
/// There are too many documents of the action, or the disk does not answer.
pub(crate) fn place(disk: &Disk, directory: &Path, record: &Record) -> Result<String, FetchError> {
    let id = record.action_id.ok_or(FetchError::NoAction)?;
    let day = Offset::UTC.to_datetime(record.slot).strftime("%Y%m%d").to_string();
    let mut folder = Path::new("results").join(day);
    if let Some(job) = record.job() {
        let home = Path::new("runners").join(job.as_str());
        if disk.find(&directory.join(&home))?.is_some() {
            folder = home.join(folder);
        }
    }
    for attempt in 1..=DOCUMENTS_MAX {
        let number = if attempt == 1 { String::new() } else { format!("-{attempt}") };
        let path = folder.join(format!("{id}{number}.json"));
        if disk.find(&directory.join(&path))?.is_none() {
            return Ok(path.to_string_lossy().into_owned());
        }
    }
    Err(FetchError::Crowded(id))
}

/// Returns the path of the link to the first document of an action.
pub(crate) fn link_of(directory: &Path, id: ActionId) -> PathBuf {
    directory.join("results").join(format!("{id}.json"))
}

/// Where documents are written, and how.
#[derive(Debug)]
pub(crate) struct Fetcher<'a> {
    pub(crate) api: &'a dyn Api,
    pub(crate) disk: &'a Disk,
    pub(crate) directory: &'a Path,
    pub(crate) clock: &'a dyn Clock,
    /// How many pages are asked for at once.
    pub(crate) pages: u32,
    /// Ends the fetch at the next command.
    pub(crate) stop: &'a Stop,
}

/// What the attempts to fetch the results of a run have shown so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reads {
    /// How often commands were missing.
    pub(crate) asked: u32,
    /// How many commands are asked for at once.
    pub(crate) page_size: u32,
    /// When the results were complete but for commands that may still change.
    pub(crate) not_final: Option<Timestamp>,
}

/// An attempt to fetch the results of a run.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// What came of it.
    pub(crate) fetched: Result<Fetched, FetchError>,
    /// How many commands the next attempt asks for at once.
    pub(crate) page_size: u32,
}

/// A document that is complete.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    /// Its path, relative to the runner's directory.
    pub(crate) document: String,
    /// What the results came to.
    pub(crate) summary: Summary,
    /// The platform's word on an action that no agent was sent; `None` if some were, or it has none.
    pub(crate) status: Option<String>,
}

/// Why a fetch did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The record lacks what is needed.
    #[error("the record has no action id or no action")]
    NoAction,
    /// The API did not answer as it should.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// What it sent does not go into the document, or the disk did not take it.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Some commands that the platform counts were not among those that it returned.
    #[error("the API returned {found} of {sent} commands")]
    Missing {
        /// How many there are.
        found: u64,
        /// How many there should be.
        sent: u64,
    },
    /// The results are complete, but commands may still change, and the grace period has not ended.
    #[error("{commands} commands may still change")]
    NotFinal {
        /// How many there are.
        commands: u64,
        /// When the results were complete for the first time.
        since: Timestamp,
    },
    /// There are too many documents of one action.
    #[error("there are {DOCUMENTS_MAX} documents of action {0}: remove some")]
    Crowded(ActionId),
    #[error("the runner stops")]
    Stopped,
}

impl From<DiskError> for FetchError {
    fn from(source: DiskError) -> FetchError {
        FetchError::Document(DocumentError::Disk { source })
    }
}

impl Fetcher<'_> {
    /// Fetches the results of a run into its document. What was fetched stays on disk; the next attempt
    /// goes on from there.
    pub(crate) fn fetch(&self, record: &Record, mut reads: Reads) -> Attempt {
        let fetched = self.complete(record, &mut reads);
        Attempt { fetched, page_size: reads.page_size }
    }

    fn complete(&self, record: &Record, reads: &mut Reads) -> Result<Fetched, FetchError> {
        let (Some(posted), Some(id), Some(document)) =
            (&record.action, record.action_id, &record.document)
        else {
            return Err(FetchError::NoAction);
        };
        let target = self.target(record, Path::new(document))?;
        let (path, head) = (self.directory.join(&target), document::head(posted.get()));
        let (summary, seen) = match self.disk.find(&path)? {
            None => {
                if let Some(since) = reads.not_final {
                    self.await_final(record, id, &path, since)?;
                }
                self.collect(record, id, &head, &path, reads)?
            }
            Some(_) => self.completed(&path, &head, id)?,
        };
        self.link(&target)?;
        let status = seen.map(|seen| seen.status).filter(|_| summary.sent == 0);
        Ok(Fetched { document: target.to_string_lossy().into_owned(), summary, status })
    }

    /// Returns what a document holds that is there: it was complete before it had its name, and only
    /// the note of it was lost.
    fn completed(
        &self,
        document: &Path,
        head: &str,
        id: ActionId,
    ) -> Result<(Summary, Option<Seen>), FetchError> {
        // Whoever named it may have died before the name was durable.
        if let Some(folder) = document.parent() {
            self.disk.sync_folder(folder)?;
        }
        let part = part_path(document);
        if self.disk.find(&part)?.is_some() {
            // Without renames that replace nothing it has two names for a moment.
            self.disk.unlink(&part)?;
        }
        let mut summary = Part::summary_of(self.disk, document, head)?;
        let seen = if summary.sent == 0 { self.probe(id)? } else { None };
        if let Some(seen) = &seen {
            summary.close(i64::try_from(seen.sent).unwrap_or(i64::MAX));
        }
        Ok((summary, seen))
    }

    /// Asks the platform about an action, if its commands do not say how many there are.
    fn probe(&self, id: ActionId) -> Result<Option<Seen>, FetchError> {
        if self.stop.asked() {
            // The pages that were fetched stay; only this question is left to the next start.
            return Err(FetchError::Stopped);
        }
        Ok(grace::probe(self.api, id)?)
    }

    /// A job that was removed meanwhile is not made again for its results.
    fn target(&self, record: &Record, document: &Path) -> Result<PathBuf, FetchError> {
        if let Some(job) = record.job() {
            let home = Path::new("runners").join(job.as_str());
            if let Ok(below) = document.strip_prefix(&home)
                && self.disk.find(&self.directory.join(&home))?.is_none()
            {
                return Ok(below.to_owned());
            }
        }
        Ok(document.to_owned())
    }

    fn collect(
        &self,
        record: &Record,
        id: ActionId,
        head: &str,
        document: &Path,
        reads: &mut Reads,
    ) -> Result<(Summary, Option<Seen>), FetchError> {
        if let Some(folder) = document.parent() {
            self.disk.make_folders(folder)?;
        }
        let part = Part::open(self.disk, &part_path(document), head)?;
        pages::sweep(self.disk, part.path())?;
        // Commands of one instant have no order: one can slip from page to page between two
        // requests. Where some are missing all are read again.
        let from = if reads.asked == 0 { part.len() } else { 0 };
        let reader = Reader {
            api: self.api,
            disk: self.disk,
            clock: self.clock,
            stop: self.stop,
            id,
            action_name: &record.request.action_name,
            pages: self.pages,
        };
        let End { part, sent, page_size, failure } = reader.read(part, from, reads.page_size);
        reads.page_size = page_size;
        if let Some(failure) = failure {
            return Err(failure);
        }
        // If no command says how many there are, as after an empty first page, the action is asked for.
        let seen = if part.sent() == 0 { self.probe(id)? } else { None };
        let sent = seen.as_ref().map_or(sent, |seen| seen.sent.max(sent));
        let found = part.len();
        if found < sent && pause_of(reads.asked).is_some() {
            return Err(FetchError::Missing { found, sent });
        }
        let (summary, now) = (part.summary(sent), self.clock.now());
        if reads.not_final.is_none() && grace::applies(record, &summary, now) {
            return Err(FetchError::NotFinal { commands: summary.not_final, since: now });
        }
        part.finish(self.disk, document, &document::tail(record.name.as_str(), &record.plugin))?;
        Ok((summary, seen))
    }

    /// Drops what was read before if the action is completed or the grace period has ended: it is then
    /// read once more, and final.
    ///
    /// # Errors
    /// `NotFinal` if the period lasts; the platform or the disk does not answer.
    fn await_final(
        &self,
        record: &Record,
        id: ActionId,
        document: &Path,
        since: Timestamp,
    ) -> Result<(), FetchError> {
        let is_completed = grace::probe(self.api, id)?.is_some_and(|seen| seen.is_completed());
        if !is_completed && self.clock.now() < grace::end(record, since) {
            return Err(FetchError::NotFinal { commands: 0, since });
        }
        let part = part_path(document);
        if self.disk.find(&part)?.is_some() {
            self.disk.unlink(&part)?;
        }
        Ok(())
    }

    /// Makes `results/ACTIONID.json`, the index of all documents by action id.
    fn link(&self, document: &Path) -> Result<(), FetchError> {
        let index = self.directory.join("results");
        self.disk.make_folders(&index)?;
        let Some(name) = document.file_name() else { return Ok(()) };
        let target = match document.strip_prefix("results") {
            Ok(below) => below.to_owned(),
            // From elsewhere, a relative path would lead to another place.
            Err(_) if self.disk.find(&index)?.is_some_and(|meta| meta.kind == FileKind::Link) => {
                self.directory.join(document)
            }
            Err(_) => Path::new("..").join(document),
        };
        Ok(self.disk.link(&target, &index.join(name))?)
    }
}
