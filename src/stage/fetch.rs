//! `command/ready` and `command/inflight`: fetches the results of an action.
//!
//! An interrupted fetch keeps the pages that it has. A document gets its final name only when it is
//! complete, so an existing document ends the fetch.

mod begin;
pub(super) mod outcome;
mod verdict;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::document::{PartialDocument, part_path};
use super::pages::{self, PageReader, ReadEnd};
use super::{Move, PastAttempts, Step, TaskKind, grace};
use crate::action::{LargeAnswer, Summary, document};
use crate::api::{ActionState, Api};
use crate::clock::{Clock, after};
use crate::disk::{Disk, FileKind};
use crate::names::ActionId;
use crate::spool::{Record, Transition};
use crate::wake::Stop;
pub(crate) use begin::{begin, document_path};
pub(crate) use outcome::{FetchError, Fetched};
use outcome::{INVALID, has_ended};
pub(crate) use verdict::fetched;
pub(super) use verdict::missing_results;
use verdict::pause_of;

/// Decides what to do with a run in `command/inflight`.
pub(crate) fn decide(
    record: &Record,
    now: Timestamp,
    past: PastAttempts,
    giveup: Duration,
) -> Step {
    let (Some(_), Some(_), Some(_)) = (&record.action_id, &record.document, record.collected)
    else {
        return Step::Reject(
            "its record lacks the data that a fetch needs: move a run to command/ready to fetch its results"
                .to_owned(),
        );
    };
    if record.reason.is_some() {
        // The operator put it back after it was given up: the time limit starts anew.
        return Step::Move(Move::changing(Transition::FetchNoted, move |record| {
            record.reason = None;
            record.collected = Some(now);
        }));
    }
    if record.collected.is_some_and(|begun| past.should_give_up(now, after(begun, giveup))) {
        let cause = record.error.clone().unwrap_or_else(|| "the API did not answer".to_owned());
        let reason = format!("the results could not be fetched: {cause}");
        return Step::Move(Move::refused(Transition::FetchGivenUp, reason));
    }
    match past.not_before {
        later if now < later => Step::Wait(Some(later)),
        _ => Step::Start(TaskKind::Fetch),
    }
}

/// Returns the path of the link to the first document of an action.
pub(crate) fn link_of(directory: &Path, id: ActionId) -> PathBuf {
    directory.join("results").join(format!("{id}.json"))
}

/// Returns the state of an action that had ended without commands when its status was last queried.
/// If its page of commands is empty as well, the status is not queried again.
fn known_as_empty(record: &Record) -> Option<ActionState> {
    let seen = ActionState { status: record.status.clone()?, sent: record.sent? };
    (seen.sent == 0 && has_ended(&seen)).then_some(seen)
}

/// Fetches results into documents.
#[derive(Debug)]
pub(crate) struct Fetcher<'a> {
    pub(crate) api: &'a dyn Api,
    pub(crate) disk: &'a Disk,
    pub(crate) directory: &'a Path,
    pub(crate) clock: &'a dyn Clock,
    /// Number of pages requested at once.
    pub(crate) pages: u32,
    /// Ends the fetch at the next command when it is set.
    pub(crate) stop: &'a Stop,
}

/// What earlier attempts to fetch the results of a run have found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchProgress {
    /// Number of attempts in which commands were missing.
    pub(crate) missing_attempts: u32,
    /// Number of commands requested at once.
    pub(crate) page_size: u32,
    /// When the results first were complete except for commands that may still change.
    pub(crate) not_final: Option<Timestamp>,
}

#[derive(Debug)]
pub(crate) struct FetchAttempt {
    pub(crate) fetched: Result<Fetched, FetchError>,
    /// Number of commands that the next attempt requests at once.
    pub(crate) page_size: u32,
}

/// What a complete document contains.
struct Collected {
    summary: Summary,
    /// The first of the answers that were too large.
    large: Vec<LargeAnswer>,
    /// The action's state, if no command states how many commands there are.
    seen: Option<ActionState>,
}

impl Fetcher<'_> {
    /// Fetches the results of a run into its document. Pages that were fetched stay on disk, and
    /// the next attempt resumes after them.
    pub(crate) fn fetch(&self, record: &Record, mut progress: FetchProgress) -> FetchAttempt {
        let fetched = self.complete(record, &mut progress);
        FetchAttempt { fetched, page_size: progress.page_size }
    }

    fn complete(
        &self,
        record: &Record,
        progress: &mut FetchProgress,
    ) -> Result<Fetched, FetchError> {
        let (Some(posted), Some(id), Some(document)) =
            (&record.action, record.action_id, &record.document)
        else {
            return Err(FetchError::NoAction);
        };
        let target = self.target(record, Path::new(document))?;
        let (path, head) = (self.directory.join(&target), document::head(posted.get()));
        let Collected { summary, large, seen } = match self.disk.find(&path)? {
            None => {
                if let Some(since) = progress.not_final {
                    self.await_final(record, id, &path, since)?;
                }
                self.collect(record, id, &head, &path, progress)?
            }
            Some(_) => self.completed(&path, &head, id)?,
        };
        self.link(&target)?;
        let status = seen.map(|seen| seen.status).filter(|_| summary.sent == 0);
        let document = target.to_string_lossy().into_owned();
        Ok(Fetched { document, summary, large, status })
    }

    /// Returns the counts of an existing document: it was complete before it got its name, and only
    /// the record of that was lost.
    fn completed(
        &self,
        document: &Path,
        head: &str,
        id: ActionId,
    ) -> Result<Collected, FetchError> {
        // The runner may have died before the name was durable.
        if let Some(folder) = document.parent() {
            self.disk.sync_folder(folder)?;
        }
        let part = part_path(document);
        if self.disk.find(&part)?.is_some() {
            // On a file system without renameat2, the file has two names for a moment.
            self.disk.unlink(&part)?;
        }
        let (mut summary, large) = PartialDocument::summary_of(self.disk, document, head)?;
        let seen = if summary.sent == 0 { self.query_status(id)? } else { None };
        if let Some(seen) = &seen {
            summary.close(i64::try_from(seen.sent).unwrap_or(i64::MAX));
        }
        Ok(Collected { summary, large, seen })
    }

    /// Queries the action's status, because no command states how many commands there are.
    fn query_status(&self, id: ActionId) -> Result<Option<ActionState>, FetchError> {
        if self.stop.is_requested() {
            // The fetched pages stay; the next start makes this query.
            return Err(FetchError::Stopped);
        }
        Ok(grace::query_status(self.api, id)?)
    }

    /// Returns the path of the document. If the job was removed meanwhile, its folder is not
    /// created again.
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
        progress: &mut FetchProgress,
    ) -> Result<Collected, FetchError> {
        if let Some(folder) = document.parent() {
            self.disk.make_folders(folder)?;
        }
        let part = PartialDocument::open(self.disk, &part_path(document), head)?;
        pages::sweep(self.disk, part.path())?;
        let known = known_as_empty(record);
        // The platform found no agent for the action, so it never has commands.
        let is_without_agent = known.as_ref().is_some_and(|seen| seen.status == INVALID);
        let (part, sent) = if is_without_agent && part.len() == 0 {
            (part, 0)
        } else {
            self.read_pages(record, id, part, progress)?
        };
        // Without commands, as after an empty first page, only the action states their number.
        let seen = match known {
            Some(seen) if part.len() == 0 => Some(seen),
            _ if part.sent() == 0 => self.query_status(id)?,
            _ => None,
        };
        let sent = seen.as_ref().map_or(sent, |seen| seen.sent.max(sent));
        let found = part.len();
        if found < sent && pause_of(progress.missing_attempts).is_some() {
            return Err(FetchError::Missing { found, sent });
        }
        let (summary, now) = (part.summary(sent), self.clock.now());
        if progress.not_final.is_none() && grace::applies(record, &summary, now) {
            return Err(FetchError::NotFinal { commands: summary.not_final, since: now });
        }
        let large = part.large().to_vec();
        part.finish(self.disk, document, &document::tail(record.name.as_str(), &record.plugin))?;
        Ok(Collected { summary, large, seen })
    }

    /// Adds the commands of all pages to a partial document; returns it and the number of commands
    /// that the platform states.
    fn read_pages(
        &self,
        record: &Record,
        id: ActionId,
        part: PartialDocument,
        progress: &mut FetchProgress,
    ) -> Result<(PartialDocument, u64), FetchError> {
        // Commands of the same instant have no fixed order: one can move to another page between
        // two requests. If some are missing, all are read again.
        let from = if progress.missing_attempts == 0 { part.len() } else { 0 };
        let reader = PageReader {
            api: self.api,
            disk: self.disk,
            clock: self.clock,
            stop: self.stop,
            id,
            action_name: &record.request.action_name,
            pages: self.pages,
        };
        let ReadEnd { part, sent, page_size, failure } =
            reader.read(part, from, progress.page_size);
        progress.page_size = page_size;
        failure.map_or(Ok((part, sent)), Err)
    }

    /// Removes the partial document if the action is completed or the grace period has ended, so
    /// that the results are read once more; returns `NotFinal` while the period lasts.
    fn await_final(
        &self,
        record: &Record,
        id: ActionId,
        document: &Path,
        since: Timestamp,
    ) -> Result<(), FetchError> {
        let is_completed =
            grace::query_status(self.api, id)?.is_some_and(|seen| seen.is_completed());
        if !is_completed && self.clock.now() < grace::end(record, since) {
            return Err(FetchError::NotFinal { commands: 0, since });
        }
        let part = part_path(document);
        if self.disk.find(&part)?.is_some() {
            self.disk.unlink(&part)?;
        }
        Ok(())
    }

    /// Creates the link `results/ACTIONID.json`: the links there are the index of all documents.
    fn link(&self, document: &Path) -> Result<(), FetchError> {
        let index = self.directory.join("results");
        self.disk.make_folders(&index)?;
        let Some(name) = document.file_name() else { return Ok(()) };
        let target = match document.strip_prefix("results") {
            Ok(below) => below.to_owned(),
            // If `results` is itself a link, a relative path would lead elsewhere.
            Err(_) if self.disk.find(&index)?.is_some_and(|meta| meta.kind == FileKind::Link) => {
                self.directory.join(document)
            }
            Err(_) => Path::new("..").join(document),
        };
        Ok(self.disk.link(&target, &index.join(name))?)
    }
}
