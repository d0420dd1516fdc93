//! `command/ready` and `command/inflight`: fetches the results of an action.
//!
//! A fetch that stops half way keeps the pages that it has. A document that has
//! its final name is complete, so that a fetch which finds it is over.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::Offset;

use super::document::{DocumentError, Part, part_path};
use super::{Move, Pause, Step, Verdict, Work};
use crate::action::{Summary, document};
use crate::api::{Api, ApiError};
use crate::clock::after;
use crate::disk::{Disk, DiskError};
use crate::names::ActionId;
use crate::spool::{DeliveryState, Edge, Record};
use crate::wake::Stop;

/// How long is waited before commands that are missing are asked for again, the first time and the
/// second; after that the document is finished without them.
const AGAIN: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
/// How many documents of one action there may be, after fetching anew.
const DOCUMENTS_MAX: u32 = 1000;

/// Says what is to be done with a run in `command/inflight`.
pub(crate) fn decide(
    record: &Record,
    now: Timestamp,
    not_before: Timestamp,
    giveup: Duration,
) -> Step {
    let (Some(_), Some(_), Some(_)) = (&record.action_id, &record.document, record.collected)
    else {
        return Step::Bury(
            "it lacks what a fetch needs: move a run to command/ready to fetch its results"
                .to_owned(),
        );
    };
    if record.reason.is_some() {
        // Put back by hand after it was given up: it goes on, for as long as at first.
        return Step::Move(Move::changing(Edge::FetchNoted, move |record| {
            record.reason = None;
            record.collected = Some(now);
        }));
    }
    if record.collected.is_some_and(|begun| now >= after(begun, giveup)) {
        let cause = record.error.clone().unwrap_or_else(|| "the API did not answer".to_owned());
        let reason = format!("the results could not be fetched: {cause}");
        return Step::Move(Move::refused(Edge::FetchGivenUp, reason));
    }
    if now < not_before { Step::Wait(Some(not_before)) } else { Step::Work(Work::Fetch) }
}

/// Says what is to be done with a run in `command/ready`, whose results will go to `document`: its
/// fetch begins. One that was fetched before is fetched anew, and owed to every plugin again.
pub(crate) fn begin(record: &Record, now: Timestamp, document: String) -> Step {
    if record.action_id.is_none() {
        return Step::Bury("it was never accepted: there are no results to fetch".to_owned());
    }
    let again = record.document.is_some();
    Step::Move(Move::changing(Edge::Begun, move |record| {
        record.document = Some(document.clone());
        record.fetched = None;
        record.summary = None;
        record.reason = None;
        record.error = record.error.take().filter(|_| !again);
        record.collected = record.collected.filter(|_| !again).or(Some(now));
        for delivery in &mut record.plugins {
            delivery.state = DeliveryState::Owed;
        }
    }))
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
    /// The platform.
    pub(crate) api: &'a dyn Api,
    /// The disk.
    pub(crate) disk: &'a Disk,
    /// The runner's directory.
    pub(crate) directory: &'a Path,
    /// How many commands are asked for at once.
    pub(crate) page_size: u32,
    /// Ends the fetch between two pages.
    pub(crate) stop: &'a Stop,
}

/// A document that is complete.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    /// Its path, relative to the runner's directory.
    pub(crate) document: String,
    /// What the results came to.
    pub(crate) summary: Summary,
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
    /// There are too many documents of one action.
    #[error("there are {DOCUMENTS_MAX} documents of action {0}: remove some")]
    Crowded(ActionId),
    /// The runner stops.
    #[error("the runner stops")]
    Stopped,
}

impl From<DiskError> for FetchError {
    fn from(source: DiskError) -> FetchError {
        FetchError::Document(DocumentError::Disk { source })
    }
}

impl Fetcher<'_> {
    /// Fetches the results of a run into its document; `asked` tells how often some were missing.
    ///
    /// # Errors
    /// What was fetched stays on disk; the next call goes on from there.
    pub(crate) fn fetch(&self, record: &Record, asked: u32) -> Result<Fetched, FetchError> {
        let (Some(posted), Some(id), Some(document)) =
            (&record.action, record.action_id, &record.document)
        else {
            return Err(FetchError::NoAction);
        };
        let target = self.target(record, Path::new(document))?;
        let (path, head) = (self.directory.join(&target), document::head(posted.get()));
        let summary = match self.disk.find(&path)? {
            None => self.collect(record, id, asked, &head, &path)?,
            // It was complete before it had its name; only the note of it was lost.
            Some(_) => Part::summary_of(self.disk, &path, &head)?,
        };
        self.link(&target)?;
        Ok(Fetched { document: target.to_string_lossy().into_owned(), summary })
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
        asked: u32,
        head: &str,
        document: &Path,
    ) -> Result<Summary, FetchError> {
        if let Some(folder) = document.parent() {
            self.disk.make_folders(folder)?;
        }
        let mut part = Part::open(self.disk, &part_path(document), head)?;
        let sent = self.pages(record, id, asked, &mut part)?;
        let found = part.len();
        if found < sent && pause_of(asked).is_some() {
            return Err(FetchError::Missing { found, sent });
        }
        let summary = part.summary(sent);
        part.finish(self.disk, document, &document::tail(record.name.as_str(), &record.plugin))?;
        Ok(summary)
    }

    /// Reads pages from where the part ends to the last one, or all of them again if some were
    /// missing; returns how many commands were sent.
    fn pages(
        &self,
        record: &Record,
        id: ActionId,
        asked: u32,
        part: &mut Part,
    ) -> Result<u64, FetchError> {
        // Commands of one instant have no order: one can slip from page to page between two requests.
        let mut offset = if asked == 0 { part.len() } else { 0 };
        let mut sent = 0;
        loop {
            if self.stop.asked() {
                return Err(FetchError::Stopped);
            }
            let mut refused = None;
            let page = self.api.commands(id, offset, self.page_size, &mut |raw| {
                part.add(raw, &record.request.action_name).map_err(|error| {
                    refused = Some(error);
                    io::Error::other("the document does not take the command")
                })
            });
            if let Some(error) = refused {
                return Err(error.into());
            }
            let page = page?;
            part.sync()?;
            sent = page.sent.unwrap_or(sent).max(part.len());
            offset = offset.saturating_add(page.items);
            // The total of the first page saves the request that only says that there is no more.
            if page.items == 0 || (page.sent.is_some() && part.len() >= sent) {
                return Ok(sent);
            }
        }
    }

    /// Makes `results/ACTIONID.json`, the index of all documents by action id.
    fn link(&self, document: &Path) -> Result<(), FetchError> {
        let index = self.directory.join("results");
        self.disk.make_folders(&index)?;
        let Some(name) = document.file_name() else { return Ok(()) };
        let target = match document.strip_prefix("results") {
            Ok(below) => below.to_owned(),
            Err(_) => Path::new("..").join(document),
        };
        Ok(self.disk.link(&target, &index.join(name))?)
    }
}

/// Returns how long to wait before commands that are missing are asked for again; `None`: they are not.
fn pause_of(asked: u32) -> Option<Duration> {
    AGAIN.get(usize::try_from(asked).ok()?).copied()
}

/// Says what follows from a fetch; `asked` tells how often some commands were missing before.
pub(crate) fn fetched(fetched: Result<Fetched, FetchError>, asked: u32, now: Timestamp) -> Verdict {
    match fetched {
        Ok(Fetched { document, summary }) => {
            Verdict::moved(Move::changing(Edge::Fetched, move |record| {
                record.document = Some(document.clone());
                record.summary = Some(summary);
                record.fetched = Some(now);
                record.error = None;
            }))
        }
        Err(FetchError::Stopped) => Verdict::paused(Pause::None),
        Err(error) => {
            let pause = match &error {
                FetchError::Api(cause) => Pause::after(cause),
                FetchError::Missing { .. } => Pause::For(pause_of(asked).unwrap_or_default()),
                FetchError::NoAction
                | FetchError::Document(_)
                | FetchError::Crowded(_)
                | FetchError::Stopped => Pause::Run(None),
            };
            let text = crate::chain::Chain(&error).to_string();
            let noted =
                Move::changing(Edge::FetchNoted, move |record| record.error = Some(text.clone()));
            Verdict { moved: Some(noted), pause }
        }
    }
}
