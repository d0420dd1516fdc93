//! The workers: what takes time is done beside the engine, on copies.
//!
//! Each piece of work has a thread of its own for as long as it takes, and each
//! kind of work has a number of them that is never exceeded. A worker touches
//! neither the spool nor the index, though a search reads the finished runs; what it brings back
//! is an event.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use jiff::Timestamp;

use super::Event;
use super::index::Key;
use crate::action::{Signature, Signer};
use crate::api::{Api, ApiError, Found, Posted, Search, Seen};
use crate::clock::{Clock, before};
use crate::disk::{Disk, DiskError};
use crate::names::{ActionId, PluginName};
use crate::plugin::run::{Delivery, Ended, Limits, OUTPUT_BYTES_MAX};
use crate::plugin::{Deliver, PluginError};
use crate::spool::finished::holder;
use crate::spool::{Layout, Record};
use crate::stage::fetch::{Attempt, Fetcher, Reads};
use crate::stage::prune::DAY;
use crate::stage::sign::{Signed, SigningError, sign};
use crate::stage::{Work, grace};
use crate::wake::Stop;

/// How far a clock may have been set back while a run was under way.
const SKEW: Duration = DAY;

/// Gives the target that a macro stands for.
pub(crate) type Expand = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the workers work with.
pub(crate) struct WorkerContext {
    pub(crate) api: Arc<dyn Api>,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) expand: Expand,
    pub(crate) plugins: Arc<dyn Deliver>,
    /// The disk, for documents.
    pub(crate) disk: Disk,
    pub(crate) directory: PathBuf,
    /// Where the spool is, to be read.
    pub(crate) spool: Layout,
    /// How many commands are asked for at once, as long as that is not too slow.
    pub(crate) page_size: u32,
    /// How many pages of a run are asked for at once.
    pub(crate) pages: u32,
    pub(crate) clock: Arc<dyn Clock>,
    /// Ends what takes long.
    pub(crate) stop: Stop,
}

/// A piece of work.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) key: Key,
    /// What is to be done.
    pub(crate) work: Work,
    /// The record, as it was when the work began.
    pub(crate) record: Record,
    /// The number of this attempt, from 1.
    pub(crate) attempt: u32,
    /// How often the platform was asked before.
    pub(crate) polls: u32,
    /// How many commands the last attempt came to ask for at once.
    pub(crate) page_size: Option<u32>,
    /// When the results were complete but for commands that may still change.
    pub(crate) since: Option<Timestamp>,
    /// The actions that runs which are not over hold, and those known to be another run's.
    pub(crate) taken: BTreeSet<ActionId>,
}

/// Why a search has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SearchError {
    /// The API did not answer the question.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The runs that are over could not be read.
    #[error("cannot find out whose action was found")]
    Disk(#[from] DiskError),
}

/// What a worker brings back.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Of [`Work::Sign`].
    Signed(Result<Signed, SigningError>),
    /// Of [`Work::Post`].
    Posted(Posted),
    /// Of [`Work::Search`], with when it began.
    Searched(Result<Found, SearchError>, Timestamp),
    /// Of [`Work::Probe`].
    Probed(Result<Option<Seen>, ApiError>),
    /// Of [`Work::Fetch`].
    Fetched(Attempt),
    /// Of [`Work::Deliver`].
    Delivered(PluginName, Result<Ended, PluginError>),
    /// Of any work: a stop was asked for before it began, or before it could be completed.
    Stopped,
}

/// A piece of work that is done.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) task: Task,
    /// What came of it.
    pub(crate) outcome: Outcome,
    /// How long it took.
    pub(crate) took: Duration,
}

impl WorkerContext {
    fn work(&self, task: &Task) -> Outcome {
        if self.stop.asked() {
            return Outcome::Stopped;
        }
        let record = &task.record;
        match &task.work {
            Work::Sign { period } => {
                Outcome::Signed(sign(record, *period, self.signer.as_ref(), &self.expand))
            }
            Work::Post => Outcome::Posted(self.post(record)),
            Work::Search => {
                let began = self.clock.now();
                Outcome::Searched(self.search(task), began)
            }
            Work::Probe => Outcome::Probed(match record.action_id {
                Some(id) => grace::probe(self.api.as_ref(), id),
                None => Ok(None),
            }),
            Work::Fetch => {
                let fetcher = Fetcher {
                    api: self.api.as_ref(),
                    disk: &self.disk,
                    directory: &self.directory,
                    clock: self.clock.as_ref(),
                    pages: self.pages,
                    stop: &self.stop,
                };
                let past = Reads {
                    asked: task.polls,
                    page_size: task.page_size.unwrap_or(self.page_size),
                    not_final: task.since,
                };
                Outcome::Fetched(fetcher.fetch(record, past))
            }
            Work::Deliver(plugin) => Outcome::Delivered(plugin.clone(), self.deliver(task, plugin)),
        }
    }

    fn post(&self, record: &Record) -> Posted {
        let posted = record.request.posted.as_deref().unwrap_or_default();
        self.api.post(posted, &signatures(record))
    }

    fn search(&self, task: &Task) -> Result<Found, SearchError> {
        let request = &task.record.request;
        let (Some(valid_from), Some(expire_after)) = (request.valid_from, request.expire_after)
        else {
            // Nothing was ever signed for it, so nothing can be there.
            return Ok(Found::None);
        };
        let (signatures, mut taken) = (signatures(&task.record), task.taken.clone());
        loop {
            let found = self.api.find(&Search {
                name: &request.action_name,
                valid_from,
                expire_after,
                signatures: &signatures,
                taken: &taken,
            })?;
            match found {
                Found::Action { id, .. } if self.is_held(&task.record, id)? => taken.insert(id),
                found => return Ok(found),
            };
        }
    }

    /// Returns whether a run that is over holds an action. It is asked only for an action that was found, which
    /// is seldom another run's: so nothing need be remembered of the runs that are over.
    fn is_held(&self, record: &Record, action: ActionId) -> Result<bool, SearchError> {
        // What holds an action that we signed was written later than that was dated. An action that
        // somebody else signed may be dated as they like.
        let since = record.request.valid_from.filter(|_| !record.request.verbatim);
        let since = since.map(|since| before(since, SKEW));
        Ok(holder(&self.disk, &self.spool, action, &record.id, since)?.is_some())
    }

    fn deliver(&self, task: &Task, plugin: &PluginName) -> Result<Ended, PluginError> {
        let record = &task.record;
        let results = self.directory.join(record.document.as_deref().unwrap_or_default());
        let delivery = Delivery {
            job: &record.name,
            plugin,
            run: &record.id,
            action: record.action_id.unwrap_or(ActionId(0)),
            attempt: task.attempt,
            results: &results,
        };
        let limits =
            Limits { timeout: record.settings.plugin_timeout, output_bytes_max: OUTPUT_BYTES_MAX };
        self.plugins.deliver(&delivery, &limits, &self.stop)
    }
}

fn signatures(record: &Record) -> Vec<Signature> {
    // What is no signature cannot have been accepted as one either.
    record.request.signatures.iter().filter_map(|s| s.clone().try_into().ok()).collect()
}

/// Kinds of work that do not get in each other's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pool {
    /// Short exchanges with the API, and signatures.
    Submit,
    /// Results, which take long.
    Fetch,
    Deliver,
}

impl Pool {
    /// Returns the pool that a piece of work belongs to.
    pub(crate) const fn of(work: &Work) -> Pool {
        match work {
            Work::Sign { .. } | Work::Post | Work::Search | Work::Probe => Pool::Submit,
            Work::Fetch => Pool::Fetch,
            Work::Deliver(_) => Pool::Deliver,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Pool::Submit => "submit",
            Pool::Fetch => "fetch",
            Pool::Deliver => "deliver",
        }
    }
}

/// The workers of each pool: how many there may be, and how many are at work.
#[derive(Debug)]
pub(crate) struct Workers {
    context: Arc<WorkerContext>,
    events: Sender<Event>,
    limits: [usize; 3],
    busy: [usize; 3],
}

impl Workers {
    /// Returns workers of whom at most `parallel` talk to the API in each of its two ways, and
    /// `plugins` run a plugin.
    pub(crate) fn new(
        context: Arc<WorkerContext>,
        events: Sender<Event>,
        parallel: usize,
        plugins: usize,
    ) -> Workers {
        Workers { context, events, limits: [parallel, parallel, plugins], busy: [0; 3] }
    }

    /// Tells whether the pool takes work.
    pub(crate) fn is_free(&self, pool: Pool) -> bool {
        let [submit, fetch, deliver] = self.limits;
        let [submits, fetches, deliveries] = self.busy;
        match pool {
            Pool::Submit => submits < submit,
            Pool::Fetch => fetches < fetch,
            Pool::Deliver => deliveries < deliver,
        }
    }

    /// Returns whether a stop was asked for, after which no work begins.
    pub(crate) fn are_stopping(&self) -> bool {
        self.context.stop.asked()
    }

    /// Tells whether nobody is at work.
    pub(crate) fn are_idle(&self) -> bool {
        self.busy == [0; 3]
    }

    /// Begins a piece of work.
    ///
    /// # Errors
    /// The system gives no thread; nothing was begun.
    pub(crate) fn begin(&mut self, task: Task) -> io::Result<()> {
        let pool = Pool::of(&task.work);
        let (context, events) = (Arc::clone(&self.context), self.events.clone());
        let name = format!("{} {}", pool.name(), task.record.name);
        std::thread::Builder::new().name(name).spawn(move || {
            let began = std::time::Instant::now();
            let outcome = context.work(&task).or_stopped();
            let done = Done { task, outcome, took: began.elapsed() };
            // The engine has gone only when the process is about to.
            events.send(Event::Done(Box::new(done))).ok();
        })?;
        *self.count(pool) += 1;
        Ok(())
    }

    /// Ends the processes that plugins have left behind, because the runner stops.
    pub(crate) fn end_leftovers(&self) {
        self.context.plugins.end_leftovers();
    }

    /// Notes that a piece of work is done.
    pub(crate) fn ended(&mut self, work: &Work) {
        let count = self.count(Pool::of(work));
        *count = count.saturating_sub(1);
    }

    fn count(&mut self, pool: Pool) -> &mut usize {
        let [submit, fetch, deliver] = &mut self.busy;
        match pool {
            Pool::Submit => submit,
            Pool::Fetch => fetch,
            Pool::Deliver => deliver,
        }
    }
}

impl std::fmt::Debug for WorkerContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerContext").field("directory", &self.directory).finish_non_exhaustive()
    }
}
